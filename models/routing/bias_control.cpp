#include "models/routing/bias_control.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/logits.hpp"

namespace moesim {

std::vector<BiasControlStep> run_bias_control(const RoutingSpec& routing, const Architecture& model,
                                              const BiasControlSpec& spec, std::uint64_t seed) {
  const auto is_rate = [](double value) { return std::isfinite(value) && value >= 0; };
  if (spec.steps < 1 || spec.tokens < 1 || !is_rate(spec.rate) || !is_rate(spec.growth))
    throw std::invalid_argument{fmt::format("bias control over {} steps of {} tokens, rate {}, growth {}", spec.steps,
                                            spec.tokens, spec.rate, spec.growth)};
  const int experts = model.moe->experts, top_k = model.moe->top_k;
  LogitModel logit_model{routing, model, seed};
  Router router{model.moe->router, experts, top_k};
  const auto means = logit_model.mean(0, 0);
  std::vector<double> bias(means.size(), 0.0), logits(means.size()), loads(means.size());
  std::vector<int> chosen(static_cast<std::size_t>(top_k));
  const double mean = static_cast<double>(spec.tokens) * top_k / experts;
  std::vector<BiasControlStep> steps;
  for (int step = 0; step < spec.steps; ++step) {
    std::fill(loads.begin(), loads.end(), 0.0);
    for (std::int64_t t = 0; t < spec.tokens; ++t) {
      logit_model.draw(static_cast<std::uint32_t>(step), 0, static_cast<std::uint32_t>(t), logits);
      router.choose(logits, bias, chosen);
      for (const int e : chosen) ++loads[static_cast<std::size_t>(e)];
    }
    const auto [least, most] = std::minmax_element(bias.begin(), bias.end());
    const auto idle = static_cast<double>(std::count(loads.begin(), loads.end(), 0.0));
    steps.push_back({step, imbalance(loads), idle / experts, *most - *least});
    for (std::size_t e = 0; e < loads.size(); ++e) {
      bias[e] += loads[e] < mean ? spec.rate : loads[e] > mean ? -spec.rate : 0.0;
      means[e] += spec.growth * (loads[e] / mean - 1);
    }
  }
  return steps;
}

}  // namespace moesim
