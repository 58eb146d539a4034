#include "models/routing/logits.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "models/routing/request_place.hpp"
#include "models/routing/shares.hpp"
#include "models/units/random.hpp"

namespace moesim {

namespace {

/// Steps count from 0 and never come here.
constexpr std::uint32_t kNoStep = 0xFFFFFFFF;

}  // namespace

LogitModel::LogitModel(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed)
    : layers_{model.moe_layers()},
      experts_{model.moe->experts},
      domains_{spec.domains},
      request_tokens_{spec.request_tokens},
      sigma_{spec.sigma},
      seed_{seed} {
  mean_.resize(static_cast<std::size_t>(domains_) * static_cast<std::size_t>(layers_) *
               static_cast<std::size_t>(experts_));
  for (int d = 0; d < domains_; ++d)
    for (int l = 0; l < layers_; ++l) {
      Random random{seed_, Purpose::popularity, 0, static_cast<std::uint32_t>(l), static_cast<std::uint32_t>(d)};
      for (double& value : mean(d, l)) value = spec.spread * random.normal();
    }
}

std::size_t LogitModel::first(int domain, int layer) const {
  return (static_cast<std::size_t>(domain) * static_cast<std::size_t>(layers_) + static_cast<std::size_t>(layer)) *
         static_cast<std::size_t>(experts_);
}

std::span<double> LogitModel::mean(int domain, int layer) {
  return {mean_.data() + first(domain, layer), static_cast<std::size_t>(experts_)};
}

std::span<const double> LogitModel::mean(int domain, int layer) const {
  return {mean_.data() + first(domain, layer), static_cast<std::size_t>(experts_)};
}

void LogitModel::draw(std::uint32_t step, int layer, std::uint32_t token, std::span<double> logits) const {
  int domain = 0;
  if (domains_ > 1) {
    const auto request = request_place(step, token, request_tokens_).request;
    domain = static_cast<int>(
        Random{seed_, Purpose::request_domain, 0, 0, request}.below(static_cast<std::uint32_t>(domains_)));
  }
  std::ranges::copy(mean(domain, layer), logits.begin());
  Random random{seed_, Purpose::token_routes, step, static_cast<std::uint32_t>(layer), token};
  for (double& logit : logits) logit += sigma_ * random.normal();
}

namespace {

class LogitSampler : public TokenSampler {
public:
  LogitSampler(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed)
      : logits_{spec, model, seed}, router_{model.moe->router}, top_k_{model.moe->top_k} {}

  void draw(std::uint32_t step, int layer, std::uint32_t token, std::span<int> out) const override {
    route(step, layer, token, out);
  }
  void preferences(std::uint32_t step, int layer, std::uint32_t token, std::span<double> selection,
                   std::span<double> gate) const override {
    thread_local std::vector<int> chosen;
    chosen.resize(static_cast<std::size_t>(top_k_));
    const Router router = route(step, layer, token, chosen);
    std::ranges::copy(router.selection(), selection.begin());
    std::ranges::copy(router.gate(), gate.begin());
  }
  int top_k() const override { return top_k_; }
  int experts() const override { return logits_.experts(); }

private:
  Router route(std::uint32_t step, int layer, std::uint32_t token, std::span<int> chosen) const {
    thread_local std::vector<double> values;
    values.resize(static_cast<std::size_t>(experts()));
    logits_.draw(step, layer, token, values);
    Router router{router_, experts(), top_k_};
    router.choose(values, {}, chosen);
    return router;
  }

  LogitModel logits_;
  RouterSpec router_;
  int top_k_;
};

class ExpertChoiceSampler final : public TokenSampler {
public:
  ExpertChoiceSampler(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed)
      : logits_{spec, model, seed}, capacity_{spec.capacity}, top_k_{model.moe->top_k} {}

  void draw(std::uint32_t, int, std::uint32_t, std::span<int>) const override {
    throw std::logic_error{"experts choose among all tokens of a step: draw_all"};
  }
  int draw_all(std::uint32_t step, int layer, std::int64_t tokens, std::vector<int>& out) const override;
  int top_k() const override { return top_k_; }
  int experts() const override { return logits_.experts(); }

private:
  LogitModel logits_;
  CapacitySpec capacity_;
  int top_k_;
};

int ExpertChoiceSampler::draw_all(std::uint32_t step, int layer, std::int64_t tokens, std::vector<int>& out) const {
  const auto all = static_cast<std::size_t>(tokens), experts = static_cast<std::size_t>(logits_.experts());
  std::vector<float> score(experts * all);
  std::vector<double> logits(experts);
  for (std::size_t t = 0; t < all; ++t) {
    logits_.draw(step, layer, static_cast<std::uint32_t>(t), logits);
    const double top = *std::ranges::max_element(logits);
    double sum = 0;
    for (double& logit : logits) sum += logit = std::exp(logit - top);
    for (std::size_t e = 0; e < experts; ++e) score[e * all + t] = static_cast<float>(logits[e] / sum);
  }
  const auto places =
      std::min(all, static_cast<std::size_t>(places_per_expert(capacity_, top_k_, this->experts(), tokens)));
  std::vector<std::vector<int>> of_token(all);
  std::vector<std::size_t> order(all);
  for (std::size_t e = 0; e < experts; ++e) {
    const float* const own = score.data() + e * all;
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(places), order.end(),
                     [own](std::size_t a, std::size_t b) { return own[a] != own[b] ? own[a] > own[b] : a < b; });
    for (std::size_t i = 0; i < places; ++i) of_token[order[i]].push_back(static_cast<int>(e));
  }
  std::size_t width = 1;
  for (const auto& chosen : of_token) width = std::max(width, chosen.size());
  out.assign(all * width, -1);
  for (std::size_t t = 0; t < all; ++t)
    std::ranges::copy(of_token[t], out.begin() + static_cast<std::ptrdiff_t>(t * width));
  return static_cast<int>(width);
}

}  // namespace

std::unique_ptr<TokenSampler> make_logit_sampler(const RoutingSpec& spec, const Architecture& model,
                                                 std::uint64_t seed) {
  return std::make_unique<LogitSampler>(spec, model, seed);
}

std::unique_ptr<TokenSampler> make_expert_choice_sampler(const RoutingSpec& spec, const Architecture& model,
                                                         std::uint64_t seed) {
  return std::make_unique<ExpertChoiceSampler>(spec, model, seed);
}

std::vector<double> estimate_inclusion(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed) {
  constexpr int kTokens = 2048;
  const int experts = model.moe->experts, top_k = model.moe->top_k;
  RoutingSpec single = spec;
  single.request_tokens = 1;  // every token with a domain of its own
  const LogitModel logit_model{single, model, seed};
  Router router{model.moe->router, experts, top_k};
  std::vector<double> inclusion, logits(static_cast<std::size_t>(experts));
  std::vector<int> chosen(static_cast<std::size_t>(top_k));
  for (int l = 0; l < logit_model.layers(); ++l) {
    std::vector<double> taken(logits.size(), 0.0);
    for (std::uint32_t t = 0; t < kTokens; ++t) {
      logit_model.draw(kNoStep, l, t, logits);
      router.choose(logits, {}, chosen);
      for (const int e : chosen) ++taken[static_cast<std::size_t>(e)];
    }
    for (double& n : taken) n = std::max(n, 0.5);
    const auto shares = water_fill(taken, top_k);
    inclusion.insert(inclusion.end(), shares.begin(), shares.end());
  }
  return inclusion;
}

}  // namespace moesim
