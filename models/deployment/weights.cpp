#include <fmt/format.h>

#include "models/deployment/deployment.hpp"
#include "models/deployment/rank_share.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

using Count = std::int64_t;

class WeightLines {
public:
  void add(const char* name, const std::string& counted, Count parameters, NumberFormat format) {
    add(name, counted, parameters, format, bytes_of(static_cast<double>(parameters), format));
  }
  void add(const char* name, const std::string& counted, Count parameters, NumberFormat format, Bytes bytes) {
    if (parameters == 0) return;
    lines_.push_back({name, "weights", bytes,
                      fmt::format("{} = {} parameters x {:.6g} bit ({})", counted, with_commas(parameters),
                                  bits_per_element(format), name_of(format))});
  }
  void add_mixed(const char* name, const std::string& counted, Count parameters, Bytes bytes) {
    if (parameters == 0) return;
    lines_.push_back({name, "weights", bytes,
                      fmt::format("{} = {} parameters of {:.4g} bit on average", counted, with_commas(parameters),
                                  8 * bytes.value() / static_cast<double>(parameters))});
  }
  void add(const MemoryLine& line) { lines_.push_back(line); }
  std::vector<MemoryLine> take() { return std::move(lines_); }

private:
  std::vector<MemoryLine> lines_;
};

/// The first stage looks tokens up, the last one has the head: a copy of a tied embedding where they are apart.
void add_vocabulary(const MemoryInputs& in, int stage, WeightLines& lines) {
  const bool first = stage == 0, last = stage == in.layout.spec.pp - 1;
  const Count rows = rounded_up(in.model.vocab, in.layout.spec.attention_tp);
  const std::string counted = fmt::format("{} of {} rows x {}", rows, in.model.vocab, in.model.hidden);
  if (first) lines.add("embedding", counted, rows * in.model.hidden, in.precision.embedding);
  const Count bias = in.model.head_bias ? rows : 0;
  if (last && !(in.model.tied_embedding && first))
    lines.add("LM head", counted, rows * in.model.hidden + bias, in.precision.embedding);
}

void add_routed_experts(const MemoryInputs& in, WeightLines& lines) {
  const int slots = resident_slots_of_rank(in), etp = in.layout.spec.expert_tp;
  const Count expert = count_parameters(in.model).per_expert / etp;
  const Count parameters = Count{in.model.moe_layers()} * slots * expert;
  const auto counted =
      fmt::format("{} layers x {} slots x {} (tp {})", in.model.moe_layers(), slots, with_commas(expert), etp);
  if (!in.experts.empty()) return lines.add_mixed("expert weights", counted, parameters, in.experts.front().on_gpu);
  lines.add("expert weights", counted, parameters, in.precision.experts,
            static_cast<double>(in.model.moe_layers()) * slots * expert_bytes(in.model, in.precision.experts, etp));
}

}  // namespace

std::vector<MemoryLine> weight_lines_of_stage(const MemoryInputs& in, int stage) {
  const Architecture& model = in.model;
  const int tp = in.layout.spec.attention_tp;
  const ParameterCounts counts = count_parameters(model);
  WeightLines lines;
  add_vocabulary(in, stage, lines);
  const Count attention = attention_parameters(model, tp);
  lines.add("attention weights", fmt::format("{} layers x {} (tp {})", model.layers, with_commas(attention), tp),
            model.layers * attention, format_of(TensorClass::attention, in.precision));
  lines.add("norms and router", "whole on every rank", counts[TensorClass::norms] + counts[TensorClass::router],
            format_of(TensorClass::norms, in.precision));
  const int shared_tp = in.layout.shared_expert_tp();
  const Count dense = counts[TensorClass::dense_ffn] / tp, shared = counts[TensorClass::shared_experts] / shared_tp;
  lines.add("dense FFN weights", fmt::format("{} layers / tp {}", model.dense_layers(), tp), dense,
            format_of(TensorClass::dense_ffn, in.precision));
  lines.add("shared expert weights", fmt::format("{} layers / tp {}", model.moe_layers(), shared_tp), shared,
            format_of(TensorClass::shared_experts, in.precision));
  if (model.moe) add_routed_experts(in, lines);
  if (in.extra_weights > Bytes{})
    lines.add({"extra operations", "weights", in.extra_weights, "as given, whole on every rank"});
  return lines.take();
}

std::vector<MemoryLine> weight_lines(const MemoryInputs& in) {
  return weight_lines_of_stage(in, 0);
}

}  // namespace moesim
