#include "models/kernels/profile.hpp"

#include <array>
#include <numeric>

namespace moesim {

std::string_view name_of(DeviceKind kind) {
  return kind == DeviceKind::cuda ? "cuda" : "cpu";
}

std::string_view name_of(KernelFormat format) {
  static constexpr std::array kNames{"f32", "bf16", "int8", "fp8", "int4", "mxfp4"};
  return kNames[static_cast<std::size_t>(format)];
}

std::string_view name_of(HistogramKind kind) {
  static constexpr std::array kNames{"uniform", "multinomial", "zipf", "one_hot", "half_empty", "recorded"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<std::string> kernel_format_names() {
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(kLastKernelFormat); ++i)
    names.emplace_back(name_of(static_cast<KernelFormat>(i)));
  return names;
}

Bytes expert_weights(const KernelShape& shape) {
  static constexpr std::array kBytes{4.0, 2.0, 1.0, 1.0, 0.5, 0.5};
  return Bytes{3.0 * shape.hidden * shape.intermediate * kBytes[static_cast<std::size_t>(shape.format)]};
}

Flops expert_flops(const KernelShape& shape, std::int64_t rows) {
  return Flops{6.0 * static_cast<double>(rows) * shape.hidden * shape.intermediate};
}

std::int64_t TokenHistogram::total() const {
  return std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
}

}  // namespace moesim
