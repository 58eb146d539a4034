#pragma once
// Hand-sized GPUs and ops for the tests of models/kernels.

#include <vector>

#include "models/kernels/kernel_times.hpp"

namespace moesim::testing {

/// 4 SMs of 1 TFLOP/s in bf16 (fp8 twice that), 1 TB/s of HBM, nothing lost, no launch time.
inline Gpu toy_gpu() {
  Gpu gpu;
  gpu.name = "toy";
  gpu.memory = Bytes{80e9};
  gpu.memory_bandwidth = 1.0_TBps;
  gpu.bf16 = 4.0_TFLOPps;
  gpu.fp8 = 8.0_TFLOPps;
  gpu.sms = 4;
  gpu.kernel_launch = Seconds{0};
  gpu.memory_efficiency = 1;
  gpu.compute_efficiency = 1;
  return gpu;
}

/// Figures of NVIDIA's H100 SXM data sheet, with the published efficiency pair of domain B.5.
inline Gpu h100() {
  Gpu gpu = toy_gpu();
  gpu.name = "h100-like";
  gpu.memory_bandwidth = 3.35_TBps;
  gpu.bf16 = 989.5_TFLOPps;
  gpu.fp8 = 1979.0_TFLOPps;
  gpu.sms = 132;
  gpu.kernel_launch = 3.0_us;
  gpu.memory_efficiency = 0.8;
  gpu.compute_efficiency = 0.7;
  return gpu;
}

inline Op gemm(double m, double n, double k, NumberFormat weights = NumberFormat::bf16, Bytes bytes = Bytes{1}) {
  return {"gemm", OpClass::dense_ffn, Flops{2 * m * n * k}, bytes, Gemm{m, n, k, weights}};
}

inline Op streaming(Bytes bytes) {
  return {"norm", OpClass::norm, Flops{0}, bytes, Streaming{}};
}

inline double microseconds(Seconds time) {
  return time.value() * 1e6;
}

}  // namespace moesim::testing
