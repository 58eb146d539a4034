#include "models/kernels/cuda/quantized_weights.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace moesim::cuda {
namespace {

class Packer {
public:
  explicit Packer(const QuantizedMatrix& matrix)
      : m_{matrix}, out_(weight_bytes(matrix.format, matrix.n, matrix.k) / sizeof(Vector16)) {}

  std::vector<Vector16> run() {
    for (int panel = 0; panel < m_.n / kPanelRows; ++panel)
      for (int stage = 0; stage < m_.k / kPanelDepth; ++stage)
        for (int tile = 0; tile < kPanelTiles; ++tile) pack_tile(panel, stage, tile);
    for (int panel = 0; panel < m_.n / kPanelRows; ++panel)
      for (int group = 0; group < groups(); ++group) pack_scales(panel, group);
    return std::move(out_);
  }

private:
  bool nibbles() const { return code_bits(m_.format) == 4; }
  int groups() const { return m_.k / group_depth(m_.format); }
  std::uint32_t code(int row, int k) const { return m_.codes[static_cast<std::size_t>(row * m_.k + k)]; }
  float scale(int row, int group) const { return m_.scales[static_cast<std::size_t>(row * groups() + group)]; }

  // Step s of the four matrix steps of a stage multiplies registers 0..3: rows r, r + 8, r, r + 8 and of each 32 along
  // k 8 t + 4 (s % 2), the last two registers 2 further; each register holds two codes.
  void pack_tile(int panel, int stage, int tile) {
    for (int lane = 0; lane < 32; ++lane)
      for (int step = 0; step < 4; ++step)
        for (int reg = 0; reg < 4; ++reg)
          for (int odd = 0; odd < 2; ++odd) {
            const int row = panel * kPanelRows + tile * 16 + lane / 4 + reg % 2 * 8;
            const int k = stage * kPanelDepth + step / 2 * 32 + lane % 4 * 8 + step % 2 * 4 + reg / 2 * 2 + odd;
            const int tile_index = (panel * (m_.k / kPanelDepth) + stage) * kPanelTiles + tile;
            put(tile_index, lane, step, reg, odd, code(row, k));
          }
  }

  // 4 bits: nibbles reg and reg + 4 of word `step`. 8 bits: bytes reg % 2 and reg % 2 + 2 of word 2 (step % 2) + reg /
  // 2 of vector step / 2. Either way the two codes of a register are 16 bits apart.
  void put(int tile, int lane, int step, int reg, int odd, std::uint32_t code) {
    const int vectors = code_bits(m_.format) / 4;
    const int vector = nibbles() ? 0 : step / 2;
    const int word = nibbles() ? step : step % 2 * 2 + reg / 2;
    const int shift = (nibbles() ? 4 * reg : 8 * (reg % 2)) + 16 * odd;
    out_[static_cast<std::size_t>((tile * vectors + vector) * 32 + lane)].words[word] |= code << shift;
  }

  void pack_scales(int panel, int group) {
    for (int row = 0; row < kPanelRows; ++row) {
      const float value = scale(panel * kPanelRows + row, group);
      const int r = row % 8, tile = row / 16, half = row % 16 / 8;
      const auto bits = std::bit_cast<std::uint32_t>(value);
      std::uint32_t* words = record(panel, group);
      if (is_int4(m_.format))
        words[r * kPanelTiles + tile] |= (bits >> 16) << (16 * half);
      else if (m_.format == WeightFormat::mxfp4)
        words[r * 4 + group % 2 * 2 + tile / 2] |= (bits >> 23) << (16 * (tile % 2) + 8 * half);
      else
        words[half] = bits;
    }
  }

  /// The record that has the scales of a group.
  std::uint32_t* record(int panel, int group) {
    const std::size_t scales = static_cast<std::size_t>(m_.n) * static_cast<std::size_t>(m_.k) *
                               static_cast<std::size_t>(code_bits(m_.format)) / 8 / sizeof(Vector16);
    const auto vectors = static_cast<std::size_t>(record_bytes(m_.format)) / sizeof(Vector16);
    const int depth = record_depth(m_.format);
    const auto index = static_cast<std::size_t>(panel * (m_.k / depth) + group * group_depth(m_.format) / depth);
    return out_[scales + index * vectors].words;
  }

  const QuantizedMatrix& m_;
  std::vector<Vector16> out_;
};

}  // namespace

std::vector<Vector16> pack(const QuantizedMatrix& matrix) {
  return Packer{matrix}.run();
}

std::vector<double> dequantised(const QuantizedMatrix& matrix) {
  const auto depth = static_cast<std::size_t>(group_depth(matrix.format));
  std::vector<double> values;
  values.reserve(matrix.codes.size());
  for (std::size_t at = 0; at < matrix.codes.size(); ++at) {
    const std::uint8_t code = matrix.codes[at];
    const double value = is_int4(matrix.format)                 ? code - 8.0
                         : matrix.format == WeightFormat::mxfp4 ? e2m1_value(code)
                                                                : e4m3_value(code);
    values.push_back(value * matrix.scales[at / depth]);
  }
  return values;
}

double e2m1_value(std::uint8_t code) {
  constexpr double kSizes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return code & 8 ? -kSizes[code & 7] : kSizes[code & 7];
}

double e4m3_value(std::uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  if ((code & 0x7F) == 0x7F) return std::nan("");
  const double size = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return code & 0x80 ? -size : size;
}

}  // namespace moesim::cuda
