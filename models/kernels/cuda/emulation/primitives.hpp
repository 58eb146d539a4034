#pragma once
// The primitives of primitives.cuh on the host, inside emulation::launch. Included by primitives.cuh only.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>

#include "models/kernels/cuda/bf16.hpp"
#include "models/kernels/cuda/emulation/block.hpp"
#include "models/kernels/cuda/emulation/global_memory.hpp"
#include "models/kernels/cuda/emulation/matrix_operations.hpp"

#define MOESIM_DEVICE inline
#define MOESIM_KERNEL inline void
#define MOESIM_LAUNCH_BOUNDS(threads, blocks_per_sm)
#define MOESIM_UNROLL
#define MOESIM_UNROLL_BY_2

namespace moesim::cuda {

MOESIM_DEVICE int thread_index() {
  return emulation::current_block().thread();
}
MOESIM_DEVICE int block_threads() {
  return emulation::current_block().shape().threads;
}
MOESIM_DEVICE int block_index() {
  return emulation::current_block().index();
}
MOESIM_DEVICE int block_count() {
  return emulation::current_block().shape().blocks;
}
MOESIM_DEVICE void barrier() {
  emulation::current_block().barrier();
}

MOESIM_DEVICE std::uint32_t shared_base() {
  return 0;
}
MOESIM_DEVICE int shared_load(std::uint32_t address) {
  emulation::Block& block = emulation::current_block();
  int value;
  std::memcpy(&value, block.shared().read(address, sizeof value, block.now()).data(), sizeof value);
  return value;
}
MOESIM_DEVICE void shared_store(std::uint32_t address, int value) {
  emulation::Block& block = emulation::current_block();
  block.shared().write(address, std::as_bytes(std::span{&value, 1}), block.now());
}
MOESIM_DEVICE Vector16 shared_load_vector(std::uint32_t address) {
  emulation::Block& block = emulation::current_block();
  Vector16 value;
  std::memcpy(&value, block.shared().read(address, sizeof value, block.now()).data(), sizeof value);
  return value;
}
MOESIM_DEVICE void shared_store_vector(std::uint32_t address, Vector16 value) {
  emulation::Block& block = emulation::current_block();
  block.shared().write(address, std::as_bytes(std::span{&value, 1}), block.now());
}
MOESIM_DEVICE void shared_atomic_add(std::uint32_t address, int value) {
  emulation::Block& block = emulation::current_block();
  block.shared().atomic_add(address, value, block.now());
}

template <class T>
MOESIM_DEVICE T global_load(const T* address) {
  emulation::check_global(address, sizeof(T), emulation::Access::read);
  return *address;
}
template <class T>
MOESIM_DEVICE void global_store(T* address, T value) {
  emulation::check_global(address, sizeof(T), emulation::Access::write);
  *address = value;
}
MOESIM_DEVICE int global_atomic_add(int* address, int value) {
  emulation::check_global(address, sizeof(int), emulation::Access::write);
  const int before = *address;
  *address += value;
  return before;
}

MOESIM_DEVICE void copy_async16(std::uint32_t target, const void* source, bool wanted) {
  emulation::current_block().copy_async(target, source, wanted);
}
MOESIM_DEVICE void commit_copies() {
  emulation::current_block().commit_copies();
}
template <int Newest>
MOESIM_DEVICE void wait_copies() {
  emulation::current_block().wait_copies(Newest);
}

MOESIM_DEVICE void load_matrices(std::uint32_t (&fragment)[4], std::uint32_t row_address) {
  emulation::load_matrices(fragment, row_address);
}
MOESIM_DEVICE void load_matrices_transposed(std::uint32_t (&fragment)[4], std::uint32_t row_address) {
  emulation::load_matrices_transposed(fragment, row_address);
}
MOESIM_DEVICE void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  emulation::multiply_add(d, a, b0, b1);
}
MOESIM_DEVICE float shuffle_xor(float value, int lane_mask) {
  return emulation::shuffle_xor(value, lane_mask);
}
MOESIM_DEVICE int shuffle_xor(int value, int lane_mask) {
  return emulation::shuffle_xor(value, lane_mask);
}

MOESIM_DEVICE float fast_exp(float value) {
  return std::exp(value);
}
MOESIM_DEVICE float fast_exp2(float value) {
  return std::exp2(value);
}
MOESIM_DEVICE float fast_log2(float value) {
  return std::log2(value);
}
MOESIM_DEVICE float fast_inverse_root(float value) {
  return 1 / std::sqrt(value);
}
MOESIM_DEVICE float fast_divide(float numerator, float denominator) {
  return numerator / denominator;
}
MOESIM_DEVICE float float_from_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}
MOESIM_DEVICE std::uint32_t bits_of_float(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
MOESIM_DEVICE std::uint32_t pack_bf16(float low, float high) {
  return bf16_from(low).bits | static_cast<std::uint32_t>(bf16_from(high).bits) << 16;
}
/// Products of bfloat16 are exact in double, and so are the sums here: rounding to float first is harmless, because a
/// float has more than twice the bits of a bfloat16.
MOESIM_DEVICE std::uint32_t multiply_add_pairs(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  const auto one = [](std::uint32_t x, std::uint32_t y, std::uint32_t z) {
    const auto value = [](std::uint32_t bits) { return static_cast<double>(std::bit_cast<float>(bits)); };
    return static_cast<float>(value(x) * value(y) + value(z));
  };
  constexpr std::uint32_t kHigh = 0xFFFF0000u;
  return pack_bf16(one(a << 16, b << 16, c << 16), one(a & kHigh, b & kHigh, c & kHigh));
}

}  // namespace moesim::cuda
