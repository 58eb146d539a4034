#pragma once
// Real data for tests: $MOESIM_SHARED, else ../shared beside the project. Absent data is skipped loudly.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace moesim::testing {

inline std::filesystem::path shared_folder() {
  if (const char* folder = std::getenv("MOESIM_SHARED")) return folder;
  return std::filesystem::path{MOESIM_TEST_SOURCE_DIR}.parent_path() / "shared";
}

/// Path of a shared file; empty (with a loud line on stderr) when it is not there.
inline std::string shared_file(const std::string& relative) {
  const auto file = shared_folder() / relative;
  if (std::filesystem::exists(file)) return file.string();
  std::fprintf(stderr, "SKIPPED: %s is not there (set MOESIM_SHARED)\n", file.c_str());
  return {};
}

}  // namespace moesim::testing
