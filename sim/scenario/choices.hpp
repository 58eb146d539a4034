#pragma once
// The closed sets of the table of keys. Values beyond `kLater` belong to the contract, but are not modelled yet.

#include <limits>

#include "sim/scenario/keys.hpp"

namespace moesim {

inline constexpr int kLater = std::numeric_limits<int>::min();
inline constexpr int kAuto = -1;  ///< "auto" where the enum has no value for it

std::vector<Choice> weight_format_choices();  ///< also routed experts: "fp8" is short for fp8_block
std::vector<Choice> stored_format_choices();  ///< embedding and KV cache
std::vector<Choice> dispatch_format_choices();
std::vector<Choice> combine_format_choices();
std::vector<Choice> offload_choices();
std::vector<Choice> sampler_choices();
std::vector<Choice> capacity_choices();
std::vector<Choice> capacity_scope_choices();
std::vector<Choice> workload_choices();
std::vector<Choice> phase_choices();
std::vector<Choice> all_to_all_choices();
std::vector<Choice> copy_rule_choices();
std::vector<Choice> all_reduce_choices();
std::vector<Choice> rail_choices();
std::vector<Choice> spread_choices();
std::vector<Choice> replica_choices();
std::vector<Choice> node_link_choices();
std::vector<Choice> tier_choices();
std::vector<Choice> padding_choices();
std::vector<Choice> fallback_choices();

}  // namespace moesim
