#pragma once
// The primitives of primitives_hopper.cuh on the host. Included by it only.

#include "models/kernels/cuda/emulation/block.hpp"
#include "models/kernels/cuda/emulation/matrix_operations.hpp"

#define MOESIM_GRID_CONSTANT

namespace moesim::cuda {

using TensorMap = emulation::TensorMap;

MOESIM_DEVICE void init_phase_barrier(std::uint32_t address, int arrivals) {
  emulation::Block& block = emulation::current_block();
  block.engine().init_barrier(address, arrivals, block.now());
}
MOESIM_DEVICE void publish_phase_barriers() {}
MOESIM_DEVICE void arrive_at_phase(std::uint32_t address) {
  emulation::current_block().arrive_at_phase(address, 0);
}
MOESIM_DEVICE void arrive_expecting(std::uint32_t address, std::uint32_t bytes) {
  emulation::current_block().arrive_at_phase(address, bytes);
}
MOESIM_DEVICE void wait_phase(std::uint32_t address, std::uint32_t parity) {
  emulation::current_block().wait_phase(address, static_cast<int>(parity));
}
MOESIM_DEVICE void copy_tile_async(std::uint32_t target, const TensorMap& map, int column, int row,
                                   std::uint32_t barrier) {
  emulation::current_block().copy_tile(target, map, column, row, barrier);
}

template <int n>
MOESIM_DEVICE void multiply_add_async(float (&d)[n / 2], std::uint64_t a, std::uint64_t b, bool accumulate) {
  emulation::multiply_add_async(d, a, b, n, accumulate);
}
MOESIM_DEVICE void begin_multiplies() {}
MOESIM_DEVICE void commit_multiplies() {
  emulation::commit_multiplies();
}
template <int Newest>
MOESIM_DEVICE void wait_multiplies() {
  emulation::wait_multiplies(Newest);
}
template <int size>
MOESIM_DEVICE void keep_sums(float (&)[size]) {}

template <int registers>
MOESIM_DEVICE void give_registers() {}
template <int registers>
MOESIM_DEVICE void take_registers() {}

}  // namespace moesim::cuda
