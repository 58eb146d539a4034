#pragma once
// The grouped GEMM for few rows per expert and quantised weights: c[rows of e] = a[rows of e] b[e]^T, bf16 activations,
// 4-bit or 8-bit weights, fp32 sums. Reading the weights is all that takes time, so they are the left operand of the
// matrix units, which want 16 rows of it and only 8 tokens; scales multiply the fp32 sums of their group.
//
//   a [rows, k], c [rows, n] or [rows, n / 2] with SwiGLU     as in grouped_gemm.cuh
//   b [experts, weight_bytes(format, n, k)]                as in quantized_weights.hpp

#include "models/kernels/cuda/decode_ring.cuh"
#include "models/kernels/cuda/epilogue.cuh"

namespace moesim::cuda {

/// The sums of one lane over its warp's steps, for the whole panel: d[tile][8 tokens] is 16 weight rows x 8 tokens.
template <class Shape>
struct PanelSums {
  float d[kPanelTiles][Shape::kTokenTiles][4];
};

/// Adds one stage, whose vectors of this lane begin at `slot`.
template <class Shape, Fault kFault>
MOESIM_DEVICE void multiply_stage(PanelSums<Shape>& sums, std::uint32_t slot) {
  using Codes = typename Shape::Codes;
  constexpr std::uint32_t kNext = Shape::kVectorBytes;
  constexpr int kStepsPerSet = 4 / Codes::kScaleSets;
  Vector16 x[Shape::kTokenVectors], scales[Codes::kScaleVectors];
  MOESIM_UNROLL
  for (std::uint32_t i = 0; i < Shape::kTokenVectors; ++i)
    x[i] = shared_load_vector(slot + (Shape::kWeightVectors + i) * kNext);
  MOESIM_UNROLL
  for (std::uint32_t i = 0; i < Codes::kScaleVectors; ++i)
    scales[i] = shared_load_vector(slot + (Shape::kWeightVectors + Shape::kTokenVectors + i) * kNext);
  MOESIM_UNROLL
  for (int tile = 0; tile < kPanelTiles; ++tile) {
    Vector16 codes[Codes::kVectors];
    MOESIM_UNROLL
    for (int i = 0; i < Codes::kVectors; ++i)
      codes[i] = shared_load_vector(slot + static_cast<std::uint32_t>(tile * Codes::kVectors + i) * kNext);
    MOESIM_UNROLL
    for (int set = 0; set < Codes::kScaleSets; ++set) {
      float unscaled[Shape::kTokenTiles][4] = {};
      MOESIM_UNROLL
      for (int step = set * kStepsPerSet; step < (set + 1) * kStepsPerSet; ++step) {
        std::uint32_t a[4];
        Codes::unpack(codes, step, a);
        const std::uint32_t in_order[4] = {a[0], a[1], a[2], a[3]}, mistaken[4] = {a[0], a[2], a[1], a[3]};
        MOESIM_UNROLL
        for (int i = 0; i < Shape::kTokenTiles; ++i) {
          const Vector16& token = x[2 * i + step / 2];
          multiply_add(unscaled[i], kFault == Fault::fragment_row ? mistaken : in_order, token.words[step % 2 * 2],
                       token.words[step % 2 * 2 + 1]);
        }
      }
      MOESIM_UNROLL
      for (int i = 0; i < Shape::kTokenTiles; ++i) {
        MOESIM_UNROLL
        for (int element = 0; element < 4; ++element)
          sums.d[tile][i][element] += unscaled[i][element] * Codes::scale(scales, set, tile, element / 2);
      }
    }
  }
}

/// The sums of all warps for the 8 tokens `tokens`: warp w gets those of tile w. `area` alternates between two.
template <class Shape, Fault kFault>
MOESIM_DEVICE void sum_warps(const PanelSums<Shape>& sums, int tokens, std::uint32_t area, float (&total)[4]) {
  const auto slot = [&](int warp, int tile) {
    return area + static_cast<std::uint32_t>(warp * kPanelTiles + tile) * Shape::kVectorBytes +
           static_cast<std::uint32_t>(lane_index()) * sizeof(Vector16);
  };
  MOESIM_UNROLL
  for (int tile = 0; tile < kPanelTiles; ++tile) {
    const float(&d)[4] = sums.d[tile][tokens];
    shared_store_vector(slot(warp_index(), tile),
                        {bits_of_float(d[0]), bits_of_float(d[1]), bits_of_float(d[2]), bits_of_float(d[3])});
  }
  if (kFault != Fault::barrier) barrier();
  MOESIM_UNROLL
  for (int warp = 0; warp < Shape::kWarps; ++warp) {
    const Vector16 part = shared_load_vector(slot(warp, warp_index()));
    MOESIM_UNROLL
    for (int element = 0; element < 4; ++element)
      total[element] = (warp == 0 ? 0.0f : total[element]) + float_from_bits(part.words[element]);
  }
}

/// Writes rows lane / 4 and lane / 4 + 8 of the warp's tile for tokens 2 (lane % 4) and the next of 8, at `row` of the
/// tile's rows; in c they are columns.
template <Epilogue kEpilogue, Fault kFault>
MOESIM_DEVICE void write_sums(const float (&total)[4], const GroupedGemm& gemm, const TileAt& tile, int row) {
  constexpr int kPerOut = kGated<kEpilogue> ? 2 : 1;
  const auto width = static_cast<std::size_t>(gemm.n / kPerOut);
  const int first = tile.column * kPanelRows + warp_index() * 16, own = lane_index() / 4;  // rows of b
  const float biases[2] = {bias_of<kEpilogue>(gemm, tile.expert, first + own),
                           bias_of<kEpilogue>(gemm, tile.expert, first + own + 8)};
  MOESIM_UNROLL
  for (int odd = 0; odd < 2; ++odd) {
    const int token = row + lane_index() % 4 * 2 + odd;
    if (token >= tile.rows && kFault != Fault::row_guard) continue;
    Bf16* out = gemm.c + static_cast<std::size_t>(tile.row + token) * width + first / kPerOut + own;
    const float low = total[odd] + biases[0], high = total[2 + odd] + biases[1];
    if constexpr (kGated<kEpilogue>) {
      global_store(out, round_to_bf16(gated<kEpilogue>(low, high)));
    } else {
      const float scale = row_scale_of<kEpilogue>(gemm, tile.row + token);
      global_store(out, round_to_bf16(low * scale));
      global_store(out + 8, round_to_bf16(high * scale));
    }
  }
}

/// Any number of blocks of Shape::kThreads threads with Shape::kSharedBytes; the map has tiles of Shape::kTokens rows;
/// n divides by kPanelRows, k by kPanelDepth and the depth of a group.
template <class Shape, Epilogue kEpilogue, Fault kFault = Fault::none>
MOESIM_KERNEL MOESIM_LAUNCH_BOUNDS(Shape::kThreads, Shape::kBlocksPerSm) decode_gemm(GroupedGemm gemm) {
  DecodeRing<Shape, kFault> ring{gemm};
  const int panels = gemm.n / kPanelRows, steps = gemm.k / kPanelDepth;
  const int items = global_load(gemm.map.tiles) * panels;
  std::uint32_t parity = 0;
  for (int item = block_index(); item < items; item += block_count()) {
    PanelSums<Shape> sums{};
    for (int step = warp_index(); step < steps; step += Shape::kWarps) multiply_stage<Shape, kFault>(sums, ring.next());
    const TileAt tile = tile_at(gemm.map, item, panels, Shape::kTokens);
    MOESIM_UNROLL
    for (int i = 0; i < Shape::kTokenTiles; ++i) {
      float total[4];
      sum_warps<Shape, kFault>(sums, i, shared_base() + Shape::kRingBytes + parity * Shape::kSumBytes, total);
      write_sums<kEpilogue, kFault>(total, gemm, tile, i * 8);
      parity ^= 1;
    }
  }
}

/// As many stages as leave room for two blocks on an SM of sm_90, three with 4 bits and few tokens.
template <WeightFormat format>
using Decode8 = DecodeShape<format, 8, 4, code_bits(format) == 4 ? 3 : 2>;
template <WeightFormat format>
using Decode16 = DecodeShape<format, 16, code_bits(format) == 4 ? 4 : 3, 2>;
template <WeightFormat format>
using Decode32 = DecodeShape<format, 32, 3, 2>;

}  // namespace moesim::cuda
