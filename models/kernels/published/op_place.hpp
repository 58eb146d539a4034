#pragma once
// Where an op of a layer lies on the tables of a kernel model.

#include <array>
#include <optional>
#include <span>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// Formats whose kernels do the same work: fp16 is timed as bf16.
NumberFormat timed_as(NumberFormat format);

/// Where an op lies on the tables of its operation.
struct OpPlace {
  KernelOperation operation = KernelOperation::gemm;
  NumberFormat format = NumberFormat::bf16;
  std::optional<int> head_dim;
  std::array<double, 2> at{};
  std::size_t axes = 0;
  double size = 0;
  double share_of_pairs = 1;  ///< prompts: (query, key) pairs over those of a new prompt without a window

  std::span<const double> axis_places() const { return {at.data(), axes}; }
};

OpPlace place_of(const Op& op, const AttentionCore& core);
/// MLA's products per head have tables of their own for DeepSeek's dimensions (128 x 512 per head).
OpPlace place_of(const Op& op, const Gemm& gemm);

}  // namespace moesim
