#pragma once
// Where a text is no JSON, and why, in the words of every other error of moesim.

#include <cstddef>
#include <string>

#include "models/units/error.hpp"

namespace moesim {

/// Line and column of a byte, "3:14", both from 1.
std::string line_and_column(const std::string& text, std::size_t offset);

/// Text of a file made fit for a message: printable, and not too long.
std::string shown_piece(const std::string& text);

/// What is wrong with a JSON text, at ORIGIN:LINE:COLUMN.
///
/// read    : bytes that the parser (nlohmann-json) had read when it stopped; more than there are: the text is cut off
/// message : the parser's, which says what it waited for
InputError broken_json(const std::string& text, const std::string& origin, std::size_t read,
                       const std::string& message);

}  // namespace moesim
