#include "sim/validate/steady_batch.hpp"

#include <fmt/format.h>

#include "sim/scenario/scenario.hpp"
#include "sim/simulate.hpp"

namespace moesim {

WeightedSteps steady_batch(const SteadyBatch& batch) {
  WeightedSteps steps{batch.replica.gpu, batch.replica.engine};
  steps.parts.push_back({decode_scenario(batch.replica, batch.requests, batch.prompt + batch.answer / 2), 1});
  if (batch.requests > 1)
    steps.parts.push_back(
        {prefill_scenario(batch.replica, batch.prompt, batch.prompt), (batch.requests - 1) / batch.answer});
  return steps;
}

int most_requests(const Replica& replica, int context, int most, double share) {
  const auto fits = [&](int requests) {
    const std::string text = decode_scenario(replica, requests, context);
    return check_memory(parse_scenario(text, "case", ".", {{"memory_fraction", fmt::format("{}", share)}})).fit.fits;
  };
  if (fits(most)) return most;
  int low = 0, high = most;  // low fits, high does not
  while (high - low > 1) {
    const int middle = low + (high - low + 1) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace moesim
