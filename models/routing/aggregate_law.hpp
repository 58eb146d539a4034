#pragma once
// The constants of one layer's aggregate draw.

#include <vector>

#include "models/routing/alias_table.hpp"
#include "models/routing/token_tables.hpp"

namespace moesim {

/// Deviations x_e with the covariance of one token's choices, from independent standard normals g_e:
///   x_e = root_e (g_e - root_e S) + slope_e X,   S = sum over e's group of root_f g_f / sum of root_f^2,
/// where X is the group's count, normal with the design's exact covariance between groups (0 when there is one group).
/// Few arrays, since a run visits all layers in turn and their constants have to stay in the cache.
struct AggregateLaw {
  explicit AggregateLaw(const TokenDesign& design);

  RouterShape shape;
  TokenTables tokens;
  std::vector<double> pi;            ///< chance that a token takes the expert; its variance is pi (1 - pi)
  std::vector<double> root, slope;   ///< [experts]; slope is empty when there is one group
  std::vector<double> inverse_sd;    ///< 1 / sqrt(pi (1 - pi)), 0 where that is not finite
  std::vector<double> group_scale;   ///< 1 / sum of root^2, [groups]
  std::vector<double> group_factor;  ///< lower triangle L of the groups' covariance L L', [groups * groups]
  std::vector<int> by_variance;      ///< experts, smallest variance first
  std::vector<double> variances;     ///< [experts], in that order
  double total_variance = 0;
  AliasTable spread;  ///< experts in proportion to their variance
};

}  // namespace moesim
