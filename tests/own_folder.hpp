#pragma once
// Include this in tests that write files by short names: every test process then works in a folder of its own, gone at
// its end, so that tests which run side by side do not meet.

#include "tests/temporary_folder.hpp"

namespace moesim::testing {

struct OwnFolder : TemporaryFolder {
  OwnFolder() { std::filesystem::current_path(path()); }
};

inline const OwnFolder own_folder;

}  // namespace moesim::testing
