#pragma once
// Fields of a comma-separated line, and whole numbers in them.

#include <string>
#include <string_view>
#include <vector>

namespace moesim {

/// The fields between the separators, spaces around them left out. "" has one empty field.
std::vector<std::string_view> split_fields(std::string_view line, char separator);

/// "FILE:LINE", as errors name a place.
std::string place_in(const std::string& file, std::size_t line);

/// Throws InputError at `where` unless text is a whole number in [low, high].
int parse_index(std::string_view text, const std::string& where, std::string_view column, int low, int high);

}  // namespace moesim
