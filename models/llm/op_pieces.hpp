#pragma once
// Internal to models/llm: how single operations become FLOPs and bytes (domain B.5).

#include <string>

#include "models/llm/ops.hpp"

namespace moesim {

inline constexpr double kActivationBytes = 2;  ///< bf16

/// 2mnk FLOPs; weights once, bf16 in and out. A bias is read once, in bf16; its additions are not counted (1/2k of the
/// product's FLOPs, done where the product ends).
Op gemm_op(std::string name, OpClass kind, const Gemm& gemm, bool bias = false);

/// Residual add and RMSNorm over `tokens` rows of `width`: about 8 FLOPs per element; x and residual are read and
/// written.
Op residual_norm_op(std::string name, double tokens, double width);

/// RMSNorm in place: square, add, scale, weigh; one read and one write.
Op plain_norm_op(std::string name, double elements);

/// silu(gate) * up: exp, add, divide and two products per element of the output. Ungated, max(up, 0): one FLOP per
/// element, and half as much to read.
Op activation_op(const std::string& prefix, OpClass kind, bool gated, double rows, double width, Bytes output);

/// Throws NotModelledYet for an encoder-decoder.
void check_decoder_only(const Architecture& model);

/// whole / parts. Throws std::invalid_argument ("tp = 3 does not divide 32 heads") when it does not divide.
int part(int whole, int parts, const char* of_what);

}  // namespace moesim
