// Ways out of a memory misfit. Every suggestion has been fitted before it is made.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "models/deployment/deployment.hpp"
#include "models/deployment/rank_share.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

/// A deployment that differs from the one that does not fit, and how to ask for it.
struct Variant {
  Precision precision;
  Layout layout;
  Gpu gpu;
  int slots_per_rank;
  RankBatch batch;
  std::vector<std::string> changes;
};

constexpr std::size_t kRemedies = 3;
constexpr int kMostGpuFactor = 64;

Variant variant_of(const MemoryInputs& in) {
  return {in.precision, in.layout, in.gpu, slots_of_rank(in), in.batch, {}};
}

MemoryFit fit_of(const MemoryInputs& in, const Variant& v) {
  return fit_memory({.model = in.model,
                     .precision = v.precision,
                     .layout = v.layout,
                     .gpu = v.gpu,
                     .slots_per_rank = v.slots_per_rank,
                     .memory_fraction = in.memory_fraction,
                     .batch = v.batch,
                     .all_to_all = in.all_to_all});
}

/// What a lever makes of a variant: its options from the mildest on.
using Lever = std::function<std::vector<Variant>(const MemoryInputs&, const Variant&)>;

// ---- fewer bits
// -------------------------------------------------------------------------------------------------------

std::optional<Variant> with_weights(const MemoryInputs& in, Variant v, NumberFormat format) {
  const auto improves = [&](NumberFormat now) { return bits_per_element(format) < bits_per_element(now); };
  std::vector<std::string> keys;
  const auto change = [&](NumberFormat& now, const char* key) {
    if (!improves(now)) return;
    now = format;
    keys.emplace_back(key);
  };
  change(v.precision.weights, "precision.weights");
  if (in.model.moe) change(v.precision.experts, "precision.experts");
  if (keys.empty()) return std::nullopt;
  v.changes.push_back(fmt::format("{} {}", fmt::join(keys, " and "), name_of(format)));
  return v;
}

std::vector<Variant> fewer_bits(const MemoryInputs& in, const Variant& v) {
  std::vector<Variant> options;
  const bool runs_fp8 = v.gpu.fp8 > FlopsPerSecond{};
  if (runs_fp8)
    if (auto fp8 = with_weights(in, v, NumberFormat::fp8_block)) options.push_back(*fp8);
  if (auto int4 = with_weights(in, v, NumberFormat::int4_group128)) options.push_back(*int4);
  return options;
}

// ---- more GPUs
// --------------------------------------------------------------------------------------------------------

LayoutSpec scaled(const Layout& layout, int factor) {
  LayoutSpec spec = layout.spec;
  const bool data = spec.attention_dp > 1;
  (data ? spec.attention_dp : spec.attention_tp) *= factor;
  (layout.kind == LayoutKind::tensor ? spec.expert_tp : spec.expert_ep) *= factor;
  return spec;
}

std::string slots_change(const MemoryInputs& in, const Variant& v) {
  if (!in.model.moe || v.layout.spec.expert_ep == 1) return {};
  const int before = slots_of_rank(in) * in.layout.spec.expert_ep, after = v.slots_per_rank * v.layout.spec.expert_ep;
  if (before == after) return {};
  return fmt::format(", placement.policy eplb with {} redundant", after - in.model.moe->experts);
}

/// `factor` times as many GPUs in a layout of the same kind, each with as many sequences as before.
std::optional<Variant> with_more_gpus(const MemoryInputs& in, Variant v, int factor) {
  const LayoutSpec spec = scaled(v.layout, factor);
  const int slots = v.slots_per_rank * v.layout.spec.expert_ep;
  v.slots_per_rank = static_cast<int>(rounded_up(slots, spec.expert_ep));
  if (v.layout.spec.attention_dp == 1) v.batch.sequences *= factor;
  const bool gathers = v.layout.kind == LayoutKind::data_expert_gather;
  try {
    v.layout = make_layout(spec, in.model, std::numeric_limits<int>::max(),
                           gathers ? AllToAll::allgather_reducescatter : AllToAll::automatic);
  } catch (const InputError&) {  // heads or widths do not divide that often
    return std::nullopt;
  }
  v.changes.push_back(fmt::format("{} GPUs ({}{})", v.layout.ranks, describe(v.layout), slots_change(in, v)));
  return v;
}

std::vector<Variant> more_gpus(const MemoryInputs& in, const Variant& v) {
  std::vector<Variant> options;
  for (int factor = 2; factor <= kMostGpuFactor; factor *= 2)
    if (auto option = with_more_gpus(in, v, factor)) options.push_back(*option);
  return options;
}

// ---- a larger GPU
// -----------------------------------------------------------------------------------------------------

std::vector<Variant> larger_gpu(const MemoryInputs&, const Variant& v) {
  std::vector<Variant> options;
  for (const std::string& name : gpu_names()) {
    const Gpu gpu = find_gpu(name, "cluster.gpu");
    if (gpu.memory <= v.gpu.memory) continue;
    options.push_back(v);
    options.back().gpu = gpu;
    options.back().changes.push_back(fmt::format("cluster.gpu {} ({})", gpu.name, human(gpu.memory)));
  }
  std::stable_sort(options.begin(), options.end(),
                   [](const Variant& a, const Variant& b) { return a.gpu.memory < b.gpu.memory; });
  return options;
}

// ---- a smaller batch, a shorter context
// -------------------------------------------------------------------------------

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

std::vector<Variant> smaller_batch(const MemoryInputs& in, const Variant& v) {
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
  trial.changes.push_back(fmt::format("{:.0f} instead of {:.6g} {} per {}", *best, now,
                                      chunk ? "prompt tokens a step" : "sequences",
                                      tp > 1 ? fmt::format("group of {} GPUs", tp) : "GPU"));
  return {trial};
}

std::vector<Variant> shorter_context(const MemoryInputs& in, const Variant& v) {
  if (fit_of(in, v).fits) return {};
  Variant trial = v;
  const auto best = largest_that_fits(v.batch.context, [&](double context) {
    trial.batch.context = context;
    return fit_of(in, trial).fits;
  });
  if (!best) return {};
  trial.batch.context = *best;
  trial.changes.push_back(fmt::format("a context of {:.0f} instead of {:.6g} tokens", *best, v.batch.context));
  return {trial};
}

// ---- the search
// -------------------------------------------------------------------------------------------------------

/// In the order in which they are offered and combined; the last two need the rest decided, as they bisect.
const std::array<Lever, 5>& levers() {
  static const std::array<Lever, 5> kLevers{fewer_bits, more_gpus, larger_gpu, smaller_batch, shorter_context};
  return kLevers;
}

/// Every variant that fits when each lever of the set is pulled, mildest options first.
void pull(const MemoryInputs& in, const Variant& v, unsigned set, std::vector<Variant>& found) {
  if (set == 0) {
    if (fit_of(in, v).fits) found.push_back(v);
    return;
  }
  const auto lever = static_cast<unsigned>(std::countr_zero(set));
  for (const Variant& option : levers()[lever](in, v)) pull(in, option, set & (set - 1), found);
}

/// Sets of levers, smaller ones first, then in the order of the levers.
std::vector<unsigned> lever_sets() {
  std::vector<unsigned> sets;
  for (unsigned set = 1; set < 1u << levers().size(); ++set) sets.push_back(set);
  std::stable_sort(sets.begin(), sets.end(),
                   [](unsigned a, unsigned b) { return std::popcount(a) < std::popcount(b); });
  return sets;
}

/// The sets that help and of which no smaller part does, each with its options.
std::vector<std::vector<Variant>> ways_out(const MemoryInputs& in) {
  std::vector<std::vector<Variant>> ways;
  std::vector<unsigned> helped;
  for (unsigned set : lever_sets()) {
    if (std::any_of(helped.begin(), helped.end(), [&](unsigned part) { return (set & part) == part; })) continue;
    std::vector<Variant> options;
    pull(in, variant_of(in), set, options);
    if (options.empty()) continue;
    ways.push_back(std::move(options));
    helped.push_back(set);
  }
  return ways;
}

std::string sentence(const MemoryInputs& in, const Variant& v) {
  const MemoryFit fit = fit_of(in, v);
  return fmt::format("{}: {} of {} per GPU", fmt::join(v.changes, ", and "), human(fit.needed), human(fit.capacity));
}

}  // namespace

std::vector<std::string> memory_remedies(const MemoryInputs& in, const MemoryFit& fit) {
  std::vector<std::string> remedies;
  if (fit.fits) return remedies;
  const auto ways = ways_out(in);
  std::size_t most_options = 0;
  for (const auto& options : ways) most_options = std::max(most_options, options.size());
  // Different ways before a second option of the same way.
  for (std::size_t option = 0; option < most_options; ++option)
    for (const auto& options : ways)
      if (option < options.size() && remedies.size() < kRemedies) remedies.push_back(sentence(in, options[option]));
  return remedies;
}

}  // namespace moesim
