#include <algorithm>
#include <numeric>

#include "models/routing/trace_fit.hpp"

namespace moesim {

namespace {

/// Guesses a layer's experts from those of the layer before, by counts of pairs.
class NextLayer {
public:
  NextLayer(const TokenTrace& trace, std::size_t layer)
      : trace_{trace},
        layer_{layer},
        experts_{static_cast<std::size_t>(trace.experts)},
        pairs_(experts_ * experts_, 0.0),
        from_(experts_, 0.0),
        next_(experts_, 0.0),
        score_(experts_) {}

  void learn(std::size_t token) {
    for (const std::int16_t a : trace_.token(token, layer_)) {
      ++from_[static_cast<std::size_t>(a)];
      for (const std::int16_t b : trace_.token(token, layer_ + 1))
        ++pairs_[static_cast<std::size_t>(a) * experts_ + static_cast<std::size_t>(b)];
    }
    for (const std::int16_t b : trace_.token(token, layer_ + 1)) ++next_[static_cast<std::size_t>(b)];
  }

  /// Experts of the next layer that the most popular ones, and that the guess, get right.
  int popular_hits(std::size_t token) {
    if (popular_.empty()) popular_ = best(next_);
    return hits(popular_, token);
  }
  int hits(std::size_t token) {
    std::fill(score_.begin(), score_.end(), 0.0);
    for (const std::int16_t a : trace_.token(token, layer_)) {
      const double* row = pairs_.data() + static_cast<std::size_t>(a) * experts_;
      const double scale = 1 / std::max(1.0, from_[static_cast<std::size_t>(a)]);
      for (std::size_t b = 0; b < experts_; ++b) score_[b] += row[b] * scale;
    }
    return hits(best(score_), token);
  }

private:
  std::vector<int> best(const std::vector<double>& score) const {
    std::vector<int> order(experts_);
    std::iota(order.begin(), order.end(), 0);
    const auto by_score = [&](int a, int b) {
      const double left = score[static_cast<std::size_t>(a)], right = score[static_cast<std::size_t>(b)];
      return left != right ? left > right : a < b;
    };
    std::partial_sort(order.begin(), order.begin() + trace_.top_k, order.end(), by_score);
    order.resize(static_cast<std::size_t>(trace_.top_k));
    return order;
  }
  int hits(const std::vector<int>& guess, std::size_t token) const {
    int count = 0;
    for (const std::int16_t b : trace_.token(token, layer_ + 1))
      count += std::find(guess.begin(), guess.end(), b) != guess.end();
    return count;
  }

  const TokenTrace& trace_;
  std::size_t layer_, experts_;
  std::vector<double> pairs_, from_, next_, score_;
  std::vector<int> popular_;
};

template <class Visit>
void for_tokens_of_half(const TokenTrace& trace, std::size_t half, Visit&& visit) {
  for (std::size_t r = 0; r < trace.requests(); ++r)
    for (std::size_t t = trace.first_token[r]; t < trace.first_token[r + 1]; ++t)
      if ((trace.requests() > 1 ? r % 2 : t / 64 % 2) == half) visit(t);
}

}  // namespace

std::vector<double> next_layer_affinity(const TokenTrace& trace) {
  std::vector<double> affinity;
  for (std::size_t l = 0; l + 1 < trace.layers(); ++l) {
    double hits = 0, popular = 0;
    for (const std::size_t half : {std::size_t{0}, std::size_t{1}}) {
      NextLayer guess{trace, l};
      for_tokens_of_half(trace, 1 - half, [&](std::size_t t) { guess.learn(t); });
      for_tokens_of_half(trace, half, [&](std::size_t t) {
        hits += guess.hits(t);
        popular += guess.popular_hits(t);
      });
    }
    const double all = static_cast<double>(trace.tokens()) * trace.top_k;
    affinity.push_back(all > popular ? std::max(0.0, (hits - popular) / (all - popular)) : 0);
  }
  return affinity;
}

}  // namespace moesim
