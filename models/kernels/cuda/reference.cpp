#include "models/kernels/cuda/reference.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "models/kernels/cuda/operands.hpp"

namespace moesim::cuda::reference {
namespace {

double value_of(Bf16 bits) {
  return float_from(bits);
}
double value_of(double value) {
  return value;
}

template <class T>
std::vector<double> products_of(std::span<const Bf16> a, std::span<const T> b, std::size_t k) {
  std::vector<double> products;
  products.reserve(a.size() / k * (b.size() / k));
  for (std::size_t row = 0; row < a.size(); row += k)
    for (std::size_t column = 0; column < b.size(); column += k) {
      double sum = 0;
      for (std::size_t i = 0; i < k; ++i) sum += value_of(a[row + i]) * value_of(b[column + i]);
      products.push_back(sum);
    }
  return products;
}

std::vector<int> best(std::span<const double> scores, std::size_t k) {
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  order.resize(k);
  return order;
}

std::vector<Choice> normalised(const std::vector<int>& chosen, std::span<const double> weights) {
  double sum = 0;
  for (const int expert : chosen) sum += weights[static_cast<std::size_t>(expert)];
  std::vector<Choice> choices;
  for (const int expert : chosen) choices.push_back({expert, weights[static_cast<std::size_t>(expert)] / sum});
  return choices;
}

/// Scores outside the best `kept` groups of 32 become minus infinity.
void keep_groups(std::vector<double>& scores, std::size_t kept) {
  std::vector<double> sums;
  for (std::size_t begin = 0; begin < scores.size(); begin += 32) {
    std::vector<double> group(scores.begin() + static_cast<long>(begin),
                              scores.begin() + static_cast<long>(begin + 32));
    std::sort(group.rbegin(), group.rend());
    sums.push_back(group[0] + group[1]);
  }
  const auto chosen = best(sums, kept);
  for (std::size_t expert = 0; expert < scores.size(); ++expert)
    if (std::find(chosen.begin(), chosen.end(), static_cast<int>(expert / 32)) == chosen.end())
      scores[expert] = -std::numeric_limits<double>::infinity();
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

template <class Activation>
std::vector<double> gated(std::span<const double> products, std::size_t n, Activation activation) {
  std::vector<double> out;
  out.reserve(products.size() / 2);
  for (std::size_t row = 0; row < products.size(); row += n)
    for (std::size_t column = 0; column < n / 2; ++column) {
      const std::size_t gate = row + column / 8 * 16 + column % 8;
      out.push_back(activation(products[gate], products[gate + 8]));
    }
  return out;
}

}  // namespace

std::vector<double> multiply(std::span<const Bf16> a, std::span<const Bf16> b, std::size_t k) {
  return products_of(a, b, k);
}

std::vector<double> multiply(std::span<const Bf16> a, std::span<const double> b, std::size_t k) {
  return products_of(a, b, k);
}

std::vector<double> swiglu(std::span<const double> products, std::size_t n) {
  return gated(products, n, [](double gate, double up) { return gate * sigmoid(gate) * up; });
}

std::vector<double> clamped_swiglu(std::span<const double> products, std::size_t n) {
  constexpr double kAlpha = 1.702;
  return gated(products, n, [](double gate, double up) {
    gate = std::min(gate, double{kClampedLimit});
    return gate * sigmoid(kAlpha * gate) * (std::clamp(up, -double{kClampedLimit}, double{kClampedLimit}) + 1);
  });
}

std::vector<Bf16> interleave(std::span<const Bf16> gate, std::span<const Bf16> up, std::size_t h) {
  std::vector<Bf16> both;
  both.reserve(gate.size() + up.size());
  for (std::size_t at = 0; at < gate.size(); at += 8 * h)
    for (const auto& half : {gate, up}) both.insert(both.end(), half.begin() + at, half.begin() + at + 8 * h);
  return both;
}

std::vector<Choice> softmax_topk(std::span<const float> logits, std::size_t k) {
  const std::vector<double> scores{logits.begin(), logits.end()};
  const auto chosen = best(scores, k);
  std::vector<double> weights;
  for (const double score : scores)
    weights.push_back(std::exp(score - scores[static_cast<std::size_t>(chosen.front())]));
  return normalised(chosen, weights);
}

std::vector<Choice> sigmoid_topk(std::span<const float> logits, std::span<const float> bias, std::size_t k,
                                 std::size_t groups_kept) {
  std::vector<double> weights, scores;
  for (std::size_t expert = 0; expert < logits.size(); ++expert) {
    weights.push_back(sigmoid(logits[expert]));
    scores.push_back(weights.back() + bias[expert]);
  }
  if (groups_kept > 0) keep_groups(scores, groups_kept);
  return normalised(best(scores, k), weights);
}

std::vector<double> attend(std::span<const Bf16> q, std::span<const Bf16> keys, std::span<const Bf16> values,
                           std::size_t value_stride, std::size_t value_dims, double scale) {
  std::vector<double> weights = multiply(q, keys, q.size()), out(value_dims, 0.0);
  if (weights.empty()) return out;
  const double largest = *std::max_element(weights.begin(), weights.end());
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp(scale * (weight - largest));
  for (std::size_t token = 0; token < weights.size(); ++token)
    for (std::size_t i = 0; i < value_dims; ++i)
      out[i] += weights[token] / sum * float_from(values[token * value_stride + i]);
  return out;
}

std::vector<double> added(std::span<const Bf16> a, std::span<const Bf16> b) {
  std::vector<double> sums;
  for (std::size_t i = 0; i < a.size(); ++i) sums.push_back(value_of(a[i]) + value_of(b[i]));
  return sums;
}

std::vector<double> rms_norm(std::span<const Bf16> x, std::span<const Bf16> weight, double epsilon) {
  std::vector<double> out;
  for (; !x.empty(); x = x.subspan(weight.size())) {
    double squares = 0;
    for (const Bf16 value : x.first(weight.size())) squares += value_of(value) * value_of(value);
    const double root = std::sqrt(squares / static_cast<double>(weight.size()) + epsilon);
    for (std::size_t i = 0; i < weight.size(); ++i) out.push_back(value_of(x[i]) / root * value_of(weight[i]));
  }
  return out;
}

Errors relative_errors(std::span<const Bf16> got, std::span<const double> expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (got.size() != expected.size()) return {kInfinite, kInfinite};
  double squares = 0, differences = 0, worst = 0;
  for (const double value : expected) squares += value * value;
  const double rms = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(expected.size(), 1)));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(static_cast<double>(float_from(got[i])) - expected[i]);
    if (!std::isfinite(difference)) return {kInfinite, kInfinite};
    if (difference == 0) continue;  // also where everything expected is zero
    worst = std::max(worst, difference / (std::abs(expected[i]) + rms));
    differences += difference * difference;
  }
  return {worst, differences == 0 ? 0 : std::sqrt(differences / squares)};
}

}  // namespace moesim::cuda::reference
