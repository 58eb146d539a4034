// moesim-cuda-worker: the expert kernels of this folder as a worker of moesim (models/kernels/worker/README.md).
//
// Reads requests from its standard input and writes answers to its standard output, a line each. Exits 77 without a
// device.

#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "models/kernels/cuda/device_worker.hpp"
#include "models/kernels/cuda/first_device.hpp"

int main() {
  try {
    moesim::cuda::DeviceWorker worker;
    std::cout << worker.greeting() << std::endl;
    for (std::string request; std::getline(std::cin, request);) std::cout << worker.answer(request) << std::endl;
    return 0;
  } catch (const moesim::cuda::NoDevice& missing) {
    std::fprintf(stderr, "%s\n", missing.what());
    return moesim::cuda::kNoDeviceStatus;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "the device has too little free memory\n");
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
