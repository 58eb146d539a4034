#pragma once
// Between the two matrix products of an expert.

#include <cstdint>
#include <span>

namespace moesim {

/// 16 bits of a float, rounded to nearest even. NaN stays NaN.
std::uint16_t to_bf16(float value);
float from_bf16(std::uint16_t bits);

/// middle[r, c] = combine[r] silu(gate_up[r, c]) gate_up[r, intermediate + c], on all threads.
///
/// gate_up [rows, 2 intermediate], combine [rows], middle [rows, intermediate] in float or bf16.
/// The combine weight is applied here, as GEMM2 is linear in its rows: a pass over the output is saved.
void swiglu(std::span<const float> gate_up, std::span<const float> combine, std::span<float> middle);
void swiglu(std::span<const float> gate_up, std::span<const float> combine, std::span<std::uint16_t> middle);

}  // namespace moesim
