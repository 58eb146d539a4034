#include "models/routing/router.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace moesim {

namespace {

constexpr double kOut = -std::numeric_limits<double>::infinity();

/// The first `count` of `order` are the best by `value`, best first; equals by the lower index.
void put_best_first(std::vector<int>& order, std::size_t count, const std::vector<double>& value) {
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](int a, int b) {
    const double left = value[static_cast<std::size_t>(a)], right = value[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  });
}

}  // namespace

Router::Router(const RouterSpec& spec, int experts, int top_k)
    : spec_{spec},
      shape_{shape_of(spec, experts, top_k)},
      selection_(static_cast<std::size_t>(experts)),
      gate_(selection_.size()),
      group_(static_cast<std::size_t>(shape_.groups)) {}

void Router::score(std::span<const double> logits, std::span<const double> bias) {
  if (spec_.score == RouterScore::softmax) {
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (std::size_t e = 0; e < gate_.size(); ++e) sum += gate_[e] = std::exp(logits[e] - top);
    for (double& gate : gate_) gate /= sum;
  } else {
    for (std::size_t e = 0; e < gate_.size(); ++e) gate_[e] = 1 / (1 + std::exp(-logits[e]));
  }
  for (std::size_t e = 0; e < gate_.size(); ++e) selection_[e] = gate_[e] + (bias.empty() ? 0.0 : bias[e]);
}

void Router::drop_groups() {
  const auto size = static_cast<std::size_t>(shape_.group_size());
  for (std::size_t g = 0; g < group_.size(); ++g) {
    double best = kOut, second = kOut;
    for (std::size_t e = g * size; e < (g + 1) * size; ++e) {
      second = std::max(second, std::min(best, selection_[e]));
      best = std::max(best, selection_[e]);
    }
    group_[g] = spec_.group_score == GroupScore::top2_sum && size > 1 ? best + second : best;
  }
  order_.resize(group_.size());
  put_best_first(order_, static_cast<std::size_t>(shape_.kept), group_);
  for (auto i = static_cast<std::size_t>(shape_.kept); i < order_.size(); ++i) {
    const auto first = selection_.begin() + static_cast<std::ptrdiff_t>(order_[i]) * static_cast<std::ptrdiff_t>(size);
    std::fill(first, first + static_cast<std::ptrdiff_t>(size), kOut);
  }
}

void Router::choose(std::span<const double> logits, std::span<const double> bias, std::span<int> chosen) {
  score(logits, bias);
  if (shape_.groups > 1) drop_groups();
  order_.resize(selection_.size());
  put_best_first(order_, chosen.size(), selection_);
  std::copy_n(order_.begin(), chosen.size(), chosen.begin());
  double factor = spec_.scale;
  if (spec_.normalise_topk) {
    double sum = 0;
    for (const int expert : chosen) sum += gate_[static_cast<std::size_t>(expert)];
    if (sum > 0) factor /= sum;
  }
  for (double& gate : gate_) gate *= factor;
}

}  // namespace moesim
