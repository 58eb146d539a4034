#include "models/kernels/published/measured_folders.hpp"

#include <algorithm>
#include <charconv>

namespace moesim {
namespace fs = std::filesystem;
namespace {

/// "1.3.0rc10" as {1, 3, 0, 10}: enough to order the versions of one engine.
std::vector<int> parts_of(const std::string& version) {
  std::vector<int> parts;
  for (auto digit = version.begin(); digit != version.end();) {
    digit = std::find_if(digit, version.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (digit == version.end()) break;
    int part = 0;
    const auto end = std::from_chars(&*digit, version.data() + version.size(), part).ptr;
    parts.push_back(part);
    digit = version.begin() + (end - version.data());
  }
  return parts;
}

}  // namespace

std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator{folder, failure})
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool older_version(const std::string& a, const std::string& b) {
  return parts_of(a) < parts_of(b);
}

std::optional<fs::path> table_file(const fs::path& folder, const std::string& stem) {
  for (const char* ending : {".csv.gz", ".csv"}) {
    const fs::path file = folder / (stem + ending);
    if (std::error_code failure; fs::exists(file, failure)) return file;
  }
  return std::nullopt;
}

std::vector<std::string> versions_with(const fs::path& folder, const std::string& stem) {
  std::vector<std::string> versions = folders_in(folder);
  std::erase_if(versions, [&](const std::string& version) { return !table_file(folder / version, stem); });
  std::sort(versions.begin(), versions.end(),
            [](const std::string& a, const std::string& b) { return older_version(b, a); });
  return versions;
}

}  // namespace moesim
