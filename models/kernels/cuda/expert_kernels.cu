// Every kernel of the expert FFN, compiled: the one object that the programs of this folder link.

#include <algorithm>

#include "models/kernels/cuda/build_tile_map.cuh"
#include "models/kernels/cuda/combine.cuh"
#include "models/kernels/cuda/expert_ffn.cuh"
#include "models/kernels/cuda/expert_kernels.hpp"
#include "models/kernels/cuda/expert_rows.cuh"
#include "models/kernels/cuda/gather_rows.cuh"
#include "models/kernels/cuda/launch_kernel.cuh"
#include "models/kernels/cuda/router_topk.cuh"

namespace moesim::cuda {
namespace {

constexpr int kSlotThreads = 256;
constexpr int kMostBlocks = 1024;  // of grid-stride kernels

template <class Tile, Epilogue kEpilogue>
GemmVariant variant(const char* name) {
  return {name,
          WeightFormat::bf16,
          kEpilogue,
          Tile::kRows,
          Tile::kColumns,
          kStageDepth,
          {reinterpret_cast<const void*>(&grouped_gemm<Tile, kEpilogue>), Tile::kThreads, Tile::kSharedBytes}};
}

int blocks_for(int items, int per_block) {
  return std::clamp((items + per_block - 1) / per_block, 1, kMostBlocks);
}

template <int kPerLane>
cudaError_t route(const Router& router, Scoring scoring, cudaStream_t stream) {
  const int tokens_per_block = kRouterThreads / kWarp;
  const Grid grid{(router.tokens + tokens_per_block - 1) / tokens_per_block, kRouterThreads};
  return launch_kernel(
      scoring == Scoring::softmax ? router_topk<kPerLane, Scoring::softmax> : router_topk<kPerLane, Scoring::sigmoid>,
      grid, stream, router);
}

}  // namespace

std::span<const GemmVariant> gemm_variants() {
  static const GemmVariant all[] = {
      variant<Tile16, Epilogue::swiglu>("mma_16x64"),
      variant<Tile32, Epilogue::swiglu>("mma_32x128"),
      variant<Tile64, Epilogue::swiglu>("mma_64x128"),
      variant<Tile128, Epilogue::swiglu>("mma_128x128"),
      variant<Tile32Shallow, Epilogue::swiglu>("mma_32x128_shallow"),
      variant<Tile128Shallow, Epilogue::swiglu>("mma_128x128_shallow"),
      variant<Tile16, Epilogue::row_scaled>("mma_16x64"),
      variant<Tile32, Epilogue::row_scaled>("mma_32x128"),
      variant<Tile64, Epilogue::row_scaled>("mma_64x128"),
      variant<Tile128, Epilogue::row_scaled>("mma_128x128"),
      variant<Tile32Shallow, Epilogue::row_scaled>("mma_32x128_shallow"),
      variant<Tile128Shallow, Epilogue::row_scaled>("mma_128x128_shallow"),
      variant<Tile32By96, Epilogue::row_scaled>("mma_32x96"),
      variant<Tile64By96, Epilogue::row_scaled>("mma_64x96"),
      variant<Tile128By96, Epilogue::row_scaled>("mma_128x96"),
      variant<Tile128By192, Epilogue::row_scaled>("mma_128x192"),
  };
  return all;
}

cudaError_t launch_tile_map(const int* counts, int experts, int tile_rows, int capacity, TileMap map,
                            cudaStream_t stream) {
  return launch_kernel(build_tile_map, {1, kTileMapThreads, kTileMapSharedBytes}, stream, counts, experts, tile_rows,
                       capacity, map);
}

cudaError_t launch_router(Router router, Scoring scoring, cudaStream_t stream) {
  if (router.experts > 8 * kWarp || router.k > kWarp || router.k > router.experts) return cudaErrorInvalidValue;
  if (router.groups_kept > 0 && router.experts % kWarp != 0) return cudaErrorInvalidValue;
  if (router.experts <= kWarp) return route<1>(router, scoring, stream);
  if (router.experts <= 4 * kWarp) return route<4>(router, scoring, stream);
  return route<8>(router, scoring, stream);
}

cudaError_t launch_count_experts(const int* chosen, int slots, int experts, int* counts, cudaStream_t stream) {
  const std::size_t histogram = static_cast<std::size_t>(experts) * sizeof(int);
  return launch_kernel(count_experts, {blocks_for(slots, 4 * kSlotThreads), kSlotThreads, histogram}, stream, chosen,
                       slots, experts, counts);
}

cudaError_t launch_assign_rows(RowAssignment rows, cudaStream_t stream) {
  return launch_kernel(assign_rows, {blocks_for(rows.slots, kSlotThreads), kSlotThreads}, stream, rows);
}

cudaError_t launch_gather(const Bf16* x, const int* token_of_row, TileMap map, int tile_rows, int width, Bf16* out,
                          int blocks, cudaStream_t stream) {
  return launch_kernel(gather_rows, {blocks, kGatherThreads}, stream, x, token_of_row, map, tile_rows, width, out);
}

cudaError_t launch_combine(const Bf16* y, const int* row_of_slot, int tokens, int choices, int width, Bf16* out,
                           cudaStream_t stream) {
  return launch_kernel(combine, {blocks_for(tokens, 1), kCombineThreads}, stream, y, row_of_slot, tokens, choices,
                       width, out);
}

}  // namespace moesim::cuda
