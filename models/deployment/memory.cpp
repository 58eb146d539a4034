#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/deployment/deployment.hpp"
#include "models/deployment/rank_share.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

/// Tokens of a sequence of this batch, in whole blocks.
double sequence_tokens(const MemoryInputs& in) {
  const int block = kv_block_tokens(in.model);
  return std::ceil((in.batch.context + in.batch.new_tokens) / block) * block;
}

/// Of such a sequence: layers with a window keep fewer entries than it has tokens.
Bytes kv_bytes_of_a_token(const MemoryInputs& in) {
  const int tp = in.layout.spec.attention_tp;
  if (in.model.windowed_layers() == 0) return kv_bytes_per_token(in.model, in.precision.kv, tp);
  const double tokens = std::max(1.0, sequence_tokens(in));
  return kv_bytes_of_sequence(in.model, in.precision.kv, tokens, tp) / tokens;
}

MemoryLine kv_line(const MemoryInputs& in) {
  const int block = kv_block_tokens(in.model);
  const int microbatches = in.layout.spec.microbatches;
  const double sequences = std::ceil(in.batch.sequences) * microbatches, tokens = sequence_tokens(in);
  const Bytes per_token = kv_bytes_of_a_token(in);
  return {"KV cache", "kv", sequences * tokens * per_token,
          fmt::format("{:.0f} sequences x {:.0f} tokens (blocks of {}) x {:.0f} B{}", sequences, tokens, block,
                      per_token.value(), in.model.windowed_layers() > 0 ? " (mean, with windows)" : "")};
}

void append(std::vector<MemoryLine>& lines, std::vector<MemoryLine> more) {
  for (MemoryLine& line : more) lines.push_back(std::move(line));
}

Bytes offloaded_bytes(const MemoryInputs& in) {
  if (!in.experts.empty()) return in.experts.front().elsewhere;
  const double elsewhere = in.model.moe_layers() * (slots_of_rank(in) - resident_slots_of_rank(in));
  return elsewhere * expert_bytes(in.model, in.precision.experts, in.layout.spec.expert_tp);
}

const MemoryLine& largest_line(const std::vector<MemoryLine>& lines) {
  return *std::max_element(lines.begin(), lines.end(),
                           [](const MemoryLine& a, const MemoryLine& b) { return a.bytes < b.bytes; });
}

long long whole_blocks(const Architecture& model, Bytes room, Bytes per_token) {
  const int block = kv_block_tokens(model);
  if (room <= Bytes{}) return 0;
  return static_cast<long long>(std::floor(room / per_token / block)) * block;
}

/// Sums the lines up and holds them against the capacity.
void judge(const MemoryInputs& in, MemoryFit& fit) {
  Bytes beside_kv;
  fit.needed = {};
  for (const MemoryLine& line : fit.lines) {
    fit.needed += line.bytes;
    if (line.group != "kv") beside_kv += line.bytes;
  }
  fit.kv_tokens_capacity = whole_blocks(in.model, fit.capacity - beside_kv, kv_bytes_of_a_token(in));
  fit.fits = fit.needed <= fit.capacity;
  fit.breaking_line = fit.fits ? "" : largest_line(fit.lines).name;
}

std::vector<StoredExperts> experts_of_stage(const MemoryInputs& whole, int stage) {
  if (whole.experts.empty()) return {};
  return {whole.experts.at(static_cast<std::size_t>(stage))};
}

MemoryFit fit_stage(const MemoryInputs& whole, int stage) {
  const Architecture model = model_of_stage(whole.model, whole.layout, stage);
  const MemoryInputs in{.model = model,
                        .precision = whole.precision,
                        .layout = whole.layout,
                        .gpu = whole.gpu,
                        .slots_per_rank = whole.slots_per_rank,
                        .memory_fraction = whole.memory_fraction,
                        .batch = whole.batch,
                        .all_to_all = whole.all_to_all,
                        .experts = experts_of_stage(whole, stage),
                        .resident_slots = whole.resident_slots,
                        .extra_weights = stage + 1 == whole.layout.spec.pp ? whole.extra_weights : Bytes{},
                        .gpus_per_node = whole.gpus_per_node};
  MemoryFit fit;
  fit.stage = stage;
  append(fit.lines, weight_lines_of_stage(in, stage));
  append(fit.lines, other_lines(in));
  append(fit.lines, buffer_lines(in));
  append(fit.lines, activation_lines(in));
  fit.lines.push_back(kv_line(in));
  fit.device = in.gpu.memory;
  fit.offloaded = offloaded_bytes(in);
  fit.capacity = in.memory_fraction * in.gpu.memory;
  judge(in, fit);
  return fit;
}

/// What a GPU of the expert pool holds of what a GPU with both would.
bool is_of_experts(const MemoryLine& line) {
  return line.name == "expert weights" || line.name == "expert rows" || line.name == "offloaded experts";
}
bool is_of_both(const MemoryLine& line) {
  return line.group == "other" || line.group == "buffers";
}

/// The lines of one of the pools: stage 0 is attention.
MemoryFit fit_pool(const MemoryInputs& in, int pool) {
  MemoryFit fit = fit_stage(in, 0);
  fit.stage = pool;
  std::erase_if(fit.lines,
                [&](const MemoryLine& line) { return !is_of_both(line) && is_of_experts(line) == (pool == 0); });
  judge(in, fit);
  return fit;
}

MemoryFit fit_pools(const MemoryInputs& in) {
  MemoryFit attention = fit_pool(in, 0), experts = fit_pool(in, 1);
  experts.kv_tokens_capacity = attention.kv_tokens_capacity;
  return experts.needed > attention.needed ? experts : attention;
}

}  // namespace

MemoryFit fit_memory(const MemoryInputs& in) {
  if (in.layout.spec.experts_apart) return fit_pools(in);
  MemoryFit fullest = fit_stage(in, 0);
  for (int stage = 1; stage < in.layout.spec.pp; ++stage) {
    MemoryFit fit = fit_stage(in, stage);
    if (fit.needed > fullest.needed) fullest = std::move(fit);
  }
  return fullest;
}

long long kv_tokens_in_cluster(const Architecture& model, const Precision& precision, int gpus, Bytes device,
                               double fraction, Bytes other_per_gpu) {
  const Bytes room = gpus * (fraction * device - other_per_gpu) - total_weight_bytes(model, precision);
  if (room <= Bytes{}) return 0;
  return static_cast<long long>(std::floor(room / kv_bytes_per_token(model, precision.kv)));
}

}  // namespace moesim
