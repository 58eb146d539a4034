#pragma once
// The worker of models/kernels/worker for CUDA: requests and answers as text, the device behind them.

#include <memory>
#include <string>

#include <cuda_runtime.h>

namespace moesim::cuda {

class DeviceWorker {
public:
  /// Takes the first device that CUDA shows. Throws NoDevice, std::bad_alloc and std::runtime_error.
  DeviceWorker();
  ~DeviceWorker();

  /// One line without its end: what it says first.
  std::string greeting() const;
  /// The answer to one request. Does not throw for what a request or the device causes: the answer tells.
  std::string answer(const std::string& request);

private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace moesim::cuda
