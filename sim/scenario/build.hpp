#pragma once
// The steps between settings and a Scenario, in order of use.

#include <filesystem>

#include "sim/scenario/scenario.hpp"
#include "sim/scenario/settings.hpp"

namespace moesim {

/// Defaults that depend on the model, the GPU and the size of the cluster (documented as standard_note in the table).
void fill_precision_defaults(Settings& settings, const Architecture& model);
void fill_layout_defaults(Settings& settings, const Architecture& model, int gpus);

/// The cluster section with its defaults, communication.rails and communication.spread, checked by building its
/// network. Throws InputError and NotModelledYet at the key that has to change.
ClusterSpec read_cluster(Settings& settings, const std::filesystem::path& folder);

/// The routing section, with what spans its keys.
RoutingSpec read_routing(const Settings& settings, const std::filesystem::path& folder);

/// Whether precision.experts is a list; it must be there.
bool lists_formats(const Settings& settings);
/// The format of routed experts, of a list the one with the most bits.
NumberFormat widest_expert_format(const Settings& settings);
/// precision.experts as a list, precision.cold_experts, quality_penalty and the offload section with its defaults.
ExpertStoreSpec read_expert_store(Settings& settings, const Architecture& model, const Gpu& gpu);
/// Throws InputError where a split cuts the blocks of an expert's format.
void check_expert_blocks(const Scenario& scenario, const Settings& settings);
std::vector<ExtraOp> read_extra_ops(const Settings& settings);

/// What spans several keys: a fabric for one node, replicas of a policy without them, the layout on this cluster, whole
/// tokens per rank, the model's longest context. Throws InputError and NotModelledYet at the key that has to change.
void check_together(const Scenario& scenario, const Settings& settings);

/// The file of a `file` or `model` key, relative to the scenario's folder. Throws InputError when it is no regular
/// file.
std::filesystem::path existing_file(const Settings& settings, std::string_view path,
                                    const std::filesystem::path& folder);

/// A model value that is a path, not a zoo name: it has a '/' or ends in ".json".
bool is_config_path(std::string_view model);

/// 64-bit FNV-1a, to be continued from `state`.
std::uint64_t fnv1a(std::string_view bytes, std::uint64_t state = 14695981039346656037ULL);

/// Every key of the table in order, files as absolute paths with the hash of their content as identity.
std::vector<ResolvedValue> resolve(const Settings& settings, const std::filesystem::path& folder);

}  // namespace moesim
