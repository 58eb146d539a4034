#pragma once
// What every attention-DP rank works on in a step.

#include <vector>

#include "models/layout/layout.hpp"
#include "models/llm/ops.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

/// bf16 activations: what all-reduce, reduce-scatter and pipelines carry.
inline constexpr double kActivationBytes = 2;

/// One step of a steady batch, or one microbatch of it where a step is cut. Decode: every sequence yields one token
/// against a mean context that stays as it is (finished sequences are replaced). Prefill: prompts of `context` tokens,
/// whole when the step holds them, else in chunks that follow each other without gaps.
struct StepBatch {
  std::vector<RankBatch> of_dp_rank;     ///< [dp]
  std::vector<double> finished_prompts;  ///< [dp] sequences that need the LM head in this step
  std::vector<std::int64_t>
      tokens_of_rank;       ///< [ranks] tokens that enter the MoE layer from this rank (dp leaders share theirs)
  std::int64_t tokens = 0;  ///< of the whole step
};

/// Tokens of a data-parallel rank are tokens_of_dp_rank(), spread by `dp_imbalance`: rank tokens lie evenly between
/// (2 - imbalance) and imbalance times the mean, dealt anew to the ranks in every step.
/// step : counts microbatches, where a step is cut
StepBatch batch_of_step(const Scenario& scenario, const Layout& layout, int step);

/// Bytes of the bf16 activations of each attention-DP rank's tokens. [dp]
std::vector<double> activation_bytes(const StepBatch& batch, int hidden);

/// Of all ranks' tokens together, in bf16: what ranks that hold the same tokens sum.
Bytes summed_bytes(const StepBatch& batch, int hidden);

/// Steps after which batches repeat, when no imbalance is drawn: 1, or the chunks of a prompt.
int batch_period(const Scenario& scenario);

}  // namespace moesim
