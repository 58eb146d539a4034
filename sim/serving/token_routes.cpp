#include "sim/serving/token_routes.hpp"

#include <algorithm>

namespace moesim {
namespace {

/// Tokens of a request that stand in a row in a step: none in decode, where a sequence has one token per step. A
/// prompt's chunks in successive steps count as requests of their own.
RoutingSpec with_requests(const Scenario& scenario) {
  RoutingSpec routing = scenario.routing;
  if (scenario.workload.phase == Phase::decode) return routing;
  const double of_rank = tokens_of_dp_rank(scenario.workload, scenario.layout);
  routing.request_tokens = std::max(1, static_cast<int>(std::min(scenario.workload.context, of_rank)));
  return routing;
}

}  // namespace

TokenRoutes::TokenRoutes(const Scenario& scenario, const Deployment& plan, std::uint64_t seed)
    : capacity_{scenario.routing.capacity},
      experts_{plan.popularity.experts},
      top_k_{plan.popularity.top_k},
      ranks_{plan.layout.ranks},
      tokens_{make_token_sampler(with_requests(scenario), scenario.model, plan.popularity, seed)} {}

std::vector<TokenRoutes::Scope> TokenRoutes::scopes(const StepBatch& batch) const {
  if (capacity_.scope == CapacityScope::global) return {{0, static_cast<std::size_t>(batch.tokens), -1}};
  std::vector<Scope> all;
  std::size_t first = 0;
  for (std::size_t rank = 0; rank < batch.tokens_of_rank.size(); ++rank) {
    const auto tokens = static_cast<std::size_t>(batch.tokens_of_rank[rank]);
    if (tokens > 0) all.push_back({first, tokens, static_cast<int>(rank)});
    first += tokens;
  }
  return all;
}

void TokenRoutes::draw(int step, int moe_layer, const StepBatch& batch) {
  width_ = tokens_->draw_all(static_cast<std::uint32_t>(step), moe_layer, batch.tokens, chosen_);
  source_of_.clear();
  for (std::size_t rank = 0; rank < batch.tokens_of_rank.size(); ++rank)
    source_of_.insert(source_of_.end(), static_cast<std::size_t>(batch.tokens_of_rank[rank]), static_cast<int>(rank));
  count_ = {};
  if (capacity_.policy == CapacityPolicy::none) {
    count_.assignments = std::count_if(chosen_.begin(), chosen_.end(), [](int expert) { return expert >= 0; });
    rows_ = count_.places = count_.assignments;
    return;
  }
  for (const Scope& scope : scopes(batch)) limit(step, moe_layer, scope);
  rows_ = capacity_.pad ? count_.places : count_.assignments - count_.dropped;
}

void TokenRoutes::limit(int step, int moe_layer, const Scope& scope) {
  const auto width = static_cast<std::size_t>(width_);
  Preferences preferences;
  if (capacity_.policy != CapacityPolicy::drop_position)
    preferences = [&](std::size_t token, std::span<double> selection, std::span<double> gate) {
      tokens_->preferences(static_cast<std::uint32_t>(step), moe_layer, static_cast<std::uint32_t>(scope.first + token),
                           selection, gate);
    };
  const auto chosen = std::span{chosen_}.subspan(scope.first * width, scope.tokens * width);
  const CapacityCount count = apply_capacity(capacity_, experts_, top_k_, chosen, width_, preferences);
  count_ += count;
  if (capacity_.pad) pad(scope, count.places / experts_);
}

void TokenRoutes::pad(const Scope& scope, std::int64_t places) {
  const auto width = static_cast<std::size_t>(width_);
  std::vector<std::int64_t> left(static_cast<std::size_t>(experts_), places);
  for (std::size_t i = scope.first * width; i < (scope.first + scope.tokens) * width; ++i)
    if (chosen_[i] >= 0) --left[static_cast<std::size_t>(chosen_[i])];
  int next = 0;  // padding of a global scope has no source of its own: the ranks take turns
  for (std::size_t e = 0; e < left.size(); ++e)
    for (; left[e] > 0; --left[e]) {
      chosen_.push_back(static_cast<int>(e));
      chosen_.insert(chosen_.end(), width - 1, -1);
      source_of_.push_back(scope.rank >= 0 ? scope.rank : next++ % ranks_);
    }
}

}  // namespace moesim
