#include <cmath>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "sim/scenario/build.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

void check_replicas(const Scenario& scenario, const Settings& settings) {
  const PlacementPolicy policy = scenario.placement.policy;
  const bool makes_replicas = policy == PlacementPolicy::eplb || policy == PlacementPolicy::eplb_global ||
                              policy == PlacementPolicy::eplb_hierarchical;
  if (scenario.placement.redundant > 0 && !makes_replicas)
    throw InputError{settings.where("placement.redundant"), fmt::format("{}", scenario.placement.redundant),
                     fmt::format("0 with placement.policy {} (only eplb, eplb_global and eplb_hierarchical choose "
                                 "what to replicate)",
                                 settings.at("placement.policy").text)};
}

/// What was found, said to be a default where nobody wrote it: then the key is the one to set.
std::string found_at(const Settings& settings, const InputError& error) {
  const Key* key = find_key(error.where());
  if (!key || !settings.has(key->path) || settings.at(key->path).origin != "default") return error.found();
  return fmt::format("{}, the default ({})", error.found(), key->standard_note);
}

/// A dense model has no experts to choose or to place: what is said of them would be ignored.
void check_dense(const Scenario& scenario, const Settings& settings) {
  if (scenario.model.moe) return;
  for (const Key& key : scenario_keys())
    for (const std::string_view section : {"routing", "placement"}) {
      if (!key.path.starts_with(fmt::format("{}.", section)) || !settings.has(key.path)) continue;
      const Setting& setting = settings.at(key.path);
      if (setting.origin != "default")
        throw InputError{setting.where, setting.text,
                         fmt::format("no such key: {} is dense, it has no experts; --set {}= takes the section out",
                                     scenario.model.name, section)};
    }
}

/// The layout's own check, at the place of the key it names.
void check_layout(const Scenario& scenario, const Settings& settings) {
  const auto redundant = scenario.placement.policy == PlacementPolicy::file
                             ? std::nullopt
                             : std::optional<int>{scenario.placement.redundant};
  try {
    make_layout(scenario.layout, scenario.model, scenario.cluster.gpus(), scenario.communication.all_to_all, redundant);
  } catch (const NotModelledYet& error) {
    throw NotModelledYet{settings.where(error.where()), error.found(), error.expected()};
  } catch (const InputError& error) {
    throw InputError{settings.where(error.where()), found_at(settings, error), error.expected(), error.hint()};
  }
}

/// tokens_per_gpu is per GPU, but sequences live on attention-DP ranks of attention_tp GPUs each.
void check_whole_tokens(const Scenario& scenario, const Settings& settings) {
  const double tokens = tokens_of_dp_rank(scenario.workload, scenario.layout);
  if (tokens == std::floor(tokens)) return;
  const LayoutSpec& layout = scenario.layout;
  const std::string stages = layout.experts_apart
                                 ? fmt::format(" and its share of {} expert ranks, / {} microbatches",
                                               layout.expert_ep * layout.expert_tp, layout.microbatches)
                             : layout.pp > 1 ? fmt::format(" x pp {} / {} microbatches", layout.pp, layout.microbatches)
                                             : "";
  throw InputError{settings.where("workload.tokens_per_gpu"), fmt::format("{}", scenario.workload.tokens_per_gpu),
                   fmt::format("whole tokens per attention-DP rank: {} x attention tp {}{} = {}",
                               scenario.workload.tokens_per_gpu, layout.attention_tp, stages, tokens)};
}

void check_workload(const Scenario& scenario, const Settings& settings) {
  check_whole_tokens(scenario, settings);
  const int longest = scenario.model.max_context, dp = scenario.layout.attention_dp;
  if (longest > 0 && scenario.workload.context > longest)
    throw InputError{settings.where("workload.context"), fmt::format("{}", scenario.workload.context),
                     fmt::format("at most {}, the longest context of {}", longest, scenario.model.name)};
  if (scenario.workload.dp_imbalance > dp)
    throw InputError{settings.where("workload.dp_imbalance"), fmt::format("{}", scenario.workload.dp_imbalance),
                     fmt::format("at most {}, as one of {} attention-DP ranks holds all tokens then", dp, dp)};
}

}  // namespace

bool is_config_path(std::string_view model) {
  return model.find('/') != std::string_view::npos || model.ends_with(".json");
}

fs::path existing_file(const Settings& settings, std::string_view path, const fs::path& folder) {
  const fs::path file = (folder / settings.text(path)).lexically_normal();
  std::error_code failure;
  const fs::file_status status = fs::status(file, failure);
  if (!fs::exists(status))
    throw InputError{settings.where(path), fmt::format("'{}', which does not exist", file.string()),
                     "a file, relative to the scenario's folder"};
  if (!fs::is_regular_file(status))
    throw InputError{settings.where(path), fmt::format("'{}', which is no regular file", file.string()), "a file"};
  return file;
}

void check_together(const Scenario& scenario, const Settings& settings) {
  check_dense(scenario, settings);
  check_replicas(scenario, settings);
  check_layout(scenario, settings);
  check_expert_blocks(scenario, settings);
  check_workload(scenario, settings);
}

}  // namespace moesim
