#pragma once
// The two grouped GEMMs of an expert FFN and the tiles they are built with.
//
//   GEMM1: hidden [rows, i] = SwiGLU(x [rows, h] w13 [e, 2 i, h]^T)     gate and up rows of w13 interleaved by 8
//   GEMM2: y [rows, h] = weight[row] * hidden [rows, i] w2 [e, h, i]^T
//
// Rows per tile follow the rows per expert: padding below, weight re-reads above. 2880 (gpt-oss) divides by 96 and 192,
// not by 128, hence its own tiles. The ring is as deep as 163 KiB (sm_80) allow, `kShallow` as 99 KiB (sm_86, sm_120).

#include "models/kernels/cuda/grouped_gemm.cuh"

namespace moesim::cuda {

using Tile16 = TileShape<16, 64, 1, 4, 8, 2>;            //  80 KiB
using Tile32 = TileShape<32, 128, 1, 4, 6, 1>;           // 120 KiB
using Tile64 = TileShape<64, 128, 2, 4, 4, 2>;           //  96 KiB
using Tile128 = TileShape<128, 128, 2, 4, 4, 1>;         // 128 KiB
using Tile32Shallow = TileShape<32, 128, 1, 4, 4, 1>;    // 80 KiB
using Tile128Shallow = TileShape<128, 128, 2, 4, 3, 1>;  // 96 KiB
// Columns that divide by 96 only.
using Tile32By96 = TileShape<32, 96, 2, 2, 6, 1>;      //  96 KiB
using Tile64By96 = TileShape<64, 96, 4, 2, 4, 2>;      //  80 KiB
using Tile128By96 = TileShape<128, 96, 4, 2, 3, 1>;    //  84 KiB
using Tile128By192 = TileShape<128, 192, 2, 4, 4, 1>;  // 160 KiB

}  // namespace moesim::cuda
