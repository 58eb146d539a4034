#include "models/kernels/cpu/int8_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace moesim {
namespace {

constexpr float kMostCode = 127;
// Processors without VNNI add pairs of products in 16 bits that saturate: with activations shifted to 0 .. 255, weights
// of 7 bits keep below that (2 x 255 x 63 = 32,130), as oneDNN's guide to int8 advises.
constexpr float kMostWeightCode = 63;

std::int8_t code_of(float value, float inverse) {
  return static_cast<std::int8_t>(std::lrintf(std::clamp(value * inverse, -kMostCode, kMostCode)));
}

float inverse_of(float scale) {
  return scale > 0 ? 1 / scale : 0;
}

}  // namespace

void quantise_rows(std::span<const float> values, std::span<std::int8_t> codes, std::span<float> scales) {
  const auto rows = static_cast<std::int64_t>(scales.size());
  const auto width = static_cast<std::int64_t>(values.size()) / rows;
#pragma omp parallel for schedule(static) if (rows > 1)
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = values.data() + row * width;
    float most = 0;
    for (std::int64_t c = 0; c < width; ++c) most = std::max(most, std::abs(from[c]));
    const float scale = most / kMostCode, inverse = inverse_of(scale);
    scales[static_cast<std::size_t>(row)] = scale;
    std::int8_t* to = codes.data() + row * width;
    for (std::int64_t c = 0; c < width; ++c) to[c] = code_of(from[c], inverse);
  }
}

void quantise_columns(std::span<const float> values, std::span<std::int8_t> codes, std::span<float> scales) {
  std::fill(scales.begin(), scales.end(), 0.0f);
  for (std::size_t i = 0; i < values.size(); ++i) {
    float& most = scales[i % scales.size()];
    most = std::max(most, std::abs(values[i]));
  }
  for (float& scale : scales) scale /= kMostWeightCode;
  for (std::size_t i = 0; i < values.size(); ++i) codes[i] = code_of(values[i], inverse_of(scales[i % scales.size()]));
}

void swiglu_of_sums(std::span<const std::int32_t> sums, std::span<const float> row_scale,
                    std::span<const float> column_scale, std::span<const float> combine, std::span<float> middle) {
  const auto rows = static_cast<std::int64_t>(row_scale.size());
  const auto width = static_cast<std::int64_t>(column_scale.size()) / 2;
#pragma omp parallel for schedule(static) if (rows > 1)
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int32_t* from = sums.data() + row * 2 * width;
    const float of_row = row_scale[static_cast<std::size_t>(row)], weight = combine[static_cast<std::size_t>(row)];
    float* to = middle.data() + row * width;
    for (std::int64_t c = 0; c < width; ++c) {
      const float gate = static_cast<float>(from[c]) * of_row * column_scale[static_cast<std::size_t>(c)];
      const float up = static_cast<float>(from[width + c]) * of_row * column_scale[static_cast<std::size_t>(width + c)];
      to[c] = weight * gate / (1 + std::exp(-gate)) * up;
    }
  }
}

void scale_sums(std::span<const std::int32_t> sums, std::span<const float> row_scale,
                std::span<const float> column_scale, std::span<float> out) {
  const auto rows = static_cast<std::int64_t>(row_scale.size());
  const auto width = static_cast<std::int64_t>(column_scale.size());
#pragma omp parallel for schedule(static) if (rows > 1)
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t c = 0; c < width; ++c)
      out[static_cast<std::size_t>(row * width + c)] =
          static_cast<float>(sums[static_cast<std::size_t>(row * width + c)]) *
          row_scale[static_cast<std::size_t>(row)] * column_scale[static_cast<std::size_t>(c)];
}

}  // namespace moesim
