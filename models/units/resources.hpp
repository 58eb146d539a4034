#pragma once
// Where shipped data lives: beside the install prefix of the executable, else in the source tree.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

enum class Resource { zoo, catalogue, schema, scenarios, profiles };

/// The folder of a kind of shipped data. Throws RunError when neither place has it.
std::filesystem::path resource_folder(Resource kind);

/// Names (file stems) of the JSON files in that folder, sorted.
std::vector<std::string> resource_names(Resource kind);

/// Whole text of a file. `limit` bytes at most.
/// Throws InputError when it cannot be read or is larger than the limit.
std::string read_text_file(const std::filesystem::path& file, std::uintmax_t limit = 64u << 20);

/// Lines of a CSV or .csv.gz file (by content), without the line ends.
/// Throws InputError when unreadable, when the gzip stream is broken, past `limit` bytes of text, 1 MiB in a line or
/// 2^24 lines.
std::vector<std::string> read_lines(const std::filesystem::path& file, std::uintmax_t limit = 1u << 30);

}  // namespace moesim
