#pragma once
// What the kernels of this folder compute, in fp64 and in the plainest way: the oracle of the tests and of the
// verification before any timing. Inputs are the bf16 values the kernels see; results are not rounded.

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "models/kernels/cuda/bf16.hpp"

namespace moesim::cuda::reference {

/// a [rows, k] times b [n, k]^T of one expert -> [rows, n].
std::vector<double> multiply(std::span<const Bf16> a, std::span<const Bf16> b, std::size_t k);
std::vector<double> multiply(std::span<const Bf16> a, std::span<const double> b, std::size_t k);

/// Products [rows, n] with gate and up columns interleaved by 8 -> silu(gate) * up [rows, n / 2].
std::vector<double> swiglu(std::span<const double> products, std::size_t n);

/// The same with the clamped SwiGLU of gpt-oss: operands.hpp has the formula.
std::vector<double> clamped_swiglu(std::span<const double> products, std::size_t n);

/// Rows of gate [i, h] and up [i, h] interleaved by 8, as GEMM1 wants them: [2 i, h].
std::vector<Bf16> interleave(std::span<const Bf16> gate, std::span<const Bf16> up, std::size_t h);

struct Choice {
  int expert;
  double weight;
};

/// The k largest scores, best first, of equal ones the lower expert; weights = softmax over them.
std::vector<Choice> softmax_topk(std::span<const float> logits, std::size_t k);
/// The k largest of sigmoid(logit) + bias; weights = sigmoid over their sum. With `groups_kept` only from that many
/// groups of 32 experts, those whose two best scores sum highest. Source: DeepSeek-V3 technical report, section 2.1.2,
/// and its published inference code for the two best.
std::vector<Choice> sigmoid_topk(std::span<const float> logits, std::span<const float> bias, std::size_t k,
                                 std::size_t groups_kept = 0);

/// softmax(scale * q keys^T) values: q [d], keys [tokens, d], values [tokens, value_stride] of which the first
/// `value_dims` count -> [value_dims]; zeros without tokens.
std::vector<double> attend(std::span<const Bf16> q, std::span<const Bf16> keys, std::span<const Bf16> values,
                           std::size_t value_stride, std::size_t value_dims, double scale);

std::vector<double> added(std::span<const Bf16> a, std::span<const Bf16> b);
/// Rows of x [tokens, width] over their root mean square, times weight [width].
std::vector<double> rms_norm(std::span<const Bf16> x, std::span<const Bf16> weight, double epsilon);

struct Errors {
  double worst;  ///< largest of |got - expected| / (|expected| + rms of all expected): what one operation is judged by
  double mean;   ///< rms of (got - expected) over rms of expected: what a chain that rounds between operations is
};

/// Both infinite when the sizes differ or anything got is not finite.
Errors relative_errors(std::span<const Bf16> got, std::span<const double> expected);

}  // namespace moesim::cuda::reference
