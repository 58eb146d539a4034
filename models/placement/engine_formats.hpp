#pragma once
// A placement as inference engines read it.

#include <span>
#include <string>

#include "models/placement/placement.hpp"

namespace moesim {

/// SGLang, --init-expert-location FILE.json: {"physical_to_logical_map": [[expert of each slot], ... per model layer]}.
/// SGLang indexes its rows by model layer, dense layers included, so the layers before the first recorded one get its
/// own trivial map (slot s holds expert s mod experts).
///
/// layer_ids [placement.layers] : model layer of each row
/// Throws InputError when layers between recorded ones are missing, or a slot is empty.
std::string to_sglang(const Placement& placement, std::span<const int> layer_ids);

/// vLLM, the names of its EplbState: {"physical_to_logical_map": [[...] per MoE layer], "logical_replica_count":
/// [[...]]}. Throws InputError as to_sglang does.
std::string to_vllm(const Placement& placement, std::span<const int> layer_ids);

/// TensorRT-LLM, the YAML file that moe_config.load_balancer names: num_slots, initial_global_assignments by model
/// layer, and layer_updates_per_iter: 0 (a static placement). Throws InputError when a slot is empty.
std::string to_trtllm(const Placement& placement, std::span<const int> layer_ids);

}  // namespace moesim
