// Rows of deployments over several nodes, whose layout and options are words.

#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "models/hardware/gpu.hpp"
#include "sim/validate/measured_file.hpp"
#include "sim/validate/steady_batch.hpp"

namespace moesim {
namespace {

constexpr std::string_view kInAll = "out tok/s total";

/// The number behind a word: 32 of "EP32 DP32" for "EP". 0: none. Letters right before the word make it another one
/// (attn-DP8 is DP8, TEP4 is not EP4).
int degree(const std::string& layout, std::string_view word) {
  for (std::size_t at = 0; (at = layout.find(word, at)) != std::string::npos; ++at) {
    if (at > 0 && std::isalpha(static_cast<unsigned char>(layout[at - 1])) != 0) continue;
    int value = 0;
    const char* begin = layout.data() + at + word.size();
    if (std::from_chars(begin, layout.data() + layout.size(), value).ptr != begin) return value;
  }
  return 0;
}

/// A number from 1 at the start of a field: 16384 of "16384 tok". 0: none.
int leading_number(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct LargeScaleRow {
  Replica replica;
  int gpus = 0;
  int prompt = 0, answer = 0;
  int batch = 0;  ///< decode: requests per GPU; prefill: tokens
  std::string phase, metric;
  std::string reason;
};

void read_options(const std::string& options, LargeScaleRow& row) {
  const auto says = [&](std::string_view words) { return options.find(words) != std::string::npos; };
  row.replica.two_batch = says("TBO") || says("2 microbatch");
  if (says("balanced")) row.replica.routing = "balanced";
  row.answer = degree(options, "OSL ");
}

void read_layout(const std::string& layout, LargeScaleRow& row) {
  Replica& replica = row.replica;
  replica.expert_ep = std::max(1, degree(layout, "EP"));
  replica.attention_dp = degree(layout, "DP");
  const int tp = std::max(1, degree(layout, "TP"));
  const int ranks = std::max(replica.expert_ep, std::max(tp, replica.attention_dp));
  if (replica.attention_dp == 0) replica.attention_dp = layout.find("DP/EP") != std::string::npos ? ranks : ranks / tp;
  if (replica.attention_dp == 0 || ranks % replica.attention_dp != 0 || ranks % replica.expert_ep != 0 ||
      ranks > row.gpus) {
    row.reason = fmt::format("layout '{}' is not understood", layout);
    return;
  }
  replica.attention_tp = ranks / replica.attention_dp;
  replica.expert_tp = ranks / replica.expert_ep;
}

void read_model(const CaseRow& row, LargeScaleRow& large) {
  const auto model = zoo_model(row.text("model"));
  const auto gpu = catalogue_gpu(row.text("gpu"));
  if (!model || !gpu) {
    large.reason = !model ? fmt::format("model {} is not in the zoo", row.text("model"))
                          : fmt::format("GPU {} is not in the catalogue", row.text("gpu"));
    return;
  }
  const Architecture architecture = load_architecture(*model);
  large.replica.model = *model;
  large.replica.gpu = *gpu;
  large.replica.is_moe = architecture.moe.has_value();
  large.gpus = row.count("nodes") * find_gpu(*gpu, "case").gpus_per_node;
  const std::string engine = lowered(row.text("system"));
  large.replica.engine = engine == "trt-llm" ? "trtllm" : engine;
  // Serving deployments of DeepSeek keep KV in bf16 unless the row says otherwise; no engine rule applies to them.
  if (const auto formats =
          stored_formats(architecture, row.text("model"), "", row.text("precision"), row.text("precision")))
    large.replica.formats = *formats;
  else
    large.reason = fmt::format("number format {} is not known", row.text("precision"));
}

/// What makes a figure of a step that all ranks do: tokens of the step, per node or GPU or in all. 0: unknown.
double tokens_of_figure(const LargeScaleRow& row, double tokens_per_gpu) {
  const double gpus = row.replica.ranks();
  if (row.metric.starts_with("tok/s/node")) return tokens_per_gpu * find_gpu(row.replica.gpu, "case").gpus_per_node;
  if (row.metric.starts_with("tok/s/GPU")) return tokens_per_gpu;
  return row.metric == kInAll ? tokens_per_gpu * gpus : 0;
}

/// Decode alone, at the context of a steady batch; or everything on the same GPUs, prefill between decode steps.
WeightedSteps steps_of(const LargeScaleRow& row) {
  const Replica& replica = row.replica;
  const double batch = static_cast<double>(row.batch) * replica.attention_tp;
  if (row.phase == "mixed") return steady_batch({replica, batch, row.prompt, row.answer});
  const std::string scenario = row.phase == "prefill" ? prefill_scenario(replica, batch, row.prompt)
                                                      : decode_scenario(replica, batch, row.prompt + row.answer / 2);
  return {replica.gpu, replica.engine, {{scenario, 1}}};
}

LargeScaleRow read_large_scale(const CaseRow& row) {
  LargeScaleRow large;
  large.phase = row.text("phase");
  large.metric = row.text("metric");
  read_model(row, large);
  if (!large.reason.empty()) return large;
  read_options(row.text("options"), large);
  read_layout(row.text("layout"), large);
  large.prompt = leading_number(row.text("isl"));
  large.batch = leading_number(row.text("batch_per_gpu"));
  if (large.batch == 0 || large.prompt == 0)
    large.reason = "neither batch nor prompt length is given";
  else if (large.phase == "mixed" && large.answer == 0)
    large.reason = "the length of the answers is not given";
  else if (large.phase != "prefill" && large.phase != "decode" && large.phase != "mixed")
    large.reason = fmt::format("phase '{}' is not known", large.phase);
  else if (large.reason.empty() && tokens_of_figure(large, 1) == 0)
    large.reason = fmt::format("'{}' is not a throughput", large.metric);
  return large;
}

}  // namespace

void map_large_scale_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  const LargeScaleRow large = read_large_scale(row);
  MeasuredCase one;
  one.group = fmt::format("{}, {}, {}", row.text("model"), row.text("gpu"), row.text("system"));
  one.what = fmt::format("{} ({})", row.text("id"), row.text("layout"));
  one.quantity = "throughput";
  one.unit = large.metric == kInAll ? "tok/s" : large.metric.substr(0, large.metric.find(" ("));
  one.measured = row.positive("value");
  one.reading = {tokens_of_figure(large, large.batch), true};
  one.reason = large.reason;
  if (large.reason.empty()) one.question = steps_of(large);
  cases.push_back(std::move(one));
}

}  // namespace moesim
