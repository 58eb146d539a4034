#pragma once
// What gives a mistake in a kernel away.

#include <functional>
#include <string>

#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda::testing {

/// What the emulation stops at while `judge` runs a kernel, else what `judge` says of its result.
inline std::string noticed_by(const std::function<std::string()>& judge) {
  try {
    return judge();
  } catch (const emulation::KernelFault& fault) {
    return fault.what();
  }
}

/// What the emulation stops a kernel at, "none" when it runs through.
inline std::string fault_of(const emulation::Launch& shape, const std::function<void()>& kernel) {
  return noticed_by([&] {
    emulation::launch(shape, kernel);
    return "none";
  });
}

}  // namespace moesim::cuda::testing
