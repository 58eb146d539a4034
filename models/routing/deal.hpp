#pragma once
// Balanced routing: a random order of the experts, dealt to the tokens k at a time.

#include <cstdint>
#include <vector>

#include "models/routing/token_design.hpp"

namespace moesim {

/// Order in which a layer's experts are dealt: token t takes places t*k .. t*k + k - 1, cyclically. Loads of any number
/// of tokens then differ by at most one, and ungrouped a token's experts are a uniformly random set, so that copies per
/// rank are those of uniform routing. Group-limited: a token's experts come from exactly the kept number of groups.
/// Throws NotModelledYet when groups and top_k do not divide so that every deal stays within the kept groups.
std::vector<int> deal_order(const RouterShape& shape, std::uint64_t seed, int layer);

}  // namespace moesim
