#pragma once
// The bytes of a fuzzer as a file, for readers that take one.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

namespace moesim::fuzz {

/// A file of this process, written anew for every input.
inline std::string written(const std::uint8_t* data, std::size_t size, const std::string& ending = "") {
  const std::string name =
      (std::filesystem::temp_directory_path() / ("moesim_fuzz_" + std::to_string(::getpid()) + ending)).string();
  std::ofstream out{name, std::ios::binary | std::ios::trunc};
  out.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  return name;
}

}  // namespace moesim::fuzz
