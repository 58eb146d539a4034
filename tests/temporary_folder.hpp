#pragma once
// A fresh folder for the files of a test.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include <stdlib.h>  // mkdtemp

namespace moesim::testing {

/// A whole file; empty when it cannot be read.
inline std::string read(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Made empty, removed with all it holds.
class TemporaryFolder {
public:
  /// Throws std::runtime_error when it cannot be made.
  explicit TemporaryFolder(const std::string& name = "moesim_test") {
    std::string made = (std::filesystem::temp_directory_path() / (name + "_XXXXXX")).string();
    if (::mkdtemp(made.data()) == nullptr) throw std::runtime_error{"no temporary folder " + made};
    path_ = made;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string path(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and gives its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{path_ / name} << text;
    return path(name);
  }

private:
  std::filesystem::path path_;
};

}  // namespace moesim::testing
