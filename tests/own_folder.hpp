#pragma once
// Include this in tests that write files by short names: every test process then works in a folder of its own, gone at
// its end, so that tests which run side by side do not meet.

#include <filesystem>
#include <string>

#include <stdlib.h>  // mkdtemp

namespace moesim::testing {

struct OwnFolder {
  OwnFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "moesim_test_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return;
    path = name;
    std::filesystem::current_path(path);
  }
  ~OwnFolder() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;

  std::filesystem::path path;
};

inline const OwnFolder own_folder;

}  // namespace moesim::testing
