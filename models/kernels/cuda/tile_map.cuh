#pragma once
// Which rows belong to which expert, cut into tiles of `tile_rows`: the one description of work that the grouped GEMM
// reads, whichever way the rows lie. Built on the device (build_tile_map.cuh), so that a CUDA graph serves any
// histogram.
//
//   contiguous: experts one after the other, no gaps         (prefill; capacity 0)
//   masked:     expert e owns rows e * capacity, ...         (decode; fixed addresses)

#include "models/kernels/cuda/operands.hpp"
#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

/// One output tile of a grouped GEMM.
struct TileAt {
  int expert;
  int row;     ///< first row
  int rows;    ///< rows of the expert from there on; more than the tile has is fine
  int column;  ///< index of the tile along n
};

/// Work item `item` of tiles x columns. Row tiles of one expert run fastest, so that blocks in flight share its
/// weights.
MOESIM_DEVICE TileAt tile_at(const TileMap& map, int item, int columns, int tile_rows) {
  const int expert = global_load(map.tile_expert + item / columns);
  const ExpertRows rows = global_load(map.experts + expert);
  const int local = item - rows.first_tile * columns;
  const int down = local % rows.tiles * tile_rows;
  return {expert, rows.row_begin + down, rows.rows - down, local / rows.tiles};
}

}  // namespace moesim::cuda
