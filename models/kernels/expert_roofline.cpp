#include "models/kernels/expert_roofline.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

namespace moesim {
namespace {

/// Bytes of one activation element that enters a GEMM: fp8 kernels quantise their input, block fp8 with one fp32 scale
/// per 128 elements; weight-only formats keep bf16 (domain B.4).
double activation_bytes(NumberFormat weights) {
  return bits_per_vector_element(activation_format(weights)) / 8;
}

constexpr double kOutputBytes = 2;  // GEMM outputs are bf16

const ExpertShape& checked(const ExpertShape& shape) {
  if (shape.hidden <= 0 || shape.expert_hidden <= 0)
    throw std::invalid_argument{fmt::format("an expert needs widths above zero, got hidden {} and expert_hidden {}",
                                            shape.hidden, shape.expert_hidden)};
  return shape;
}

}  // namespace

GroupedGemm::GroupedGemm(const TileWaves& waves, double columns, double k) : waves_(waves), columns_(columns), k_(k) {
  for (const int rows_log2 : kTileRowsLog2)
    for (std::int32_t tiles = 0; tiles < kTabulated; ++tiles)
      seconds_.push_back(waves.best_columns(rows_log2, tiles, columns, k).value());
}

Seconds GroupedGemm::time(const RowTiles& tiles, Seconds memory) const {
  // Plain doubles: the compiler then has no branch to mispredict in what every rank runs in every layer.
  double best = std::numeric_limits<double>::infinity();
  if (tiles[0] < kTabulated) {  // the smallest tiles are the most
    for (std::size_t i = 0; i < tiles.size(); ++i)
      best = std::min(best, seconds_[i * kTabulated + static_cast<std::size_t>(tiles[i])]);
  } else {
    for (std::size_t i = 0; i < tiles.size(); ++i)
      best = std::min(best, waves_.best_columns(kTileRowsLog2[i], tiles[i], columns_, k_).value());
  }
  return Seconds{std::max(best, memory.value())};
}

ExpertRoofline::ExpertRoofline(const ExpertShape& shape, const TileWaves& waves, BytesPerSecond memory, Seconds launch)
    : gate_up_(waves, 2.0 * checked(shape).expert_hidden, shape.hidden),
      down_(waves, shape.hidden, shape.expert_hidden),
      launches_(3 * launch) {
  const double d = shape.hidden, f = shape.expert_hidden, input = activation_bytes(shape.format);
  gate_up_weights_ = bytes_of(2 * d * f, shape.format) / memory;
  down_weights_ = bytes_of(d * f, shape.format) / memory;
  gate_up_activations_ = Bytes{d * input + 2 * f * kOutputBytes} / memory;
  activation_ = Bytes{2 * f * kOutputBytes + f * input} / memory;
  down_activations_ = Bytes{f * input + d * kOutputBytes} / memory;
}

Seconds ExpertRoofline::operator()(std::span<const std::int32_t> rows_per_slot, std::optional<double>) const {
  std::int32_t rows = 0, active = 0;
  GroupedGemm::RowTiles tiles{};
  for (const std::int32_t m : rows_per_slot) {
    rows += m;
    active += m > 0;
    for (std::size_t i = 0; i < tiles.size(); ++i) tiles[i] += (m + (1 << kTileRowsLog2[i]) - 1) >> kTileRowsLog2[i];
  }
  if (rows == 0) return Seconds{0};
  return launches_ + rows * activation_ +
         gate_up_.time(tiles, active * gate_up_weights_ + rows * gate_up_activations_) +
         down_.time(tiles, active * down_weights_ + rows * down_activations_);
}

}  // namespace moesim
