#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

#include "models/llm/op_pieces.hpp"

namespace moesim {
namespace {

/// gate and up, SwiGLU, down of a dense FFN of `width` columns on this rank.
void add_gated_ffn(const std::string& prefix, OpClass kind, double tokens, double hidden, double width,
                   NumberFormat weights, std::vector<Op>& ops) {
  ops.push_back(gemm_op(prefix + " gate and up", kind, {tokens, 2 * width, hidden, weights}));
  ops.push_back(swiglu_op(prefix + " swiglu", kind, tokens, width, Bytes{kActivationBytes * tokens * width}));
  ops.push_back(gemm_op(prefix + " down", kind, {tokens, hidden, width, weights}));
}

const MoeSpec& moe_of(const Architecture& model) {
  if (!model.moe) throw std::invalid_argument{model.name + " has no experts"};
  return *model.moe;
}

}  // namespace

std::string_view name_of(Phase phase) {
  return phase == Phase::prefill ? "prefill" : "decode";
}

std::string_view name_of(OpClass kind) {
  constexpr std::array<std::string_view, 10> kNames{
      "norm",   "attention_projection", "attention_core", "router", "dispatch_local",
      "expert", "shared_expert",        "dense_ffn",      "head",   "sampling"};
  return kNames[static_cast<std::size_t>(kind)];
}

Op gemm_op(std::string name, OpClass kind, const Gemm& gemm) {
  return {std::move(name), kind, Flops{2 * gemm.m * gemm.n * gemm.k},
          bytes_of(gemm.n * gemm.k, gemm.weights) + Bytes{kActivationBytes * gemm.m * (gemm.k + gemm.n)}, gemm};
}

Op residual_norm_op(std::string name, double tokens, double width) {
  return {std::move(name), OpClass::norm, Flops{8 * tokens * width}, Bytes{4 * kActivationBytes * tokens * width},
          Streaming{}};
}

Op plain_norm_op(std::string name, double elements) {
  return {std::move(name), OpClass::norm, Flops{4 * elements}, Bytes{2 * kActivationBytes * elements}, Streaming{}};
}

Op swiglu_op(std::string name, OpClass kind, double rows, double width, Bytes output) {
  return {std::move(name), kind, Flops{5 * rows * width}, Bytes{2 * kActivationBytes * rows * width} + output,
          Streaming{}};
}

int part(int whole, int parts, const char* of_what) {
  if (parts < 1 || whole % parts != 0)
    throw std::invalid_argument{fmt::format("tp = {} does not divide {} {}", parts, whole, of_what)};
  return whole / parts;
}

std::vector<Op> routing_ops(const Architecture& model, const Precision& precision, double tokens) {
  const MoeSpec& moe = moe_of(model);
  constexpr double kScoreBytes = 4;  // fp32, so that close scores rank the same everywhere
  const double d = model.hidden, experts = moe.experts, rows = moe.top_k * tokens;
  const Gemm gate{tokens, experts, d, NumberFormat::bf16};
  const Bytes states{kActivationBytes * tokens * d};

  std::vector<Op> ops{residual_norm_op("ffn norm", tokens, d)};
  ops.push_back({"router", OpClass::router, Flops{2 * tokens * d * experts},
                 bytes_of(d * experts, NumberFormat::bf16) + states + Bytes{kScoreBytes * tokens * experts}, gate});
  ops.push_back(
      {"top-k", OpClass::router, Flops{tokens * experts}, Bytes{2 * kScoreBytes * tokens * experts}, Streaming{}});
  ops.push_back({"quantise and permute", OpClass::dispatch_local, Flops{},
                 states + vector_bytes_of(rows * d, precision.dispatch), Streaming{}});
  ops.push_back({"weighted sum", OpClass::dispatch_local, Flops{2 * rows * d},
                 vector_bytes_of(rows * d, precision.combine) + states, Streaming{}});
  return ops;
}

std::vector<Op> shared_expert_ops(const Architecture& model, const Precision& precision, double tokens, int tp) {
  std::vector<Op> ops;
  if (!model.moe || model.moe->shared_hidden == 0) return ops;
  const double width = part(model.moe->shared_hidden, tp, "columns of the shared experts");
  add_gated_ffn("shared expert", OpClass::shared_expert, tokens, model.hidden, width, precision.weights, ops);
  return ops;
}

std::vector<Op> dense_ffn_ops(const Architecture& model, const Precision& precision, double tokens, int tp) {
  const double width = part(model.dense_hidden, tp, "columns of the dense FFN");
  std::vector<Op> ops{residual_norm_op("ffn norm", tokens, model.hidden)};
  add_gated_ffn("dense", OpClass::dense_ffn, tokens, model.hidden, width, precision.weights, ops);
  return ops;
}

std::vector<Op> expert_ops(const Architecture& model, const Precision& precision, const std::vector<int>& rows_per_slot,
                           int tp) {
  const double width = part(moe_of(model).expert_hidden, tp, "columns of an expert"), d = model.hidden;
  const auto rows = static_cast<double>(std::accumulate(rows_per_slot.begin(), rows_per_slot.end(), 0LL));
  const auto active =
      static_cast<double>(std::count_if(rows_per_slot.begin(), rows_per_slot.end(), [](int slot) { return slot > 0; }));
  const NumberFormat format = precision.experts, activation = activation_format(format);
  const Bytes middle = vector_bytes_of(rows * width, activation);

  std::vector<Op> ops;
  ops.push_back({"expert gate and up", OpClass::expert, Flops{2 * rows * d * 2 * width},
                 bytes_of(active * 2 * d * width, format) + vector_bytes_of(rows * d, activation) +
                     Bytes{kActivationBytes * rows * 2 * width},
                 Gemm{rows, 2 * width, d, format}});
  ops.push_back(swiglu_op("expert swiglu", OpClass::expert, rows, width, middle));
  ops.push_back({"expert down", OpClass::expert, Flops{2 * rows * width * d},
                 bytes_of(active * d * width, format) + middle + Bytes{kActivationBytes * rows * d},
                 Gemm{rows, d, width, format}});
  return ops;
}

std::vector<Op> head_ops(const Architecture& model, const Precision& precision, double sequences, int tp) {
  const double columns = std::ceil(static_cast<double>(model.vocab) / tp), logits = sequences * columns;
  std::vector<Op> ops{residual_norm_op("final norm", sequences, model.hidden)};
  ops.push_back(
      gemm_op("lm head", OpClass::head, {sequences, columns, static_cast<double>(model.hidden), precision.embedding}));
  ops.push_back({"sampling", OpClass::sampling, Flops{logits}, Bytes{kActivationBytes * logits}, Streaming{}});
  return ops;
}

double expected_active_experts(int experts, int top_k, double tokens) {
  return experts * (1 - std::pow(1 - static_cast<double>(top_k) / experts, tokens));
}

}  // namespace moesim
