#include "sim/serving/batch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/units/random.hpp"

namespace moesim {
namespace {

int chunks_of_prompt(const WorkloadSpec& workload, double tokens) {
  return tokens >= workload.context ? 1 : static_cast<int>(std::ceil(workload.context / tokens));
}

RankBatch rank_batch(const WorkloadSpec& workload, double tokens, int step) {
  if (workload.phase == Phase::decode) return {Phase::decode, tokens, 1, workload.context};
  if (tokens >= workload.context) return {Phase::prefill, tokens / workload.context, workload.context, 0};
  const double before = tokens * (step % chunks_of_prompt(workload, tokens));
  return {Phase::prefill, 1, std::min(tokens, workload.context - before), before};
}

double finished(const WorkloadSpec& workload, const RankBatch& batch) {
  if (workload.phase == Phase::decode) return batch.sequences;
  return batch.context + batch.new_tokens >= workload.context ? batch.sequences : 0;
}

/// Token counts of the DP ranks of one step.
std::vector<double> dp_tokens(const Scenario& scenario, const Layout& layout, int step) {
  const int dp = layout.spec.attention_dp;
  const double mean = scenario.workload.tokens_per_gpu * layout.spec.attention_tp;
  std::vector<double> tokens(static_cast<std::size_t>(dp), mean);
  const double excess = scenario.workload.dp_imbalance - 1;
  if (dp == 1 || excess == 0) return tokens;
  std::vector<int> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  Random random{scenario.seed, Purpose::dp_imbalance, static_cast<std::uint32_t>(step), 0};
  for (int i = dp - 1; i > 0; --i) std::swap(order[i], order[random.below(static_cast<std::uint32_t>(i) + 1)]);
  for (int i = 0; i < dp; ++i) tokens[order[i]] = std::round(mean * (1 + excess * (2.0 * i / (dp - 1) - 1)));
  return tokens;
}

}  // namespace

int batch_period(const Scenario& scenario) {
  const WorkloadSpec& workload = scenario.workload;
  if (workload.phase == Phase::decode) return 1;
  return chunks_of_prompt(workload, workload.tokens_per_gpu * scenario.layout.attention_tp);
}

StepBatch batch_of_step(const Scenario& scenario, const Layout& layout, int step) {
  StepBatch batch;
  const int tp = layout.spec.attention_tp;
  for (const double tokens : dp_tokens(scenario, layout, step)) {
    const RankBatch rank = rank_batch(scenario.workload, tokens, step);
    batch.of_dp_rank.push_back(rank);
    batch.finished_prompts.push_back(finished(scenario.workload, rank));
    const auto whole = std::llround(rank.tokens());
    batch.tokens += whole;
    for (int i = 0; i < tp; ++i) batch.tokens_of_rank.push_back(whole / tp + (i < whole % tp ? 1 : 0));
  }
  return batch;
}

}  // namespace moesim
