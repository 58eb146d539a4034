#pragma once
// From the router's choices to rows: how many slots each expert has, and which row of the grouped GEMM each slot takes.
// A slot is one (token, choice). Rows within an expert come in no particular order; the GEMM treats them all alike.

#include "models/kernels/cuda/tile_map.cuh"

namespace moesim::cuda {

/// chosen [slots] -> counts [experts], which must be zero before. Any grid; experts * 4 bytes of shared memory.
MOESIM_KERNEL count_experts(const int* chosen, int slots, int experts, int* counts) {
  const std::uint32_t histogram = shared_base();
  for (int expert = thread_index(); expert < experts; expert += block_threads())
    shared_store(histogram + static_cast<std::uint32_t>(expert) * 4, 0);
  barrier();
  for (int slot = block_index() * block_threads() + thread_index(); slot < slots;
       slot += block_count() * block_threads())
    shared_atomic_add(histogram + static_cast<std::uint32_t>(global_load(chosen + slot)) * 4, 1);
  barrier();
  for (int expert = thread_index(); expert < experts; expert += block_threads()) {
    const int count = shared_load(histogram + static_cast<std::uint32_t>(expert) * 4);
    if (count > 0) global_atomic_add(counts + expert, count);
  }
}

/// Any grid.
MOESIM_KERNEL assign_rows(RowAssignment rows) {
  for (int slot = block_index() * block_threads() + thread_index(); slot < rows.slots;
       slot += block_count() * block_threads()) {
    const int expert = global_load(rows.chosen + slot);
    const ExpertRows own = global_load(rows.experts + expert);
    const int place = global_atomic_add(rows.cursors + expert, 1);
    const bool fits = place < own.rows;
    global_store(rows.row_of_slot + slot, fits ? own.row_begin + place : -1);
    if (!fits) continue;
    global_store(rows.token_of_row + own.row_begin + place, slot / rows.k);
    global_store(rows.weight_of_row + own.row_begin + place, global_load(rows.weights + slot));
  }
}

}  // namespace moesim::cuda
