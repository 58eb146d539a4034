#pragma once
// The primitives on a device, sm_80 and newer. PTX ISA 8.x: cp.async 9.7.9.25, ldmatrix 9.7.14.5.15, mma.m16n8k16 for
// .bf16 9.7.14.5.8 (section numbers of release 8.5). Included by primitives.cuh only.

#include <cstdint>

#include <cuda_runtime.h>

#include "models/kernels/cuda/bf16.hpp"

#define MOESIM_DEVICE __device__ __forceinline__
#define MOESIM_KERNEL __global__ void
#define MOESIM_LAUNCH_BOUNDS(threads, blocks_per_sm) __launch_bounds__(threads, blocks_per_sm)
#define MOESIM_UNROLL _Pragma("unroll")
#define MOESIM_UNROLL_BY_2 _Pragma("unroll 2")

namespace moesim::cuda {

MOESIM_DEVICE int thread_index() {
  return static_cast<int>(threadIdx.x);
}
MOESIM_DEVICE int block_threads() {
  return static_cast<int>(blockDim.x);
}
MOESIM_DEVICE int block_index() {
  return static_cast<int>(blockIdx.x);
}
MOESIM_DEVICE int block_count() {
  return static_cast<int>(gridDim.x);
}
MOESIM_DEVICE void barrier() {
  __syncthreads();
}

MOESIM_DEVICE std::uint32_t shared_base() {
  extern __shared__ __align__(1024) unsigned char moesim_dynamic_shared[];
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(moesim_dynamic_shared));
}
MOESIM_DEVICE int shared_load(std::uint32_t address) {
  int value;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
  return value;
}
MOESIM_DEVICE void shared_store(std::uint32_t address, int value) {
  asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}
MOESIM_DEVICE Vector16 shared_load_vector(std::uint32_t address) {
  Vector16 v;
  asm volatile("ld.shared.v4.b32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.words[0]), "=r"(v.words[1]), "=r"(v.words[2]), "=r"(v.words[3])
               : "r"(address)
               : "memory");
  return v;
}
MOESIM_DEVICE void shared_store_vector(std::uint32_t address, Vector16 v) {
  asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(v.words[0]), "r"(v.words[1]),
               "r"(v.words[2]), "r"(v.words[3])
               : "memory");
}
MOESIM_DEVICE void shared_atomic_add(std::uint32_t address, int value) {
  asm volatile("red.shared.add.s32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}

template <class T>
MOESIM_DEVICE T global_load(const T* address) {
  return *address;
}
template <>
MOESIM_DEVICE Vector16 global_load(const Vector16* address) {
  const uint4 v = *reinterpret_cast<const uint4*>(address);
  return {{v.x, v.y, v.z, v.w}};
}
template <class T>
MOESIM_DEVICE void global_store(T* address, T value) {
  *address = value;
}
template <>
MOESIM_DEVICE void global_store(Vector16* address, Vector16 value) {
  *reinterpret_cast<uint4*>(address) = make_uint4(value.words[0], value.words[1], value.words[2], value.words[3]);
}
MOESIM_DEVICE int global_atomic_add(int* address, int value) {
  return atomicAdd(address, value);
}

/// Copies 16 bytes into shared memory, or writes zeros when not `wanted`; `source` must be valid either way.
MOESIM_DEVICE void copy_async16(std::uint32_t target, const void* source, bool wanted) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(target),
               "l"(__cvta_generic_to_global(source)), "r"(wanted ? 16 : 0)
               : "memory");
}
MOESIM_DEVICE void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
/// Returns when all but the `Newest` last committed groups of this thread have arrived.
template <int Newest>
MOESIM_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Newest) : "memory");
}

/// Four 8x8 matrices of 16-bit elements; lanes 8i..8i+7 give the row addresses of matrix i.
MOESIM_DEVICE void load_matrices(std::uint32_t (&fragment)[4], std::uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(row_address)
               : "memory");
}
/// The same of the transposed matrices.
MOESIM_DEVICE void load_matrices_transposed(std::uint32_t (&fragment)[4], std::uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(row_address)
               : "memory");
}
/// d [16, 8] += a [16, 16] b [16, 8], fp32 += bf16 bf16.
MOESIM_DEVICE void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

MOESIM_DEVICE float shuffle_xor(float value, int lane_mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, lane_mask);
}
MOESIM_DEVICE int shuffle_xor(int value, int lane_mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, lane_mask);
}

MOESIM_DEVICE float fast_exp(float value) {
  return __expf(value);
}
MOESIM_DEVICE float fast_exp2(float value) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(value));
  return power;
}
MOESIM_DEVICE float fast_log2(float value) {
  return __log2f(value);
}
MOESIM_DEVICE float fast_inverse_root(float value) {
  return rsqrtf(value);
}
/// numerator / denominator with the 2-ulp division of the device.
MOESIM_DEVICE float fast_divide(float numerator, float denominator) {
  return __fdividef(numerator, denominator);
}
MOESIM_DEVICE float float_from_bits(std::uint32_t bits) {
  return __uint_as_float(bits);
}
MOESIM_DEVICE std::uint32_t bits_of_float(float value) {
  return __float_as_uint(value);
}
/// a * b + c of two pairs of bfloat16, each rounded once.
MOESIM_DEVICE std::uint32_t multiply_add_pairs(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t d;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
/// Rounds both to bfloat16, nearest even; `low` in the lower half.
MOESIM_DEVICE std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

}  // namespace moesim::cuda
