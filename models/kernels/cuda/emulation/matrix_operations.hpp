#pragma once
// The warp-wide operations of the emulation, with the fragment layouts of the PTX ISA.

#include <cstdint>

namespace moesim::cuda::emulation {

/// ldmatrix.m8n8.x4.b16. Register i of lane l gets elements 2 (l % 4) and the next of row l / 4 of matrix i; the
/// 16-byte rows of matrix i are at the addresses that lanes 8 i to 8 i + 7 give. Source: PTX ISA, "ldmatrix".
void load_matrices(std::uint32_t (&fragment)[4], std::uint32_t row_address);

/// With .trans: register i of lane l gets elements l / 4 of rows 2 (l % 4) and the next of matrix i.
void load_matrices_transposed(std::uint32_t (&fragment)[4], std::uint32_t row_address);

/// mma.m16n8k16.f32.bf16.bf16.f32, d [16, 8] += a [16, 16] b [16, 8], with g = lane / 4 and t = lane % 4:
/// a: registers 0 to 3 hold rows g, g + 8, g, g + 8 and columns 2 t (+ 1), in the last two 8 more;
/// b: registers 0 and 1 hold rows 2 t (+ 1), in the second 8 more, of column g;
/// d: elements 0 and 1 are row g, columns 2 t and 2 t + 1; elements 2 and 3 row g + 8.
/// Source: PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type". Products are exact in fp32 and summed
/// in fp32 in the order of k; the device's order is not documented.
void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);

/// wgmma.mma_async m64nNk16 of bf16 into fp32, one warp's quarter of it: a and b are matrix descriptors, both k-major.
void multiply_add_async(float* d, std::uint64_t a, std::uint64_t b, int n, bool accumulate);
void commit_multiplies();
void wait_multiplies(int newest);

/// The value of lane `own lane ^ lane_mask`.
float shuffle_xor(float value, int lane_mask);
int shuffle_xor(int value, int lane_mask);

}  // namespace moesim::cuda::emulation
