#pragma once
// What a text file must be before a parser sees it.

#include <string>
#include <string_view>

namespace moesim {

/// Throws InputError("origin:line:column") for bytes that are not UTF-8, control characters, and tabs that indent (YAML
/// forbids them; JSON may have them).
void check_text(std::string_view text, const std::string& origin);

/// Text for an error message: quoted, at most 60 bytes, control characters replaced.
std::string shown(std::string_view text);

}  // namespace moesim
