#pragma once
// DeepSeek's expert-parallel load balancer: replicate the hot experts, then pack (domain E.2).

#include <span>
#include <vector>

namespace moesim {

/// Copies until there are `slots`: each further one of the expert with the highest load per copy, the first of equals.
///
/// loads [experts]
/// Returns the expert of each copy [slots]: first every expert once in order, then the extra copies.
std::vector<int> replicate(std::span<const double> loads, int slots);

/// Hierarchical EPLB: consecutive expert groups are packed onto nodes, then every node replicates its own experts and
/// packs the copies onto its ranks. With one group on one node this is the global policy.
///
/// loads [experts] : of one layer
/// Needs experts % groups == groups % nodes == ranks % nodes == slots % ranks == 0 and slots >= experts.
/// Returns the expert of each slot [slots]; slot s sits on rank s / (slots / ranks).
/// Ties go to the lower index, as in the published examples, which it reproduces.
/// Source: deepseek-ai/EPLB, README and its algorithm's steps; loads are double here and float there.
std::vector<int> balance_hierarchically(std::span<const double> loads, int slots, int groups, int nodes, int ranks);

}  // namespace moesim
