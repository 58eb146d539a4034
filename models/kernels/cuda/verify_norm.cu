#include <algorithm>

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/norm_kernels.hpp"
#include "models/kernels/cuda/reference.hpp"

namespace moesim::cuda {
namespace {

std::vector<Bf16> random_row(std::size_t size, std::uint64_t& state) {
  std::vector<Bf16> values(size);
  for (Bf16& value : values)
    value = bf16_from(static_cast<float>(static_cast<double>(next_bits(state) >> 11) * 0x1p-51 - 2));
  return values;
}

}  // namespace

double verify_rms_norm(std::uint64_t seed) {
  constexpr std::size_t kTokens = 37;
  constexpr float kEpsilon = 1e-6f;
  double worst = 0;
  for (const int width : {128, 2880, 4096, 7168, 16384}) {
    const std::size_t size = kTokens * static_cast<std::size_t>(width);
    const auto x = random_row(size, seed), residual = random_row(size, seed),
               weight = random_row(static_cast<std::size_t>(width), seed);
    DeviceArray<Bf16> x_in{x}, sum{residual}, weight_in{weight}, out{size};
    check(launch_rms_norm({x_in.data(), sum.data(), weight_in.data(), out.data(), kTokens, width, kEpsilon}, nullptr),
          "rms_norm");
    const auto added = reference::added(x, residual);
    const auto got = sum.values();
    worst = std::max({worst, reference::relative_errors(got, added).worst,
                      reference::relative_errors(out.values(), reference::rms_norm(got, weight, kEpsilon)).worst});
  }
  return worst;
}

}  // namespace moesim::cuda
