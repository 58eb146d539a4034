#pragma once
// A device that is not there: the part of the CUDA runtime that the worker's host code calls, on host memory and a
// clock that only kernels move. It knows what was read when, so that tests see whether memory was cold.

#include <cstddef>
#include <cstdint>
#include <functional>

#include "models/units/quantity.hpp"

namespace moesim::testing {

/// Of cudaLaunchKernel.
struct FakeLaunch {
  const void* function;
  int blocks, threads;
  std::size_t shared_bytes;
  void** arguments;
};

struct FakeDevice {
  int devices = 1;
  int driver_error = 0;  ///< of cudaGetDeviceCount
  int major = 9;
  std::size_t memory = std::size_t{2} << 30;
  std::size_t cache = std::size_t{1} << 20;

  Seconds clock;
  std::size_t allocated = 0;
  int live = 0;  ///< allocations, streams, events and graphs

  std::function<void(const FakeLaunch&)> on_launch;
  std::function<void(void* memory, std::size_t bytes)> on_allocate;
  std::function<void(void* memory)> on_free;

  std::size_t least_read_between = SIZE_MAX;  ///< bytes between two readings of the same address
};

/// The one device.
FakeDevice& fake_device();

/// A kernel: put on a stream it runs at once, or with every launch of the graph that is being captured. `reads` bytes
/// at `address` come from memory; it takes `time`.
void launch_fake(const void* address, std::size_t reads, Seconds time);

}  // namespace moesim::testing
