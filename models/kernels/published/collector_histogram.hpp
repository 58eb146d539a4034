#pragma once
// Rows per local expert that the collector of the measured tables drew: stated for `balanced`, re-drawn for
// `power_law`.

#include <cstdint>
#include <vector>

namespace moesim {

struct CollectorRouting {
  int tokens = 0;  ///< entering the whole expert-parallel group
  int experts = 0;
  int top_k = 0;
  int ep = 1;
};

/// Token t takes experts t + j ceil(E/k), j = 0 .. k-1; with fewer tokens than that stride they are spread over it.
/// Returns the rows of the first E/ep experts (rank 0).
std::vector<std::int32_t> balanced_rows(const CollectorRouting& routing);

/// Loads drawn from p(x) ~ x^-alpha on [1, 0.8 T] (on [0.01, 2] when tokens are fewer than experts), scaled to k T, no
/// expert above T. The measured histograms are not stored: this is another draw of the same law.
/// Returns the rows of the rank with the highest load.
std::vector<std::int32_t> power_law_rows(const CollectorRouting& routing, double alpha, std::uint32_t draw);

}  // namespace moesim
