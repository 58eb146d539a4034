#include "sim/serving/batch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/units/random.hpp"

namespace moesim {
namespace {

struct Work {
  RankBatch batch;
  double finished;  ///< sequences that need the LM head
};

/// A chunk of `tokens` in a stream of prompts: it ends one prompt and begins the next where they do not divide. Such a
/// chunk counts as one of a single prompt behind as many tokens as its queries look back on in the mean.
Work chunk(double tokens, double prompt, int step) {
  const double before = std::fmod(tokens * step, prompt), left = prompt - before;
  if (left >= tokens) return {{Phase::prefill, 1, tokens, before}, left == tokens ? 1.0 : 0.0};
  // left (before + left / 2) + next^2 / 2 = tokens (context + tokens / 2), with next = tokens - left
  return {{Phase::prefill, 1, tokens, left * (prompt - tokens) / tokens}, 1};
}

Work work_of(const WorkloadSpec& workload, double tokens, int step) {
  if (workload.phase == Phase::decode) return {{Phase::decode, tokens, 1, workload.context}, tokens};
  if (tokens < workload.context) return chunk(tokens, workload.context, step);
  const double prompts = tokens / workload.context;
  return {{Phase::prefill, prompts, workload.context, 0}, prompts};
}

/// Token counts of the DP ranks of one step.
std::vector<double> dp_tokens(const Scenario& scenario, const Layout& layout, int step) {
  const int dp = layout.spec.attention_dp;
  const double mean = tokens_of_dp_rank(scenario.workload, layout.spec);
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
  const auto tokens = std::llround(tokens_of_dp_rank(workload, scenario.layout)),
             prompt = std::llround(workload.context);
  return tokens >= prompt ? 1 : static_cast<int>(prompt / std::gcd(tokens, prompt));
}

std::vector<double> activation_bytes(const StepBatch& batch, int hidden) {
  std::vector<double> bytes;
  for (const RankBatch& rank : batch.of_dp_rank) bytes.push_back(rank.tokens() * hidden * kActivationBytes);
  return bytes;
}

Bytes summed_bytes(const StepBatch& batch, int hidden) {
  return Bytes{static_cast<double>(batch.tokens) * hidden * kActivationBytes};
}

StepBatch batch_of_step(const Scenario& scenario, const Layout& layout, int step) {
  StepBatch batch;
  const int tp = layout.spec.attention_tp;
  for (const double tokens : dp_tokens(scenario, layout, step)) {
    const Work work = work_of(scenario.workload, tokens, step);
    batch.of_dp_rank.push_back(work.batch);
    batch.finished_prompts.push_back(work.finished);
    const auto whole = std::llround(work.batch.tokens());
    batch.tokens += whole;
    for (int i = 0; i < tp; ++i) batch.tokens_of_rank.push_back(whole / tp + (i < whole % tp ? 1 : 0));
  }
  return batch;
}

}  // namespace moesim
