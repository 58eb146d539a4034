#pragma once
// Internal to models/llm: how single operations become FLOPs and bytes (domain B.5).

#include <string>

#include "models/llm/ops.hpp"

namespace moesim {

inline constexpr double kActivationBytes = 2;  ///< bf16

/// 2mnk FLOPs; weights once, bf16 in and out.
Op gemm_op(std::string name, OpClass kind, const Gemm& gemm);

/// Residual add and RMSNorm over `tokens` rows of `width`: about 8 FLOPs per element; x and residual are read and
/// written.
Op residual_norm_op(std::string name, double tokens, double width);

/// RMSNorm in place: square, add, scale, weigh; one read and one write.
Op plain_norm_op(std::string name, double elements);

/// silu(gate) * up: exp, add, divide and two products per element of the output.
Op swiglu_op(std::string name, OpClass kind, double rows, double width, Bytes output);

/// whole / parts. Throws std::invalid_argument ("tp = 3 does not divide 32 heads") when it does not divide.
int part(int whole, int parts, const char* of_what);

}  // namespace moesim
