// The decode GEMMs over quantised weights, compiled.

#include <algorithm>

#include "models/kernels/cuda/decode_gemm.cuh"
#include "models/kernels/cuda/expert_kernels.hpp"

namespace moesim::cuda {
namespace {

template <class Shape, Epilogue kEpilogue>
GemmVariant variant(const char* name) {
  return {name,
          Shape::kFormat,
          kEpilogue,
          Shape::kTokens,
          kPanelRows,
          std::max(kPanelDepth, Shape::Codes::kGroup),
          {reinterpret_cast<const void*>(&decode_gemm<Shape, kEpilogue>), Shape::kThreads, Shape::kSharedBytes}};
}

}  // namespace

std::span<const GemmVariant> decode_variants() {
  using enum WeightFormat;
  using enum Epilogue;
  static const GemmVariant all[] = {
      variant<Decode8<int4_group128>, swiglu>("int4_group128_8"),
      variant<Decode16<int4_group128>, swiglu>("int4_group128_16"),
      variant<Decode32<int4_group128>, swiglu>("int4_group128_32"),
      variant<Decode8<int4_group32>, swiglu>("int4_group32_8"),
      variant<Decode16<int4_group32>, swiglu>("int4_group32_16"),
      variant<Decode32<int4_group32>, swiglu>("int4_group32_32"),
      variant<Decode8<fp8_block128>, swiglu>("fp8_block128_8"),
      variant<Decode16<fp8_block128>, swiglu>("fp8_block128_16"),
      variant<Decode32<fp8_block128>, swiglu>("fp8_block128_32"),
      variant<Decode8<int4_group128>, row_scaled>("int4_group128_8"),
      variant<Decode16<int4_group128>, row_scaled>("int4_group128_16"),
      variant<Decode32<int4_group128>, row_scaled>("int4_group128_32"),
      variant<Decode8<int4_group32>, row_scaled>("int4_group32_8"),
      variant<Decode16<int4_group32>, row_scaled>("int4_group32_16"),
      variant<Decode32<int4_group32>, row_scaled>("int4_group32_32"),
      variant<Decode8<fp8_block128>, row_scaled>("fp8_block128_8"),
      variant<Decode16<fp8_block128>, row_scaled>("fp8_block128_16"),
      variant<Decode32<fp8_block128>, row_scaled>("fp8_block128_32"),
      variant<Decode8<mxfp4>, clamped_swiglu>("mxfp4_8"),
      variant<Decode16<mxfp4>, clamped_swiglu>("mxfp4_16"),
      variant<Decode32<mxfp4>, clamped_swiglu>("mxfp4_32"),
      variant<Decode8<mxfp4>, biased_row_scaled>("mxfp4_8"),
      variant<Decode16<mxfp4>, biased_row_scaled>("mxfp4_16"),
      variant<Decode32<mxfp4>, biased_row_scaled>("mxfp4_32"),
  };
  return all;
}

}  // namespace moesim::cuda
