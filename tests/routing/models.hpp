#pragma once
// Architectures by hand: only what routing reads.

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "models/routing/routing.hpp"

namespace moesim::testing {

inline Architecture moe_model(std::string name, int layers, int first_moe, int experts, int top_k, int groups = 1,
                              int kept = 1) {
  Architecture model;
  model.name = std::move(name);
  model.layers = layers;
  model.moe_layer.assign(static_cast<std::size_t>(layers), true);
  for (int l = 0; l < first_moe; ++l) model.moe_layer[static_cast<std::size_t>(l)] = false;
  model.moe.emplace();
  model.moe->experts = experts;
  model.moe->top_k = top_k;
  model.moe->router.groups = groups;
  model.moe->router.kept_groups = kept;
  return model;
}

inline Architecture deepseek_v3(int layers = 61) {
  return moe_model("deepseek-v3", layers, 3, 256, 8, 8, 4);
}
inline Architecture ungrouped_v3(int layers = 61) {
  return moe_model("v3-ungrouped", layers, 3, 256, 8);
}
inline Architecture mixtral() {
  return moe_model("mixtral-8x7b", 32, 0, 8, 2);
}
inline Architecture deepseek_v2_lite() {
  return moe_model("deepseek-v2-lite", 27, 1, 64, 6);
}

inline RoutingSpec zipf(double exponent) {
  RoutingSpec spec;
  spec.kind = RoutingKind::zipf;
  spec.exponent = exponent;
  return spec;
}

/// Mean and covariance of vectors seen one after another.
class Moments {
public:
  explicit Moments(std::size_t size) : size_{size}, sum_(size, 0.0), product_(size * size, 0.0) {}

  template <class Value>
  void add(std::span<const Value> values) {
    ++count_;
    for (std::size_t i = 0; i < size_; ++i) {
      const auto a = static_cast<double>(values[i]);
      sum_[i] += a;
      for (std::size_t j = 0; j <= i; ++j) product_[i * size_ + j] += a * static_cast<double>(values[j]);
    }
  }
  double count() const { return count_; }
  double mean(std::size_t i) const { return sum_[i] / count_; }
  double covariance(std::size_t i, std::size_t j) const {
    if (j > i) std::swap(i, j);
    return (product_[i * size_ + j] - sum_[i] * sum_[j] / count_) / (count_ - 1);
  }
  double variance(std::size_t i) const { return covariance(i, i); }

private:
  std::size_t size_;
  double count_ = 0;
  std::vector<double> sum_, product_;
};

}  // namespace moesim::testing
