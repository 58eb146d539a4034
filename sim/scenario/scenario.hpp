#pragma once
// A question, validated: everything a simulation needs to know. yaml-cpp stays inside document.cpp.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/collectives/collectives.hpp"
#include "models/hardware/cluster.hpp"
#include "models/layout/layout.hpp"
#include "models/llm/architecture.hpp"
#include "models/llm/expert_formats.hpp"
#include "models/llm/extra_ops.hpp"
#include "models/llm/ops.hpp"
#include "models/placement/placement.hpp"
#include "models/routing/routing.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {

enum class DpPadding { none, max };

/// Where kernel times come from.
struct KernelSpec {
  std::string profile = "roofline";  ///< a shipped profile's name, a file, or the roofline
  std::string engine = "auto";       ///< of the profile; auto: its first
  bool roofline_fallback = false;    ///< for what the profile lacks
  std::string profile_where = "kernels.profile", engine_where = "kernels.engine";  ///< their places, for errors

  bool is_roofline() const { return profile == "roofline"; }
};

struct WorkloadSpec {
  Phase phase = Phase::decode;
  double tokens_per_gpu = 0;  ///< new tokens of one step per GPU of the layout; decode: sequences per GPU
  double context = 0;         ///< decode: KV entries per sequence, in every step; prefill: prompt length
  int steps = 100;
  double dp_imbalance = 1;  ///< max / mean tokens over attention-DP ranks in every step
  Seconds host_time;        ///< after every batch, while no GPU of the last stage works
};

/// Tokens of a microbatch on a data-parallel rank: those of all GPUs, in every stage or in both pools, cut.
inline double tokens_of_dp_rank(const WorkloadSpec& workload, const LayoutSpec& layout) {
  double gpus = static_cast<double>(layout.attention_tp) * layout.pp;
  if (layout.experts_apart) gpus += static_cast<double>(layout.expert_ep) * layout.expert_tp / layout.attention_dp;
  return workload.tokens_per_gpu * gpus / layout.microbatches;
}

struct CommunicationSpec {
  AllToAll all_to_all = AllToAll::automatic;
  std::optional<CopyRule> copies;  ///< empty: auto
  AllReduceAlgorithm all_reduce = AllReduceAlgorithm::automatic;
  DpPadding dp_padding = DpPadding::none;
  ReplicaChoice replicas = ReplicaChoice::uniform_random;
  // rails and spread live in ClusterSpec
};

enum class OffloadTo { none, host, nvme };

/// Routed experts outside the GPU. What a step wants of them is fetched, one expert after another, after the router and
/// before the experts run; what is fetched is dropped again.
///   hit_rate given  a cache's: every wanted slot costs (1 - hit_rate) of its bytes
///   else            counted: the `resident` slots with the largest mean loads hit, every other slot with a row is
///                   fetched whole. The mean of misses is sum over the others of 1 - (1 - share)^tokens
struct OffloadSpec {
  OffloadTo to = OffloadTo::none;
  int resident = 0;  ///< slots of a MoE layer that stay on a rank
  BytesPerSecond bandwidth;
  std::optional<double> hit_rate;
};

/// How routed experts are stored, beside precision.experts (the widest format, where they differ).
struct ExpertStoreSpec {
  std::vector<NumberFormat> listed;  ///< [experts], the same in every MoE layer; empty: precision.experts
  std::optional<NumberFormat> cold;  ///< of experts with less than cold_below of their layer's mean load
  double cold_below = 0;
  std::optional<QualityPenalties> penalties;
  OffloadSpec offload;
};

struct Slo {
  std::optional<Seconds> ttft;
  std::optional<Seconds> tpot;
};

/// A value with where it came from, for --resolved: "input", "default", "--set", "catalogue" ...
struct ResolvedValue {
  std::string path;   ///< "cluster.fabric.nic"
  std::string value;  ///< as it would be written in YAML, files as absolute paths; "" when the key is not set
  std::string origin;
  std::string identity;  ///< what the scenario's hash sees: the value, of a file its content
};

struct Scenario {
  std::string name;  ///< file stem
  std::string question;
  Architecture model;
  Precision precision;
  ExpertStoreSpec experts;
  std::vector<ExtraOp> extra_ops;
  ClusterSpec cluster;
  LayoutSpec layout;
  PlacementSpec placement;
  RoutingSpec routing;
  WorkloadSpec workload;
  CommunicationSpec communication;
  bool overlap_shared_experts = true;
  bool overlap_two_batch = false;
  KernelSpec kernels;
  double memory_fraction = 0.9;
  Slo slo;
  std::uint64_t seed = 1;
  std::vector<ResolvedValue> resolved;  ///< every key of the contract, in schema order
};

/// `--set path=value`. An empty value takes the key out of the file; a value that starts with {, [ or a quote is YAML.
using Override = std::pair<std::string, std::string>;

/// Read a YAML or JSON scenario. Paths inside are relative to the file.
/// Throws InputError ("file:line:column: key: got ..., expected ...; did you mean ...?") and NotModelledYet.
Scenario load_scenario(const std::filesystem::path& file, const std::vector<Override>& overrides = {});

/// The same from text; `origin` names it in errors, `folder` is what paths are relative to.
Scenario parse_scenario(const std::string& text, const std::string& origin, const std::filesystem::path& folder,
                        const std::vector<Override>& overrides = {});

/// The cluster alone: of a scenario, or of a text that has no more than a cluster section. A cluster.xml may stand for
/// cluster.gpu, which has no name then.
ClusterSpec load_cluster(const std::filesystem::path& file, const std::vector<Override>& overrides = {});
ClusterSpec parse_cluster(const std::string& text, const std::string& origin, const std::filesystem::path& folder,
                          const std::vector<Override>& overrides = {});

/// Every key with its value, as YAML that loads to the same scenario from any folder, origins as comments.
std::string resolved_yaml(const Scenario& scenario);

/// JSON Schema (draft-07) of the scenario file, generated from the parser's own table of keys.
std::string scenario_schema();

/// Stable hash (16 hex digits) of the resolved values. Files count by content, so it is the same wherever they lie.
std::string scenario_hash(const Scenario& scenario);

}  // namespace moesim
