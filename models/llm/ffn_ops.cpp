#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

#include "models/llm/op_pieces.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

const char* name_of_up(const Architecture& model) {
  return model.gated ? " gate and up" : " up";
}

/// gate and up, SwiGLU, down of a dense FFN of `width` columns on this rank; or up, ReLU, down.
void add_ffn(const std::string& prefix, OpClass kind, const Architecture& model, double tokens, double width,
             NumberFormat weights, std::vector<Op>& ops) {
  const double d = model.hidden, up = (model.gated ? 2 : 1) * width;
  ops.push_back(gemm_op(prefix + name_of_up(model), kind, {tokens, up, d, weights}));
  ops.push_back(activation_op(prefix, kind, model.gated, tokens, width, Bytes{kActivationBytes * tokens * width}));
  ops.push_back(gemm_op(prefix + " down", kind, {tokens, d, width, weights}));
}

const MoeSpec& moe_of(const Architecture& model) {
  check_decoder_only(model);
  if (!model.moe) throw std::invalid_argument{model.name + " has no experts"};
  return *model.moe;
}

}  // namespace

std::string_view name_of(Phase phase) {
  return phase == Phase::prefill ? "prefill" : "decode";
}

std::string_view name_of(OpClass kind) {
  constexpr std::array<std::string_view, 11> kNames{
      "norm",   "attention_projection", "attention_core", "router", "dispatch_local",
      "expert", "shared_expert",        "dense_ffn",      "head",   "sampling",
      "extra"};
  return kNames[static_cast<std::size_t>(kind)];
}

Op gemm_op(std::string name, OpClass kind, const Gemm& gemm, bool bias) {
  const Bytes activations{kActivationBytes * (gemm.m * (gemm.k + gemm.n) + (bias ? gemm.n : 0))};
  return {std::move(name), kind, Flops{2 * gemm.m * gemm.n * gemm.k},
          bytes_of(gemm.n * gemm.k, gemm.weights) + activations, gemm};
}

Op residual_norm_op(std::string name, double tokens, double width) {
  return {std::move(name), OpClass::norm, Flops{8 * tokens * width}, Bytes{4 * kActivationBytes * tokens * width},
          Streaming{}};
}

Op plain_norm_op(std::string name, double elements) {
  return {std::move(name), OpClass::norm, Flops{4 * elements}, Bytes{2 * kActivationBytes * elements}, Streaming{}};
}

Op activation_op(const std::string& prefix, OpClass kind, bool gated, double rows, double width, Bytes output) {
  const double inputs = gated ? 2 : 1, work = gated ? 5 : 1;
  return {prefix + (gated ? " swiglu" : " relu"), kind, Flops{work * rows * width},
          Bytes{inputs * kActivationBytes * rows * width} + output, Streaming{}};
}

void check_decoder_only(const Architecture& model) {
  if (model.encoder) throw NotModelledYet{model.name, "an encoder beside the decoder", "a decoder-only model"};
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
                 bytes_of(d * experts + (moe.router.bias ? experts : 0), NumberFormat::bf16) + states +
                     Bytes{kScoreBytes * tokens * experts},
                 gate});
  ops.push_back(
      {"top-k", OpClass::router, Flops{tokens * experts}, Bytes{2 * kScoreBytes * tokens * experts}, Streaming{}});
  ops.push_back({"quantise and permute", OpClass::dispatch_local, Flops{},
                 states + vector_bytes_of(rows * d, precision.dispatch), Streaming{}});
  ops.push_back({"weighted sum", OpClass::dispatch_local, Flops{2 * rows * d},
                 vector_bytes_of(rows * d, precision.combine) + states, Streaming{}});
  if (model.norms_per_layer == 4) ops.push_back(plain_norm_op("post ffn norm", tokens * d));
  return ops;
}

std::vector<Op> shared_expert_ops(const Architecture& model, const Precision& precision, double tokens, int tp) {
  std::vector<Op> ops;
  if (!model.moe || moe_of(model).shared_hidden == 0) return ops;
  const double width = part(model.moe->shared_hidden, tp, "columns of the shared experts"), d = model.hidden;
  add_ffn("shared expert", OpClass::shared_expert, model, tokens, width, precision.weights, ops);
  if (model.moe->shared_gate)
    ops.push_back(gemm_op("shared expert gate", OpClass::shared_expert, {tokens, 1, d, NumberFormat::bf16}));
  return ops;
}

std::vector<Op> dense_ffn_ops(const Architecture& model, const Precision& precision, double tokens, int tp) {
  check_decoder_only(model);
  const double width = part(model.dense_hidden, tp, "columns of the dense FFN");
  std::vector<Op> ops{residual_norm_op("ffn norm", tokens, model.hidden)};
  add_ffn("dense", OpClass::dense_ffn, model, tokens, width, precision.weights, ops);
  if (model.norms_per_layer == 4) ops.push_back(plain_norm_op("post ffn norm", tokens * model.hidden));
  return ops;
}

std::vector<Op> expert_ops(const Architecture& model, const Precision& precision, const std::vector<int>& rows_per_slot,
                           int tp) {
  const double width = part(moe_of(model).expert_hidden, tp, "columns of an expert"), d = model.hidden;
  const double up = (model.gated ? 2 : 1) * width, biases = model.moe->bias ? kActivationBytes : 0;
  const auto rows = static_cast<double>(std::accumulate(rows_per_slot.begin(), rows_per_slot.end(), 0LL));
  const auto active =
      static_cast<double>(std::count_if(rows_per_slot.begin(), rows_per_slot.end(), [](int slot) { return slot > 0; }));
  const NumberFormat format = precision.experts, activation = activation_format(format);
  const Bytes middle = vector_bytes_of(rows * width, activation);

  std::vector<Op> ops;
  ops.push_back({std::string{"expert"} + name_of_up(model), OpClass::expert, Flops{2 * rows * d * up},
                 active * (matrix_bytes(up, d, format) + Bytes{biases * up}) + vector_bytes_of(rows * d, activation) +
                     Bytes{kActivationBytes * rows * up},
                 Gemm{rows, up, d, format}});
  ops.push_back(activation_op("expert", OpClass::expert, model.gated, rows, width, middle));
  ops.push_back(
      {"expert down", OpClass::expert, Flops{2 * rows * width * d},
       active * (matrix_bytes(d, width, format) + Bytes{biases * d}) + middle + Bytes{kActivationBytes * rows * d},
       Gemm{rows, d, width, format}});
  return ops;
}

std::vector<Op> head_ops(const Architecture& model, const Precision& precision, double sequences, int tp) {
  check_decoder_only(model);
  const double columns = std::ceil(static_cast<double>(model.vocab) / tp), logits = sequences * columns;
  const double d = model.hidden;
  std::vector<Op> ops{residual_norm_op("final norm", sequences, d)};
  ops.push_back(gemm_op("lm head", OpClass::head, {sequences, columns, d, precision.embedding}, model.head_bias));
  ops.push_back({"sampling", OpClass::sampling, Flops{logits}, Bytes{kActivationBytes * logits}, Streaming{}});
  return ops;
}

double expected_active_experts(int experts, int top_k, double tokens) {
  return experts * (1 - std::pow(1 - static_cast<double>(top_k) / experts, tokens));
}

}  // namespace moesim
