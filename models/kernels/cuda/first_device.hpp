#pragma once
// The device that the programs of this folder use.

#include <stdexcept>

#include <cuda_runtime.h>

namespace moesim::cuda {

/// No usable device (exit 77): what() is the line that people read.
class NoDevice : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

inline constexpr int kNoDeviceStatus = 77;

/// The first that CUDA shows (CUDA_VISIBLE_DEVICES chooses). Throws NoDevice, also for a driver that is too old.
cudaDeviceProp first_device();

}  // namespace moesim::cuda
