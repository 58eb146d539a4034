#include "models/deployment/remedy_levers.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "models/deployment/rank_share.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

constexpr int kMostGpuFactor = 64;

std::optional<Variant> with_weights(const MemoryInputs& in, Variant v, NumberFormat format) {
  const auto improves = [&](NumberFormat now) { return bits_per_element(format) < bits_per_element(now) - 1; };
  std::vector<std::string> keys;
  const auto change = [&](NumberFormat& now, const char* key) {
    if (!improves(now)) return;
    now = format;
    keys.emplace_back(key);
  };
  change(v.precision.weights, "precision.weights");
  if (in.model.moe) change(v.precision.experts, "precision.experts");
  if (keys.empty()) return std::nullopt;
  // In a scenario plain "fp8" is short for fp8_block.
  const auto name = format == NumberFormat::fp8 ? "fp8_per_tensor" : name_of(format);
  v.changes.push_back(fmt::format("{} {}", fmt::join(keys, " and "), name));
  return v;
}

/// Whether every split matrix stays whole blocks of 128, which block and group formats need.
bool whole_blocks(const Architecture& model, const Layout& layout) {
  const auto whole = [](int columns, int tp) { return columns % (tp * 128) == 0; };
  const int tp = layout.spec.attention_tp;
  if (model.dense_layers() > 0 && !whole(model.dense_hidden, tp)) return false;
  return !model.moe || (whole(model.moe->expert_hidden, layout.spec.expert_tp) &&
                        whole(model.moe->shared_hidden, layout.shared_expert_tp()));
}

/// The same kind of layout on `factor` times as many ranks.
LayoutSpec scaled(const Layout& layout, int factor) {
  LayoutSpec spec = layout.spec;
  const bool data = spec.attention_dp > 1;
  (data ? spec.attention_dp : spec.attention_tp) *= factor;
  (layout.kind == LayoutKind::tensor ? spec.expert_tp : spec.expert_ep) *= factor;
  return spec;
}

/// Own sequences and whole experts on every rank: splits the cache of MLA models, which tensor parallelism cannot.
LayoutSpec data_expert(int ranks) {
  return {.attention_tp = 1, .attention_dp = ranks, .expert_ep = ranks, .expert_tp = 1, .pp = 1};
}

std::string redundancy_change(const MemoryInputs& in, const Variant& v) {
  if (!in.model.moe) return {};
  const int redundant = v.slots_per_rank * v.layout.spec.expert_ep - in.model.moe->experts;
  const int before = slots_of_rank(in) * in.layout.spec.expert_ep - in.model.moe->experts;
  return redundant == before ? "" : fmt::format(", placement.policy eplb with {} redundant", redundant);
}

/// v on another layout: every GPU with as much work as before, or all with as much together.
std::optional<Variant> on_layout(const MemoryInputs& in, Variant v, const LayoutSpec& spec, bool same_work_each) {
  const Layout before = v.layout;
  try {
    v.layout = make_layout(
        spec, in.model, std::numeric_limits<int>::max(),
        before.kind == LayoutKind::data_expert_gather ? AllToAll::allgather_reducescatter : AllToAll::automatic);
  } catch (const InputError&) {  // heads or widths do not divide that often
    return std::nullopt;
  }
  double sequences = v.batch.sequences * before.spec.attention_dp * before.spec.microbatches;
  if (same_work_each) sequences *= static_cast<double>(v.layout.gpus()) / before.gpus();
  v.batch.sequences = std::ceil(sequences / spec.attention_dp / spec.microbatches);
  v.slots_per_rank = static_cast<int>(rounded_up(v.slots_per_rank * before.spec.expert_ep, spec.expert_ep));
  v.changes.push_back(fmt::format("{} GPUs {} ({}{})", v.layout.gpus(),
                                  same_work_each ? "with as much work each" : "for the same batch", describe(v.layout),
                                  redundancy_change(in, v)));
  return v;
}

/// The largest whole number in [1, below) that fits, if any does. Memory grows with it.
std::optional<double> largest_that_fits(double below, const std::function<bool(double)>& fits) {
  double low = 1, high = std::ceil(below) - 1;
  if (high < low || !fits(low)) return std::nullopt;
  while (low < high) {
    const double middle = std::ceil((low + high) / 2);
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/// A count without an exponent, and without a fraction that it does not have.
std::string plain(double count) {
  return count == std::floor(count) ? fmt::format("{:.0f}", count) : fmt::format("{:g}", count);
}

/// One prompt in chunks: a shorter chunk leaves more of the prompt in the cache. Otherwise fewer sequences.
RankBatch with_batch(const RankBatch& batch, double size, bool chunk) {
  RankBatch smaller = batch;
  if (chunk) {
    smaller.context += batch.new_tokens - size;
    smaller.new_tokens = size;
  } else {
    smaller.sequences = size;
  }
  return smaller;
}

}  // namespace

/// Experts of several formats are known for this placement only: elsewhere all count as the widest.
MemoryFit fit_of(const MemoryInputs& in, const Variant& v) {
  const bool same_experts = v.precision.experts == in.precision.experts && v.slots_per_rank == slots_of_rank(in) &&
                            v.layout.spec.expert_ep == in.layout.spec.expert_ep &&
                            v.layout.spec.expert_tp == in.layout.spec.expert_tp &&
                            v.layout.spec.stage_layers == in.layout.spec.stage_layers;
  return fit_memory({.model = in.model,
                     .precision = v.precision,
                     .layout = v.layout,
                     .gpu = v.gpu,
                     .slots_per_rank = v.slots_per_rank,
                     .memory_fraction = v.memory_fraction,
                     .batch = v.batch,
                     .all_to_all = in.all_to_all,
                     .experts = same_experts ? in.experts : std::vector<StoredExperts>{},
                     .resident_slots = in.resident_slots,
                     .extra_weights = in.extra_weights,
                     .gpus_per_node = in.gpus_per_node});
}

std::vector<Variant> larger_share(const Misfit& misfit, const Variant& v) {
  constexpr double kMostShare = 0.95;  // beyond it CUDA contexts and fragmentation have no room
  const MemoryFit now = fit_of(misfit.in, v);
  Variant option = v;
  option.memory_fraction = std::ceil(now.needed / now.device * 100) / 100;
  if (now.fits || option.memory_fraction > kMostShare) return {};
  option.changes.push_back(fmt::format("memory_fraction {:g}", option.memory_fraction));
  return {option};
}

std::vector<Variant> fewer_bits(const Misfit& misfit, const Variant& v) {
  const MemoryInputs& in = misfit.in;
  std::vector<NumberFormat> formats;
  const bool blocks = whole_blocks(in.model, v.layout);
  if (v.gpu.fp8 > FlopsPerSecond{}) formats.push_back(blocks ? NumberFormat::fp8_block : NumberFormat::fp8);
  if (blocks) formats.push_back(NumberFormat::int4_group128);
  std::vector<Variant> options;
  for (NumberFormat format : formats)
    if (auto option = with_weights(in, v, format)) options.push_back(*option);
  return options;
}

std::vector<Variant> smaller_cache(const Misfit&, const Variant& v) {
  if (v.gpu.fp8 <= FlopsPerSecond{} || v.precision.kv != NumberFormat::bf16) return {};
  Variant option = v;
  option.precision.kv = NumberFormat::fp8;
  option.changes.push_back(fmt::format("precision.kv {}", name_of(NumberFormat::fp8)));
  return {option};
}

std::vector<Variant> more_gpus(const Misfit& misfit, const Variant& v) {
  const MemoryInputs& in = misfit.in;
  std::vector<Variant> options;
  for (int factor = 2; factor <= kMostGpuFactor; factor *= 2) {
    std::vector<LayoutSpec> specs{scaled(v.layout, factor)};
    if (in.model.moe && v.layout.spec.attention_dp == 1) specs.push_back(data_expert(v.layout.gpus() * factor));
    for (bool same_work_each : {true, false})
      for (const LayoutSpec& spec : specs)
        if (auto option = on_layout(in, v, spec, same_work_each)) options.push_back(*option);
  }
  return options;
}

std::vector<Variant> larger_gpu(const Misfit& misfit, const Variant& v) {
  std::vector<Variant> options;
  const int node = misfit.in.gpus_per_node;
  for (const Gpu& gpu : misfit.catalogue) {
    if (gpu.memory <= v.gpu.memory) continue;
    options.push_back(v);
    options.back().gpu = gpu;
    std::string change = fmt::format("cluster.gpu {} ({})", gpu.name, human(gpu.memory));
    if (node > 0 && gpu.gpus_per_node != node) change += fmt::format(" with cluster.gpus_per_node {}", node);
    options.back().changes.push_back(std::move(change));
  }
  return options;
}

std::vector<Variant> smaller_batch(const Misfit& misfit, const Variant& v) {
  const MemoryInputs& in = misfit.in;
  if (fit_of(in, v).fits) return {};
  const bool chunk = v.batch.phase == Phase::prefill && v.batch.sequences <= 1;
  const double now = chunk ? v.batch.new_tokens : v.batch.sequences;
  Variant trial = v;
  const auto best = largest_that_fits(now, [&](double size) {
    trial.batch = with_batch(v.batch, size, chunk);
    return fit_of(in, trial).fits;
  });
  if (!best) return {};
  trial.batch = with_batch(v.batch, *best, chunk);
  const int tp = v.layout.spec.attention_tp;
  trial.changes.push_back(fmt::format("{:.0f} instead of {} {} per {}", *best, plain(now),
                                      chunk ? "prompt tokens a step" : "sequences",
                                      tp > 1 ? fmt::format("group of {} GPUs", tp) : "GPU"));
  return {trial};
}

std::vector<Variant> shorter_context(const Misfit& misfit, const Variant& v) {
  const MemoryInputs& in = misfit.in;
  if (fit_of(in, v).fits) return {};
  Variant trial = v;
  const auto best = largest_that_fits(v.batch.context, [&](double context) {
    trial.batch.context = context;
    return fit_of(in, trial).fits;
  });
  if (!best) return {};
  trial.batch.context = *best;
  trial.changes.push_back(fmt::format("a context of {:.0f} instead of {} tokens", *best, plain(v.batch.context)));
  return {trial};
}

}  // namespace moesim
