#include "models/kernels/cuda/emulation/global_memory.hpp"

#include <cstdint>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "models/kernels/cuda/emulation/shared_memory.hpp"

namespace moesim::cuda::emulation {
namespace {

struct Range {
  std::uintptr_t end;
  Access access;
};

std::map<std::uintptr_t, Range>& ranges() {
  static thread_local std::map<std::uintptr_t, Range> all;
  return all;
}

std::uintptr_t number(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

}  // namespace

Declaration::Declaration(const void* begin, std::size_t bytes, Access access) : begin_{begin} {
  ranges()[number(begin)] = {number(begin) + bytes, access};
}

Declaration::~Declaration() {
  ranges().erase(number(begin_));
}

void check_global(const void* address, std::size_t bytes, Access access) {
  const auto fault = [&](const char* what) {
    throw KernelFault{fmt::format("global {} of {} bytes {}", access == Access::read ? "read" : "write", bytes, what)};
  };
  const auto after = ranges().upper_bound(number(address));
  if (after == ranges().begin()) fault("outside every buffer");
  const Range& range = std::prev(after)->second;
  if (number(address) + bytes > range.end) fault("outside every buffer");
  if (number(address) % bytes != 0) fault("misaligned");
  if (access == Access::write && range.access == Access::read) fault("into a read-only buffer");
}

}  // namespace moesim::cuda::emulation
