#pragma once
// What happens when an expert is given a limited number of places: drops, backups and padding.

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace moesim {

/// Who keeps a place when an expert is full.
///   none           no limit
///   drop_position  the earlier token; within a token the better choice
///   drop_prob      the higher gate weight; between equals the earlier token
///   backup         as drop_position, but a token without a place tries its next-best experts
enum class CapacityPolicy { none, drop_position, drop_prob, backup };
std::string_view name_of(CapacityPolicy policy);

/// Whose tokens share the places: those of one rank (Switch, Megatron), or of the whole step.
enum class CapacityScope { rank, global };
std::string_view name_of(CapacityScope scope);

struct CapacitySpec {
  CapacityPolicy policy = CapacityPolicy::none;
  double factor = 1;  ///< places over the mean load
  int least = 1;      ///< C_min
  CapacityScope scope = CapacityScope::rank;
  int max_hops = 1;  ///< backup: experts that a rejected choice tries
  bool pad = false;  ///< empty places travel and are computed too
};

/// Places of one expert for `tokens` tokens of a scope: max(least, ceil(top_k tokens factor / experts)); factor * top_k
/// * tokens / experts counts as whole when it is so within 1e-9. Throws std::invalid_argument for tokens < 0, a factor
/// that is not finite and > 0, least < 1.
std::int64_t places_per_expert(const CapacitySpec& spec, int top_k, int experts, std::int64_t tokens);

/// What a limit did, summed over scopes, layers and steps.
struct CapacityCount {
  std::int64_t assignments = 0;  ///< that the router wanted
  std::int64_t dropped = 0;      ///< that found no place; the residual stream passes them by
  std::int64_t rerouted = 0;     ///< that a backup expert took
  std::int64_t places = 0;       ///< experts times places, over scopes
  double displaced_gate = 0;     ///< sum over rerouted of the gate weight they lost, w_first - w_backup
  double dropped_gate = 0;       ///< sum of the gate weights of what was dropped
  CapacityCount& operator+=(const CapacityCount& other);
  std::int64_t padded_slots() const { return places - (assignments - dropped); }
};

/// Router's view of a token (index within the scope): selection and gate of every expert, see
/// TokenSampler::preferences.
using Preferences = std::function<void(std::size_t token, std::span<double> selection, std::span<double> gate)>;

/// Applies the limit to the tokens of one scope.
///
/// chosen [tokens * width] : experts, best first, -1 for none; a dropped one becomes -1, a rerouted one its backup
/// preferences             : may be empty for drop_position (gates are then not counted); each token is asked at most
///                           once, in order of tokens for drop_prob
/// A rejected choice tries the best expert that its token has neither chosen nor tried; a full one costs a hop too.
/// Equal selections: the lower id. Exact and deterministic. Policy none only counts.
/// Throws std::invalid_argument when sizes do not match, an expert is out of range, or preferences are missing.
CapacityCount apply_capacity(const CapacitySpec& spec, int experts, int top_k, std::span<int> chosen, int width,
                             const Preferences& preferences);

}  // namespace moesim
