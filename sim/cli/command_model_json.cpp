// The JSON document of `moesim model --json`.

#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>

#include <nlohmann/json.hpp>

#include "models/llm/parameters.hpp"
#include "sim/cli/command_model.hpp"

namespace moesim {
namespace {

using nlohmann::ordered_json;

// --------------------------------------------------------------------------------------------------------------

/// Whole amounts as JSON integers, so that they read back exactly everywhere.
ordered_json amount(double value) {
  constexpr double kExact = 9007199254740992;  // 2^53
  if (value == std::floor(value) && std::abs(value) < kExact) return static_cast<std::int64_t>(value);
  return value;
}

const char* name_of_norm(QkNorm norm) {
  constexpr std::array kNames{"none", "head", "full", "unweighted"};
  return kNames[static_cast<std::size_t>(norm)];
}

ordered_json attention_json(const AttentionSpec& a) {
  const bool mla = a.kind == AttentionKind::mla;
  ordered_json json{{"kind", mla ? "mla" : "gqa"},
                    {"heads", a.heads},
                    {"kv_heads", a.kv_heads},
                    {"head_dim", a.head_dim},
                    {"bias", a.bias},
                    {"output_bias", a.output_bias},
                    {"qk_norm", name_of_norm(a.qk_norm)},
                    {"sinks", a.sinks},
                    {"window", a.window},
                    {"chunked", a.chunked},
                    {"relative_buckets", a.relative_buckets},
                    {"latent", nullptr}};
  if (mla)
    json["latent"] = {
        {"q_lora", a.q_lora}, {"kv_lora", a.kv_lora}, {"nope", a.nope}, {"rope", a.rope}, {"v_dim", a.v_dim}};
  return json;
}

const char* name_of_group_score(GroupScore score) {
  if (score == GroupScore::none) return "none";
  return score == GroupScore::max ? "max" : "top2_sum";
}

ordered_json moe_json(const MoeSpec& moe) {
  const RouterSpec& r = moe.router;
  return {{"experts", moe.experts},
          {"top_k", moe.top_k},
          {"expert_hidden", moe.expert_hidden},
          {"shared_hidden", moe.shared_hidden},
          {"shared_gate", moe.shared_gate},
          {"bias", moe.bias},
          {"router",
           {{"score", r.score == RouterScore::softmax ? "softmax" : "sigmoid"},
            {"groups", r.groups},
            {"kept_groups", r.kept_groups},
            {"group_score", name_of_group_score(r.group_score)},
            {"normalise_topk", r.normalise_topk},
            {"scale", amount(r.scale)},
            {"selection_bias", r.selection_bias},
            {"bias", r.bias}}}};
}

std::vector<int> indices(const std::vector<bool>& layers, bool of) {
  std::vector<int> found;
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (layers[i] == of) found.push_back(static_cast<int>(i));
  return found;
}

ordered_json encoder_json(const Architecture& model) {
  if (!model.encoder) return nullptr;
  return {{"layers", model.encoder->layers}, {"dense_layer_indices", indices(model.encoder->moe_layer, false)}};
}

ordered_json architecture_json(const Architecture& model) {
  return {{"hidden", model.hidden},
          {"layers", model.layers},
          {"moe_layers", model.moe_layers()},
          {"dense_layer_indices", indices(model.moe_layer, false)},
          {"windowed_layer_indices", indices(model.windowed_layer, true)},
          {"vocab", model.vocab},
          {"tied_embedding", model.tied_embedding},
          {"head_bias", model.head_bias},
          {"max_context", model.max_context},
          {"gated", model.gated},
          {"norms_per_layer", model.norms_per_layer},
          {"norm_bias", model.norm_bias},
          {"attention", attention_json(model.attention)},
          {"dense_hidden", model.dense_hidden},
          {"moe", model.moe ? moe_json(*model.moe) : ordered_json(nullptr)},
          {"encoder", encoder_json(model)},
          {"mtp_layers", model.mtp_layers},
          {"checkpoint_format", name_of(model.checkpoint_format)},
          {"checkpoint_experts", name_of(model.checkpoint_experts)}};
}

ordered_json parameters_json(const ParameterCounts& counts) {
  ordered_json by_class;
  for (TensorClass tensor : kTensorClasses) by_class[std::string{name_of(tensor)}] = counts[tensor];
  return {{"total", counts.total},
          {"active", counts.active},
          {"active_without_input_embedding", counts.active_without_embedding},
          {"active_without_embedding_and_head", counts.active_without_embedding_head},
          {"per_expert", counts.per_expert},
          {"attention_per_layer", counts.attention_per_layer},
          {"mtp", counts.mtp},
          {"by_class", by_class}};
}

ordered_json weights_json(const Architecture& model, const Asked& asked) {
  const auto bytes = weight_bytes(model, asked);
  ordered_json by_class;
  for (TensorClass tensor : kTensorClasses)
    by_class[std::string{name_of(tensor)}] = amount(bytes[static_cast<std::size_t>(tensor)].value());
  return {{"by_class", by_class}, {"total", amount(std::accumulate(bytes.begin(), bytes.end(), Bytes{}).value())}};
}

ordered_json weight_bytes_json(const Architecture& model, const Asked& asked) {
  ordered_json json{{"asked", weights_json(model, asked)},
                    {"checkpoint", weights_json(model, {checkpoint_precision(model), {}})}};
  for (NumberFormat format : kShownFormats)
    json[std::string{name_of(format)}] = weights_json(model, {precision_of(format), {}});
  return json;
}

const char* name_of_shape(const Op& op) {
  constexpr std::array kNames{"streaming", "gemm", "attention_core"};
  return kNames[op.shape.index()];
}

ordered_json ops_json(const std::vector<OpRow>& rows) {
  ordered_json ops = ordered_json::array();
  for (const OpRow& row : rows)
    ops.push_back({{"phase", name_of(row.phase)},
                   {"part", row.part},
                   {"name", row.op.name},
                   {"class", name_of(row.op.kind)},
                   {"shape", name_of_shape(row.op)},
                   {"layers", row.layers},
                   {"flops", amount(row.op.flops.value())},
                   {"bytes", amount(row.op.bytes.value())}});
  return ops;
}

ordered_json work_json(const std::vector<OpRow>& rows) {
  ordered_json work;
  for (Phase phase : {Phase::decode, Phase::prefill}) {
    const Work sum = total_of(rows, phase);
    work[std::string{name_of(phase)}] = {{"flops", amount(sum.flops.value())}, {"bytes", amount(sum.bytes.value())}};
  }
  return work;
}

ordered_json precision_json(const Asked& asked) {
  ordered_json list = nullptr;
  for (const NumberFormat format : asked.experts) list.push_back(name_of(format));
  return {{"weights", name_of(asked.precision.weights)},
          {"experts", name_of(asked.precision.experts)},
          {"expert_formats", list}};
}

}  // namespace

std::string model_json(const Architecture& model, const Asked& asked) {
  const std::vector<OpRow> rows = all_ops(model, asked);
  const double longest = model.max_context;
  const ordered_json document{
      {"name", model.name},
      {"model_type", model.model_type},
      {"architecture", architecture_json(model)},
      {"parameters", parameters_json(count_parameters(model))},
      {"weight_bytes", weight_bytes_json(model, asked)},
      {"kv_bytes_per_token", amount(kv_bytes_per_token(model, NumberFormat::bf16).value())},
      {"kv_bytes_of_max_context", amount(kv_bytes_of_sequence(model, NumberFormat::bf16, longest).value())},
      {"ops_precision", precision_json(asked)},
      {"ops_tokens", amount(kShownTokens)},
      {"ops", ops_json(rows)},
      {"work", work_json(rows)},
      {"defaulted", model.defaulted},
      {"left_out", model.left_out}};
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace moesim
