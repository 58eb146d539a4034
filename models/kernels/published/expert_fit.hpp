#pragma once
// Curves of grouped experts out of balanced rows, and what rows that no curve was fitted to say of them.

#include "models/hardware/gpu.hpp"
#include "models/kernels/published/collector_histogram.hpp"
#include "models/kernels/published/fit_split.hpp"
#include "models/kernels/published/judged_ratios.hpp"

namespace moesim {

class ExpertCurves;

/// A table, and what its collector did.
struct FittedExperts {
  KernelTable table;
  CollectorHabits habits;
};

/// What the collector drew for a point of a table of such dimensions.
CollectorRouting routing_of(const std::vector<int>& dimensions, const MeasuredPoint& point);

/// Of the batches, as the curves tell them. [microseconds]
double mean_microseconds(const ExpertCurves& curves, const std::vector<CollectedBatch>& drawn);

/// One curve per count of slots, for balanced routing of all tokens of the group.
///
/// Time per token: at equal tokens, a rank with fewer slots has less to multiply and the same tokens entering; the line
/// through the times of the fewest slots ends, at no slots, in what the tokens take. Its slope by tokens is per_token.
///
/// Pairs on the first expert: with two ranks every token has an expert on each, so that a kernel which skips the other
/// rank's pairs takes half as long, and one that runs them on its own first expert as long as ever. Those times are
/// carried to even rows by the ratio that the curve of all experts on one rank says.
///
/// tolerance : knots that the others tell to within this are left out
FittedExperts fit_experts(const TableKey& key, const SplitPoints& points, const Gpu& gpu, double tolerance);

/// Adds the regimes "balanced" (rows held out; "balanced, others' pairs on one expert" where those ran), "unseen slots"
/// (each count of slots from the others) and "skewed, to" and "skewed, above 512 tokens" (the mean of the draws; beside
/// balanced rows).
void judge_experts(const FittedExperts& fitted, const SplitPoints& points, const Gpu& gpu, PowerLawBatches& batches,
                   Verdicts& verdicts);

}  // namespace moesim
