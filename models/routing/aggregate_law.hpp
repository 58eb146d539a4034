#pragma once
// The constants of one layer's aggregate draw.

#include <vector>

#include "models/routing/alias_table.hpp"
#include "models/routing/token_tables.hpp"

namespace moesim {

/// Standard normals z_e with the correlations of the loads: from independent g_e by
///   z_e = own_e * g_e - shared_e * S + with_group_e * X,   S = sum over e's group of root_f * g_f,
/// where X is the group's total, normal with the design's exact covariance between groups (0 when there is one group).
/// Then load = mean + sd * z + ... of the binomial with chance pi_e (Cornish-Fisher), see aggregate_sampler.cpp.
struct AggregateLaw {
  explicit AggregateLaw(const TokenDesign& design);

  RouterShape shape;
  TokenTables tokens;
  std::vector<double> pi;                             ///< chance that a token takes the expert
  std::vector<double> variance;                       ///< pi (1 - pi)
  std::vector<double> own, shared, root, with_group;  ///< [experts]
  std::vector<double> group_factor;  ///< lower triangle L of the groups' covariance L L', [groups * groups]
  /// load = T pi - skew + z (sqrt(T) sd + wide / sqrt(T) + z (skew + z curve / sqrt(T)))
  std::vector<double> sd, skew, wide, curve;
  std::vector<double> share;     ///< of what rounding leaves over, summing to 1
  std::vector<int> by_variance;  ///< experts, smallest variance first
  AliasTable spread;             ///< who takes the tokens that rounding left over
};

}  // namespace moesim
