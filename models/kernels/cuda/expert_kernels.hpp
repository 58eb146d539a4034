#pragma once
// The kernels of this folder as host functions, for programs that verify and time them. Nothing here waits: kernels are
// put on the stream, and a refused launch is returned.

#include <span>

#include <cuda_runtime.h>

#include "models/kernels/cuda/operands.hpp"
#include "models/kernels/cuda/persistent_kernel.hpp"

namespace moesim::cuda {

/// A grouped GEMM that is compiled. Which exist is this table; which is used is decided by measurement.
struct GemmVariant {
  const char* name;
  WeightFormat format;
  Epilogue epilogue;
  int rows;     ///< of a tile: what the tile map must be built with
  int columns;  ///< n must divide by it
  int depth;    ///< k must divide by it
  PersistentKernel kernel;
};

/// Over bf16 weights. GEMM1 (Epilogue::swiglu) in every tile, GEMM2 (Epilogue::row_scaled) also in those of 96 and 192
/// columns.
std::span<const GemmVariant> gemm_variants();

/// Over 4-bit and 8-bit weights, for few rows per expert: tiles of 8, 16 and 32 rows. Those over mxfp4 have the
/// epilogues of gpt-oss.
std::span<const GemmVariant> decode_variants();

/// Whether a block of the device has the variant's shared memory and its tiles divide `n`.
inline bool fits_device(const GemmVariant& variant, int n, const cudaDeviceProp& device) {
  return n % variant.columns == 0 && fits_device(variant.kernel, device);
}

/// counts [experts] -> map; capacity 0 is the contiguous layout, else expert e owns rows from e * capacity.
cudaError_t launch_tile_map(const int* counts, int experts, int tile_rows, int capacity, TileMap map, cudaStream_t);

/// At most 256 experts and 32 choices, groups of 32 whole experts; cudaErrorInvalidValue beyond.
cudaError_t launch_router(Router router, Scoring scoring, cudaStream_t stream);

/// counts [experts] must be zero.
cudaError_t launch_count_experts(const int* chosen, int slots, int experts, int* counts, cudaStream_t stream);

/// rows.cursors [experts] must be zero.
cudaError_t launch_assign_rows(RowAssignment rows, cudaStream_t stream);

/// x [tokens, width] -> out [rows, width]; width divides by 8.
cudaError_t launch_gather(const Bf16* x, const int* token_of_row, TileMap map, int tile_rows, int width, Bf16* out,
                          int blocks, cudaStream_t stream);

/// y [rows, width] -> out [tokens, width]; width divides by 8.
cudaError_t launch_combine(const Bf16* y, const int* row_of_slot, int tokens, int choices, int width, Bf16* out,
                           cudaStream_t stream);

}  // namespace moesim::cuda
