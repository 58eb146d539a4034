#pragma once
// The architecture as rules over source text: who may include whom, which library lives where, how large a file may be.

#include <string>
#include <string_view>
#include <vector>

namespace moesim::layering {

struct Source {
  std::string path;  ///< from the project's root, with '/': "models/llm/ops.cpp"
  std::string text;
};

/// What a file breaks, one line each: "models/llm/ops.cpp:12: models/llm may not include models/hardware".
std::vector<std::string> include_violations(const Source& source);

/// Size (300 lines of 120 characters), #pragma once, no `using namespace` in headers, no bare double for a physical
/// amount in a header, no printing, exiting or std:: random numbers in the library. Excepted files are listed with
/// their reason in house_rules.cpp.
std::vector<std::string> house_violations(const Source& source);

/// Whether the file may break the rule whose text starts the violation; the list, with reasons, is in exceptions.cpp.
bool excepted(std::string_view path, std::string_view violation);
std::vector<std::string> excepted_paths();

/// The module a path belongs to ("models/llm", "sim/engine", "sim", "plots", "tests"), "" outside of them.
std::string module_of(std::string_view path);
std::vector<std::string> module_names();

/// The lines of a text, without line ends.
std::vector<std::string> lines_of(std::string_view text);

/// The same lines with comments and the insides of string literals blanked out.
std::vector<std::string> code_lines(std::string_view text);

bool is_header(std::string_view path);

}  // namespace moesim::layering
