// What a model is made of: parameters, bytes, KV cache, and the work of every operation.

#include "sim/cli/command_model.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "models/llm/expert_formats.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/cli/command.hpp"
#include "sim/scenario/value.hpp"

namespace moesim {
namespace {

constexpr const char* kWindowed = "windowed_attention";

/// The grouped products of each format that experts are in.
std::vector<Op> asked_expert_ops(const Architecture& model, const Asked& asked, const std::vector<int>& slots) {
  if (asked.experts.empty()) return expert_ops(model, asked.precision, slots, 1);
  std::vector<Op> ops;
  for (const NumberFormat format : listed_formats(model, asked.experts, "--experts").used()) {
    std::vector<int> own(slots.size(), 0);
    for (std::size_t e = 0; e < own.size(); ++e)
      if (asked.experts[e] == format) own[e] = slots[e];
    if (std::accumulate(own.begin(), own.end(), 0) == 0) continue;
    Precision precision = asked.precision;
    precision.experts = format;
    for (Op& op : expert_ops(model, precision, own, 1)) {
      op.name += fmt::format(" ({})", name_of(format));
      ops.push_back(std::move(op));
    }
  }
  return ops;
}

void add_phase(const Architecture& model, const Asked& asked, const RankBatch& batch, std::vector<OpRow>& rows) {
  const Precision& precision = asked.precision;
  const auto add = [&](const char* part, int layers, const std::vector<Op>& ops) {
    for (const Op& op : ops)
      if (layers > 0) rows.push_back({batch.phase, part, layers, op});
  };
  const double tokens = batch.tokens();
  add("attention", model.layers_of(Reach::full), attention_ops(model, precision, batch, 1));
  if (model.windowed_layers() > 0)
    add(kWindowed, model.windowed_layers(), attention_ops(model, precision, batch, 1, Reach::windowed));
  if (model.dense_layers() > 0) add("dense_ffn", model.dense_layers(), dense_ffn_ops(model, precision, tokens, 1));
  if (model.moe) {
    // Rows dealt out evenly: a single token lands on k experts.
    const auto experts = static_cast<std::size_t>(model.moe->experts);
    const auto all_rows = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(model.moe->top_k);
    std::vector<int> slots(experts, static_cast<int>(all_rows / experts));
    for (std::size_t i = 0; i < all_rows % experts; ++i) ++slots[i];
    add("routing", model.moe_layers(), routing_ops(model, precision, tokens));
    add("experts", model.moe_layers(), asked_expert_ops(model, asked, slots));
    add("shared_experts", model.moe_layers(), shared_expert_ops(model, precision, tokens, 1));
  }
  add("head", 1, head_ops(model, precision, batch.sequences, 1));
}

// --------------------------------------------------------------------------------------------------------------

std::string human_flops(Flops flops) {
  constexpr std::array kUnits{"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"};
  double value = flops.value();
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return fmt::format("{:.4g} {}", value, kUnits[unit]);
}

std::string attention_text(const Architecture& model) {
  const AttentionSpec& a = model.attention;
  if (a.kind == AttentionKind::mla)
    return fmt::format("  attention   latent (MLA): {} heads of {} + {}, values of {}, latent {}, query latent {}\n",
                       a.heads, a.nope, a.rope, a.v_dim, a.kv_lora, a.q_lora > 0 ? std::to_string(a.q_lora) : "none");
  std::string text =
      fmt::format("  attention   grouped: {} heads of {}, {} KV heads{}{}{}{}\n", a.heads, a.head_dim, a.kv_heads,
                  a.qk_norm != QkNorm::none ? ", q and k norms" : "", a.bias ? ", biases" : "",
                  a.sinks ? ", sinks" : "", a.relative_buckets > 0 ? ", relative position biases" : "");
  if (model.windowed_layers() > 0)
    text += fmt::format("              {} layers see {} {} tokens, {} the whole context\n", model.windowed_layers(),
                        a.chunked ? "their chunk of" : "the last", with_commas(a.window), model.layers_of(Reach::full));
  return text;
}

std::string experts_text(const Architecture& model) {
  const MoeSpec& moe = *model.moe;
  const RouterSpec& r = moe.router;
  std::string text =
      fmt::format("  experts     {} of width {}{}{}, {} per token, {} router\n", moe.experts,
                  with_commas(moe.expert_hidden), model.gated ? "" : ", not gated", moe.bias ? ", with biases" : "",
                  moe.top_k, r.score == RouterScore::sigmoid ? "sigmoid" : "softmax");
  if (moe.shared_hidden > 0)
    text += fmt::format("              and shared experts of width {}{}\n", with_commas(moe.shared_hidden),
                        moe.shared_gate ? ", behind a gate" : "");
  if (r.groups > 1) text += fmt::format("              from {} of {} groups\n", r.kept_groups, r.groups);
  return text;
}

std::string shape_text(const Architecture& model) {
  std::string text =
      fmt::format("  layers      {} ({} MoE, {} dense), hidden {}, vocabulary {}{}, context {}\n", model.layers,
                  model.moe_layers(), model.dense_layers(), with_commas(model.hidden), with_commas(model.vocab),
                  model.tied_embedding ? " (tied)" : "", with_commas(model.max_context));
  if (model.encoder) {
    const auto& moe = model.encoder->moe_layer;
    text += fmt::format("  encoder     {} layers ({} MoE); the layers above are the decoder's\n", model.encoder->layers,
                        std::count(moe.begin(), moe.end(), true));
  }
  text += attention_text(model);
  if (model.dense_hidden > 0)
    text +=
        fmt::format("  dense FFN   width {}{}\n", with_commas(model.dense_hidden), model.gated ? "" : ", not gated");
  return model.moe ? text + experts_text(model) : text;
}

std::string parameters_text(const ParameterCounts& counts) {
  std::string text = "\nparameters\n";
  const auto line = [&](const char* name, std::int64_t count, const char* remark) {
    text += fmt::format("  {:<36}{:>20}{}{}\n", name, with_commas(count), *remark == '\0' ? "" : "   ", remark);
  };
  line("total", counts.total, "");
  line("active per token, everything", counts.active, "");
  line("active, without input embedding", counts.active_without_embedding, "what FLOPs use");
  line("active, without embedding and head", counts.active_without_embedding_head, "");
  if (counts.per_expert > 0) line("one expert of one layer", counts.per_expert, "");
  if (counts.mtp > 0) line("MTP modules, not in the total", counts.mtp, "");
  return text;
}

/// A list of experts' formats, if asked for; the checkpoint's own precision, when it is none of those shown anyway;
/// then those.
std::vector<std::pair<std::string, Asked>> shown_precisions(const Architecture& model, const Asked& asked) {
  std::vector<std::pair<std::string, Asked>> shown;
  if (!asked.experts.empty()) shown.emplace_back("asked", asked);
  if (model.checkpoint_format != model.checkpoint_experts)
    shown.emplace_back("checkpoint", Asked{checkpoint_precision(model), {}});
  for (NumberFormat format : kShownFormats) shown.emplace_back(name_of(format), Asked{precision_of(format), {}});
  return shown;
}

std::string kv_text(const Architecture& model) {
  std::string text = fmt::format("\n\nKV cache            {} per token in bf16\n",
                                 human(kv_bytes_per_token(model, NumberFormat::bf16)));
  if (model.windowed_layers() > 0)
    text += fmt::format("                    {} for a whole context of {}, with windows\n",
                        human(kv_bytes_of_sequence(model, NumberFormat::bf16, model.max_context)),
                        with_commas(model.max_context));
  return text;
}

std::string weights_text(const Architecture& model, const Asked& asked) {
  const ParameterCounts counts = count_parameters(model);
  const auto shown = shown_precisions(model, asked);
  std::string text = fmt::format("\n{:<18}{:>20}", "weights", "parameters");
  for (const auto& [name, formats] : shown) text += fmt::format("{:>16}", name);
  text += "\n";
  for (TensorClass tensor : kTensorClasses) {
    if (counts[tensor] == 0) continue;
    text += fmt::format("  {:<16}{:>20}", name_of(tensor), with_commas(counts[tensor]));
    for (const auto& [name, formats] : shown)
      text += fmt::format("{:>16}", human(weight_bytes(model, formats)[static_cast<std::size_t>(tensor)]));
    text += "\n";
  }
  text += fmt::format("  {:<16}{:>20}", "total", with_commas(counts.total));
  for (const auto& [name, formats] : shown) {
    const auto bytes = weight_bytes(model, formats);
    text += fmt::format("{:>16}", human(std::accumulate(bytes.begin(), bytes.end(), Bytes{})));
  }
  return text + kv_text(model);
}

std::string format_text(const Precision& precision) {
  if (precision.weights == precision.experts) return std::string{name_of(precision.weights)};
  return fmt::format("{}, experts in {}", name_of(precision.weights), name_of(precision.experts));
}

/// Layers with a window run the same operations as those without.
std::string in_window(const OpRow& row) {
  return std::string_view{row.part} == kWindowed ? ", in window" : "";
}

std::string ops_text(const std::vector<OpRow>& rows, Phase phase, const char* what, const Precision& precision) {
  std::string text = fmt::format("\n{} in {}, one GPU\n  {:<26}{:>7}{:>18}{:>16}\n", what, format_text(precision),
                                 "operation", "layers", "FLOPs per layer", "HBM per layer");
  for (const OpRow& row : rows)
    if (row.phase == phase)
      text += fmt::format("  {:<26}{:>7}{:>18}{:>16}\n", row.op.name + in_window(row), row.layers,
                          human_flops(row.op.flops), human(row.op.bytes));
  const Work sum = total_of(rows, phase);
  return text + fmt::format("  {:<33}{:>18}{:>16}\n", "all layers", human_flops(sum.flops), human(sum.bytes));
}

std::string listed(const char* title, const std::vector<std::string>& lines) {
  std::string text = lines.empty() ? "" : fmt::format("\n{}\n", title);
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

std::string model_text(const Architecture& model, const Asked& asked) {
  const Precision& precision = asked.precision;
  const std::vector<OpRow> rows = all_ops(model, asked);
  std::string text =
      fmt::format("{} ({}), stored in {}\n", model.name, model.model_type, format_text(checkpoint_precision(model))) +
      shape_text(model) + parameters_text(count_parameters(model)) + weights_text(model, asked);
  if (model.encoder) {
    text += "\nthe operations of an encoder-decoder are not modelled, and no scenario can run it\n";
  } else {
    text += ops_text(rows, Phase::decode, "one decode token at context 4,096", precision) +
            ops_text(rows, Phase::prefill, "a prefill of 4,096 tokens", precision);
  }
  return text + listed("not in the file, taken as the model class does", model.defaulted) +
         listed("in the file, and left out", model.left_out);
}

/// By the names of a scenario's formats, so that "fp8" is the same here and there.
NumberFormat weight_format(const std::string& name, const char* option) {
  return static_cast<NumberFormat>(named_choice("precision.weights", name, option));
}

/// `experts` is one format, or one for each expert, with commas between; empty: as the linear layers.
Asked read_asked(const Architecture& model, const std::string& linear, const std::vector<std::string>& experts) {
  Asked asked{linear.empty() ? checkpoint_precision(model) : precision_of(weight_format(linear, "--precision")), {}};
  if (experts.empty()) return asked;
  if (!model.moe || model.encoder)
    throw InputError{"--experts", fmt::format("formats for {}", model.name), "a decoder-only model with experts"};
  std::vector<NumberFormat> list;
  for (const std::string& name : experts) list.push_back(weight_format(name, "--experts"));
  if (list.size() == 1) list.assign(static_cast<std::size_t>(model.moe->experts), list.front());
  const ExpertFormats formats = listed_formats(model, list, "--experts");
  for (const NumberFormat format : formats.used()) check_blocks(model, format, 1, "--experts");
  asked.precision.experts = widest(list);
  if (!formats.uniform()) asked.experts = list;
  return asked;
}

}  // namespace

std::array<Bytes, kTensorClassCount> weight_bytes(const Architecture& model, const Asked& asked) {
  auto bytes = weight_bytes(model, asked.precision);
  if (!asked.experts.empty())
    bytes[static_cast<std::size_t>(TensorClass::experts)] =
        expert_weight_bytes(model, listed_formats(model, asked.experts, "--experts"));
  return bytes;
}

std::vector<OpRow> all_ops(const Architecture& model, const Asked& asked) {
  std::vector<OpRow> rows;
  if (model.encoder) return rows;
  add_phase(model, asked, {Phase::decode, 1, 1, kShownTokens}, rows);
  add_phase(model, asked, {Phase::prefill, 1, kShownTokens, 0}, rows);
  return rows;
}

Work total_of(const std::vector<OpRow>& rows, Phase phase) {
  Work sum;
  for (const OpRow& row : rows) {
    if (row.phase != phase) continue;
    sum.flops += static_cast<double>(row.layers) * row.op.flops;
    sum.bytes += static_cast<double>(row.layers) * row.op.bytes;
  }
  return sum;
}

void add_model_command(CLI::App& app, Globals& globals) {
  struct Options {
    std::string model, precision;
    std::vector<std::string> experts;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("model", "Parameters, bytes and work of a model");
  add_common_options(*command, globals, "  moesim model mixtral-8x7b",
                     "  moesim model configs/DeepSeek-V3/config.json --precision fp8_block --json");
  command->add_option("model", options->model, "A zoo name, or a path to a Hugging Face config.json")->required();
  command->add_option("--precision", options->precision,
                      "Format of the linear layers in the operations, as precision.weights of a scenario (default: as "
                      "the checkpoint is stored)");
  command
      ->add_option("--experts", options->experts,
                   "Format of the routed experts; or one for each expert, with commas between (default: as the others)")
      ->delimiter(',');
  command->callback([options, &globals] {
    const Architecture model = load_architecture(options->model);
    const Asked asked = read_asked(model, options->precision, options->experts);
    if (globals.json) {
      fmt::print("{}\n", model_json(model, asked));
    } else {
      fmt::print("{}", model_text(model, asked));
    }
  });
}

}  // namespace moesim
