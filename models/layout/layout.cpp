#include "models/layout/layout.hpp"

#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/divisors.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// A product of degrees can overflow int long before it meets a cluster.
long long product(int a, int b) {
  return static_cast<long long>(a) * b;
}

void check_degree(const char* key, int degree) {
  if (degree < 1) throw InputError{key, std::to_string(degree), "a whole number, 1 or more"};
}

void check_degrees(const LayoutSpec& spec) {
  check_degree("layout.attention.tp", spec.attention_tp);
  check_degree("layout.attention.dp", spec.attention_dp);
  check_degree("layout.experts.ep", spec.expert_ep);
  check_degree("layout.experts.tp", spec.expert_tp);
  check_degree("layout.pp", spec.pp);
  check_degree("layout.microbatches", spec.microbatches);
}

void check_divides(const char* key, int degree, const char* what, int count) {
  if (count % degree != 0)
    throw InputError{key, std::to_string(degree), fmt::format("a divisor of the {} {}", count, what),
                     nearest_divisors(degree, count)};
}

void check_gpus(const LayoutSpec& spec, int gpus) {
  const long long attention = product(spec.attention_tp, spec.attention_dp);
  if (spec.experts_apart) {
    const long long experts = product(spec.expert_ep, spec.expert_tp);
    if (attention + experts <= gpus) return;
    throw InputError{"layout", fmt::format("{} attention ranks and {} expert ranks apart", attention, experts),
                     fmt::format("at most {} together: the cluster has {} GPUs", gpus, gpus)};
  }
  const long long ranks = attention;
  if (ranks <= gpus / spec.pp) return;
  const std::string stages = spec.pp > 1 ? fmt::format(" in each of {} stages", spec.pp) : "";
  throw InputError{
      "layout",
      fmt::format("attention tp {} x dp {} = {} ranks{}", spec.attention_tp, spec.attention_dp, ranks, stages),
      fmt::format("at most {}: the cluster has {} GPUs", gpus / spec.pp, gpus)};
}

void check_attention(const LayoutSpec& spec, const Architecture& model) {
  const int tp = spec.attention_tp;
  check_divides("layout.attention.tp", tp, "attention heads", model.attention.heads);
  const int kv = model.attention.kv_heads;
  if (model.attention.kind == AttentionKind::gqa && kv % tp != 0 && tp % kv != 0)
    throw InputError{"layout.attention.tp", std::to_string(tp),
                     fmt::format("a divisor or a multiple of the {} KV heads", kv)};
  if (model.dense_layers() > 0) check_divides("layout.attention.tp", tp, "columns of a dense FFN", model.dense_hidden);
}

LayoutKind dense_kind(const LayoutSpec& spec) {
  if (spec.attention_dp > 1)
    throw NotModelledYet{"layout.attention.dp", fmt::format("data parallelism {} of a dense model", spec.attention_dp),
                         "1: its replicas are independent of each other"};
  if (spec.expert_ep > 1)
    throw InputError{"layout.experts.ep", std::to_string(spec.expert_ep), "1: the model has no experts"};
  if (spec.expert_tp != 1 && spec.expert_tp != spec.attention_tp)
    throw InputError{"layout.experts.tp", std::to_string(spec.expert_tp),
                     fmt::format("1 or attention.tp = {}: the model has no experts", spec.attention_tp)};
  return LayoutKind::tensor;
}

void check_same_ranks(const LayoutSpec& spec) {
  const long long attention = product(spec.attention_tp, spec.attention_dp);
  const long long experts = product(spec.expert_ep, spec.expert_tp);
  if (attention != experts)
    throw InputError{"layout",
                     fmt::format("attention tp {} x dp {} = {} ranks", spec.attention_tp, spec.attention_dp, attention),
                     fmt::format("as many as experts ep {} x tp {} = {}", spec.expert_ep, spec.expert_tp, experts)};
}

/// Pools of attention and of experts.
void check_apart(const LayoutSpec& spec, bool has_experts, AllToAll all_to_all) {
  if (!spec.experts_apart) return;
  if (!has_experts) throw InputError{"layout.experts.apart", "true", "false: the model has no experts"};
  if (spec.pp > 1) throw NotModelledYet{"layout.experts.apart", fmt::format("true with pp {}", spec.pp), "pp 1"};
  if (all_to_all == AllToAll::allgather_reducescatter)
    throw InputError{"communication.all_to_all", std::string{name_of(all_to_all)},
                     "an all-to-all: pools of attention and experts share no group"};
}

LayoutKind moe_kind(const LayoutSpec& spec, AllToAll all_to_all) {
  if (spec.experts_apart) return LayoutKind::data_expert_a2a;
  check_same_ranks(spec);
  if (spec.attention_dp > 1)
    return all_to_all == AllToAll::allgather_reducescatter ? LayoutKind::data_expert_gather
                                                           : LayoutKind::data_expert_a2a;
  return spec.expert_ep > 1 ? LayoutKind::tensor_expert : LayoutKind::tensor;
}

void check_experts(const LayoutSpec& spec, const MoeSpec& moe, std::optional<int> redundant) {
  check_divides("layout.experts.tp", spec.expert_tp, "columns of an expert", moe.expert_hidden);
  if (spec.attention_dp == 1 && !spec.experts_apart)
    check_divides("layout.attention.tp", spec.attention_tp, "columns of the shared experts", moe.shared_hidden);
  if (!redundant) return;
  const long long slots = static_cast<long long>(moe.experts) + *redundant;
  if (slots % spec.expert_ep != 0)
    throw InputError{"layout.experts.ep", std::to_string(spec.expert_ep),
                     fmt::format("a divisor of {} experts + {} redundant = {} slots", moe.experts, *redundant, slots),
                     nearest_divisors(spec.expert_ep, slots)};
}

void check_all_to_all(LayoutKind kind, AllToAll all_to_all) {
  const bool dispatches = kind == LayoutKind::data_expert_a2a || kind == LayoutKind::data_expert_gather;
  if (!dispatches && all_to_all != AllToAll::automatic)
    throw InputError{"communication.all_to_all", std::string{name_of(all_to_all)},
                     "auto: with attention dp 1 every rank holds every token and nothing is dispatched"};
}

std::vector<int> even_stages(int layers, int pp) {
  std::vector<int> stages(pp, layers / pp);
  for (int extra = 0; extra < layers % pp; ++extra) ++stages[pp - 2 - extra];
  return stages;
}

void check_stages(const LayoutSpec& spec, int layers) {
  if (spec.pp > layers)
    throw InputError{"layout.pp", std::to_string(spec.pp), fmt::format("at most the model's {} layers", layers)};
  if (spec.pp == 1 && !spec.experts_apart && spec.microbatches > 1)
    throw InputError{"layout.microbatches", std::to_string(spec.microbatches),
                     "1: without a pipeline (layout.pp) or pools (layout.experts.apart) a step is one batch"};
  if (spec.stage_layers.empty()) return;
  const int sum = std::accumulate(spec.stage_layers.begin(), spec.stage_layers.end(), 0);
  for (const int stage : spec.stage_layers)
    if (stage < 1) throw InputError{"layout.stage_layers", std::to_string(stage), "at least a layer in every stage"};
  if (spec.stage_layers.size() != static_cast<std::size_t>(spec.pp) || sum != layers)
    throw InputError{"layout.stage_layers", fmt::format("{} stages of {} layers in all", spec.stage_layers.size(), sum),
                     fmt::format("pp = {} stages of {} layers in all, as [{}]", spec.pp, layers,
                                 fmt::join(even_stages(layers, spec.pp), ", "))};
}

/// 0..ranks-1 cut into runs of `size`.
std::vector<std::vector<int>> consecutive_groups(int ranks, int size) {
  std::vector<std::vector<int>> groups(ranks / size, std::vector<int>(size));
  int next = 0;
  for (auto& group : groups)
    for (int& rank : group) rank = next++;
  return groups;
}

}  // namespace

std::string_view name_of(LayoutKind kind) {
  switch (kind) {
    case LayoutKind::tensor:
      return "tensor";
    case LayoutKind::tensor_expert:
      return "tensor_expert";
    case LayoutKind::data_expert_gather:
      return "data_expert_gather";
    case LayoutKind::data_expert_a2a:
      return "data_expert_a2a";
  }
  return "";
}

std::string_view name_of(AllToAll choice) {
  switch (choice) {
    case AllToAll::automatic:
      return "auto";
    case AllToAll::deepep_low_latency:
      return "deepep_low_latency";
    case AllToAll::deepep_normal:
      return "deepep_normal";
    case AllToAll::allgather_reducescatter:
      return "allgather_reducescatter";
    case AllToAll::pairwise:
      return "pairwise";
    case AllToAll::hierarchical:
      return "hierarchical";
    case AllToAll::one_sided:
      return "one_sided";
  }
  return "";
}

std::string describe(const Layout& layout) {
  const LayoutSpec& spec = layout.spec;
  const std::string experts =
      layout.ep_group.empty() ? "" : fmt::format(", experts ep{} x tp{}", spec.expert_ep, spec.expert_tp);
  const std::string stages = spec.pp > 1 ? fmt::format(", {} stages of", spec.pp) : std::string{" on"};
  if (spec.experts_apart)
    return fmt::format("attention tp{} x dp{} on {} ranks{} apart on {}", spec.attention_tp, spec.attention_dp,
                       layout.ranks, experts, layout.expert_ranks());
  return fmt::format("attention tp{} x dp{}{}{} {} rank{}", spec.attention_tp, spec.attention_dp, experts, stages,
                     layout.ranks, layout.ranks == 1 ? "" : "s");
}

int Layout::first_layer(int stage) const {
  return std::accumulate(spec.stage_layers.begin(), spec.stage_layers.begin() + stage, 0);
}

Architecture model_of_stage(const Architecture& model, const Layout& layout, int stage) {
  Architecture part = model;
  part.layers = layout.spec.stage_layers[static_cast<std::size_t>(stage)];
  const auto cut = [&](std::vector<bool>& of_layer) {
    if (of_layer.empty()) return;
    const auto begin = of_layer.begin() + layout.first_layer(stage);
    of_layer = std::vector<bool>(begin, begin + part.layers);
  };
  cut(part.moe_layer);
  cut(part.windowed_layer);
  return part;
}

Layout make_layout(const LayoutSpec& spec, const Architecture& model, int gpus, AllToAll all_to_all,
                   std::optional<int> redundant) {
  check_degrees(spec);
  check_gpus(spec, gpus);
  check_stages(spec, model.layers);
  check_apart(spec, model.moe.has_value(), all_to_all);
  const LayoutKind kind = model.moe ? moe_kind(spec, all_to_all) : dense_kind(spec);
  check_attention(spec, model);
  if (model.moe) check_experts(spec, *model.moe, redundant);
  check_all_to_all(kind, all_to_all);

  Layout layout;
  layout.spec = spec;
  if (!model.moe) layout.spec.expert_tp = spec.attention_tp;
  if (spec.stage_layers.empty()) layout.spec.stage_layers = even_stages(model.layers, spec.pp);
  layout.kind = kind;
  layout.ranks = spec.attention_tp * spec.attention_dp;
  layout.attention_tp_groups = consecutive_groups(layout.ranks, spec.attention_tp);
  layout.expert_tp_groups = consecutive_groups(layout.expert_ranks(), layout.spec.expert_tp);
  if (model.moe) {
    layout.ep_group.resize(layout.expert_ranks());
    std::iota(layout.ep_group.begin(), layout.ep_group.end(), 0);
  }
  return layout;
}

}  // namespace moesim
