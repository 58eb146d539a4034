#include <algorithm>
#include <memory>
#include <stdexcept>

#include "models/routing/correlated.hpp"
#include "models/routing/deal.hpp"
#include "models/routing/layer_designs.hpp"
#include "models/routing/logits.hpp"
#include "models/routing/routing.hpp"
#include "models/routing/token_tables.hpp"
#include "models/units/random.hpp"

namespace moesim {

namespace {

/// Independent tokens by the fitted law of each layer.
class DesignSampler final : public TokenSampler {
public:
  DesignSampler(const RouterShape& shape, const ExpertPopularity& popularity, std::uint64_t seed)
      : shape_{shape}, seed_{seed}, layers_{for_each_design<TokenTables>(shape, popularity)} {}

  void draw(std::uint32_t step, int layer, std::uint32_t token, std::span<int> out) const override {
    Random random{seed_, Purpose::token_routes, step, static_cast<std::uint32_t>(layer), token};
    layers_[static_cast<std::size_t>(layer)]->draw(random, out);
  }
  int top_k() const override { return shape_.top_k; }
  int experts() const override { return shape_.experts; }

private:
  RouterShape shape_;
  std::uint64_t seed_;
  std::vector<std::shared_ptr<const TokenTables>> layers_;
};

class DealSampler final : public TokenSampler {
public:
  DealSampler(const RouterShape& shape, int layers, std::uint64_t seed) : shape_{shape} {
    for (int l = 0; l < layers; ++l) orders_.push_back(deal_order(shape, seed, l));
  }

  void draw(std::uint32_t /*step*/, int layer, std::uint32_t token, std::span<int> out) const override {
    const auto& order = orders_[static_cast<std::size_t>(layer)];
    std::uint64_t place = std::uint64_t{token} * out.size() % order.size();
    for (int& expert : out) {
      expert = order[static_cast<std::size_t>(place)];
      if (++place == order.size()) place = 0;
    }
  }
  int top_k() const override { return shape_.top_k; }
  int experts() const override { return shape_.experts; }

private:
  RouterShape shape_;
  std::vector<std::vector<int>> orders_;
};

class TraceSampler final : public TokenSampler {
public:
  TraceSampler(RoutingTrace trace, int experts)
      : trace_{std::move(trace)},
        experts_{experts},
        // The golden section spreads the starts of successive steps over the trace for any number of tokens per step.
        stride_{static_cast<std::uint64_t>(0.6180339887498949 * trace_.tokens)} {}

  void draw(std::uint32_t step, int layer, std::uint32_t token, std::span<int> out) const override {
    const std::uint64_t place = (step * stride_ + token) % static_cast<std::uint64_t>(trace_.tokens);
    std::ranges::copy(trace_.token(static_cast<int>(place), layer), out.begin());
  }
  int top_k() const override { return trace_.top_k; }
  int experts() const override { return experts_; }

private:
  RoutingTrace trace_;
  int experts_;
  std::uint64_t stride_;
};

}  // namespace

int TokenSampler::draw_all(std::uint32_t step, int layer, std::int64_t tokens, std::vector<int>& out) const {
  const auto k = static_cast<std::size_t>(top_k());
  out.resize(static_cast<std::size_t>(tokens) * k);
  for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t)
    draw(step, layer, static_cast<std::uint32_t>(t), std::span{out}.subspan(t * k, k));
  return top_k();
}

void TokenSampler::preferences(std::uint32_t, int, std::uint32_t, std::span<double>, std::span<double>) const {
  throw std::logic_error{"this routing has no router scores"};
}

std::unique_ptr<TokenSampler> make_token_sampler(const RoutingSpec& spec, const Architecture& model,
                                                 const ExpertPopularity& popularity, std::uint64_t seed) {
  if (!model.moe) throw std::invalid_argument{model.name + " has no experts to route to"};
  if (spec.kind == RoutingKind::trace)
    return std::make_unique<TraceSampler>(load_routing_trace(spec.file, model), model.moe->experts);
  if (spec.kind == RoutingKind::mixture || spec.kind == RoutingKind::markov)
    return make_correlated_sampler(spec, model, popularity, seed);
  if (spec.kind == RoutingKind::logits) return make_logit_sampler(spec, model, seed);
  if (spec.kind == RoutingKind::expert_choice) return make_expert_choice_sampler(spec, model, seed);
  const RouterShape shape = shape_of(model.moe->router, popularity.experts, popularity.top_k);
  if (spec.kind == RoutingKind::balanced) return std::make_unique<DealSampler>(shape, popularity.layers, seed);
  return std::make_unique<DesignSampler>(shape, popularity, seed);
}

}  // namespace moesim
