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
      for (int group = 0; group < groups(); ++group)
        is_int4(m_.format) ? pack_int4(panel, group) : pack_fp8(panel, group);
    return std::move(out_);
  }

private:
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

  // int4: nibbles reg and reg + 4 of word `step`. fp8: bytes reg % 2 and reg % 2 + 2 of word 2 (step % 2) + reg / 2 of
  // vector step / 2. Either way the two codes of a register are 16 bits apart.
  void put(int tile, int lane, int step, int reg, int odd, std::uint32_t code) {
    const int vectors = code_bits(m_.format) / 4;
    const int vector = is_int4(m_.format) ? 0 : step / 2;
    const int word = is_int4(m_.format) ? step : step % 2 * 2 + reg / 2;
    const int shift = (is_int4(m_.format) ? 4 * reg : 8 * (reg % 2)) + 16 * odd;
    out_[static_cast<std::size_t>((tile * vectors + vector) * 32 + lane)].words[word] |= code << shift;
  }

  std::uint32_t* record(int panel, int group) {
    const std::size_t scales = static_cast<std::size_t>(m_.n) * static_cast<std::size_t>(m_.k) *
                               static_cast<std::size_t>(code_bits(m_.format)) / 8 / sizeof(Vector16);
    const auto vectors = static_cast<std::size_t>(record_bytes(m_.format)) / sizeof(Vector16);
    return out_[scales + static_cast<std::size_t>(panel * groups() + group) * vectors].words;
  }

  void pack_int4(int panel, int group) {
    for (int row = 0; row < kPanelRows; ++row) {
      const int word = row % 8 * kPanelTiles + row / 16;
      const std::uint32_t bits = bf16_from(scale(panel * kPanelRows + row, group)).bits;
      record(panel, group)[word] |= bits << (row % 16 / 8 * 16);
    }
  }

  void pack_fp8(int panel, int group) {
    for (int half = 0; half < 2; ++half)
      record(panel, group)[half] = std::bit_cast<std::uint32_t>(scale(panel * kPanelRows + half * 8, group));
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
    values.push_back((is_int4(matrix.format) ? code - 8.0 : e4m3_value(code)) * matrix.scales[at / depth]);
  }
  return values;
}

double e4m3_value(std::uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  if ((code & 0x7F) == 0x7F) return std::nan("");
  const double size = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return code & 0x80 ? -size : size;
}

}  // namespace moesim::cuda
