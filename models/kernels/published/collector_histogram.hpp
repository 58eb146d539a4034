#pragma once
// What the collector of the measured tables (aiconfigurator, collector/) gave an expert kernel to do: rows per local
// expert, stated for `balanced`, re-drawn for `power_law`, and the tokens that entered.

#include <compare>
#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>
#include <vector>

namespace moesim {

struct CollectorRouting {
  int tokens = 0;  ///< entering the whole expert-parallel group
  int experts = 0;
  int top_k = 0;
  int ep = 1;

  auto operator<=>(const CollectorRouting&) const = default;
};

/// In what the collectors of the three engines differ.
struct CollectorHabits {
  /// Rows that rounding and the limit of one row per token and expert leave over, or take too many: to the smallest
  /// loads one after the other (TensorRT-LLM), or in turn to every rank's smallest, and from its largest.
  bool spare_rows_to_smallest = false;
  /// Only tokens with an expert on the rank entered its kernel (SGLang); else all of the group.
  bool only_local_tokens = false;
  /// And their pairs with experts of other ranks ran on the rank's first expert, as their number -1 was raised to 0.
  bool other_pairs_on_first_expert = false;

  auto operator<=>(const CollectorHabits&) const = default;
};

/// By the name of the kernel. Where pairs of other ranks ran shows in the times alone (expert_fit.hpp).
CollectorHabits collector_habits(std::string_view kernel);

/// What rank 0 had to do.
struct CollectedBatch {
  std::vector<std::int32_t> rows;  ///< [experts / ep]
  std::int64_t tokens = 0;         ///< that entered its kernel
};

/// Token t takes experts t + j ceil(E/k), j = 0 .. k-1; with fewer tokens than that stride they are spread over it.
CollectedBatch balanced_batch(const CollectorRouting& routing, const CollectorHabits& habits = {});

/// Loads drawn from p(x) ~ x^-alpha on [1, 0.8 T] (on [0.01, 2] when there are no more rows than experts), scaled to
/// k T, no expert above T; rank 0 has the most rows of all ranks. The measured histograms are not stored: this is
/// another draw of the same law. One token's k experts lie T rows apart when experts are sorted by their rows.
CollectedBatch power_law_batch(const CollectorRouting& routing, double alpha, const CollectorHabits& habits,
                               std::uint32_t draw);

/// Draws of the law, made once: tables of many shapes share them. As many as make their own noise small beside that of
/// the collector, which took the mean of five.
class PowerLawBatches {
public:
  const std::vector<CollectedBatch>& of(const CollectorRouting& routing, double alpha, const CollectorHabits& habits);

private:
  std::map<std::tuple<CollectorRouting, double, CollectorHabits>, std::vector<CollectedBatch>> drawn_;
};

}  // namespace moesim
