#pragma once
// Where tables of measured times lie: KIND/ENGINE/VERSION/STEM.csv[.gz].

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace moesim {

/// Names of the folders in a folder, sorted; none for one that is not there.
std::vector<std::string> folders_in(const std::filesystem::path& folder);

/// By the numbers in both names: "1.3.0rc9" before "1.3.0rc10".
bool older_version(const std::string& a, const std::string& b);

/// STEM.csv.gz or STEM.csv.
std::optional<std::filesystem::path> table_file(const std::filesystem::path& folder, const std::string& stem);

/// Versions below a folder that have the table, newest first.
std::vector<std::string> versions_with(const std::filesystem::path& folder, const std::string& stem);

}  // namespace moesim
