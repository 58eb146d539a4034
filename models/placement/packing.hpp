#pragma once
// Weights into bins, heaviest first (longest processing time first, LPT).

#include <span>
#include <vector>

namespace moesim {

/// Plain LPT: each weight, heaviest first, into the bin with the smallest sum; bins may hold any number. Ties: lower
/// index.
///
/// weights [items] : >= 0
/// Returns the bin of each item. Its fullest bin is at most 4/3 - 1/(3 bins) times the best possible.
/// Source: R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2), 1969.
std::vector<int> lpt(std::span<const double> weights, int bins);

/// Where pack_evenly put an item.
struct PackedItem {
  int bin = 0;
  int position = 0;  ///< how many items the bin held before
};

/// LPT with equal counts: the bin with the smallest sum among those that still have room. Needs items % bins == 0.
/// One item per bin keeps the items' order. Ties: lower index first.
/// Source: the balanced packing step of DeepSeek's EPLB.
std::vector<PackedItem> pack_evenly(std::span<const double> weights, int bins);

}  // namespace moesim
