#include "models/routing/correlated.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "models/routing/layer_designs.hpp"
#include "models/routing/request_place.hpp"
#include "models/routing/token_tables.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"

namespace moesim {

namespace {

/// Items of [first, first + values.size()) in falling value, equal ones shuffled.
std::vector<int> falling_order(std::span<const double> values, int first, Random& random) {
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), first);
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return values[static_cast<std::size_t>(a - first)] > values[static_cast<std::size_t>(b - first)];
  });
  return order;
}

/// Experts by popularity inside groups by load: place p of the router stands for expert order[p].
std::vector<int> popularity_order(const RouterShape& shape, std::span<const double> inclusion, Random random) {
  const auto size = static_cast<std::size_t>(shape.group_size());
  std::vector<double> load;
  for (std::size_t first = 0; first < inclusion.size(); first += size)
    load.push_back(std::accumulate(inclusion.begin() + static_cast<std::ptrdiff_t>(first),
                                   inclusion.begin() + static_cast<std::ptrdiff_t>(first + size), 0.0));
  std::vector<int> order;
  for (const int group : falling_order(load, 0, random)) {
    const auto first = static_cast<std::size_t>(group) * size;
    const auto inside = falling_order(inclusion.subspan(first, size), static_cast<int>(first), random);
    order.insert(order.end(), inside.begin(), inside.end());
  }
  return order;
}

/// One domain: a law per layer over places of popularity, and the experts of the places.
struct DomainLaw {
  std::vector<std::shared_ptr<const TokenTables>> tables;  // [layers]
  std::vector<std::vector<int>> order;                     // [layers][place]
};

DomainLaw law_of(const RouterShape& shape, const ExpertPopularity& popularity, std::uint64_t seed) {
  DomainLaw law;
  ExpertPopularity sorted = popularity;
  for (int l = 0; l < popularity.layers; ++l) {
    const auto inclusion = popularity.layer(l);
    law.order.push_back(
        popularity_order(shape, inclusion, Random{seed, Purpose::popularity, 1, static_cast<std::uint32_t>(l)}));
    for (std::size_t place = 0; place < inclusion.size(); ++place)
      sorted.inclusion[static_cast<std::size_t>(l) * inclusion.size() + place] =
          inclusion[static_cast<std::size_t>(law.order.back()[place])];
  }
  law.tables = for_each_design<TokenTables>(shape, sorted);
  return law;
}

class CorrelatedSampler final : public TokenSampler {
public:
  CorrelatedSampler(const RouterShape& shape, const Mixture& mixture, Correlation correlation, std::uint64_t seed)
      : shape_{shape}, correlation_{std::move(correlation)}, seed_{seed} {
    double sum = 0;
    for (std::size_t d = 0; d < mixture.domains.size(); ++d) {
      below_.push_back(sum += mixture.weights[d]);
      domains_.push_back(law_of(shape, mixture.domains[d], seed));
    }
  }

  void draw(std::uint32_t step, int layer, std::uint32_t token, std::span<int> out) const override {
    const RequestPlace place = request_place(step, token, correlation_.request_tokens);
    const auto l = static_cast<std::size_t>(layer);
    const DomainLaw& law = domains_[domain_of(place.request)];
    Random random = stream(place, l);
    law.tables[l]->draw(random, out);
    for (int& expert : out) expert = law.order[l][static_cast<std::size_t>(expert)];
  }
  int top_k() const override { return shape_.top_k; }
  int experts() const override { return shape_.experts; }

private:
  std::size_t domain_of(std::uint32_t request) const {
    if (domains_.size() == 1) return 0;
    const double u = Random{seed_, Purpose::request_domain, 0, 0, request}.uniform();
    const auto found = std::upper_bound(below_.begin(), below_.end() - 1, u);
    return static_cast<std::size_t>(found - below_.begin());
  }

  Random stream(const RequestPlace& place, std::size_t layer) const {
    std::uint32_t position = place.position;
    for (;;) {
      Random choice{seed_, Purpose::persistence, position, static_cast<std::uint32_t>(layer), place.request};
      if (choice.uniform() < correlation_.persistence[layer] && position > 0) {
        --position;
      } else if (choice.uniform() < correlation_.affinity && layer > 0) {
        --layer;
      } else {
        return {seed_, Purpose::token_routes, position, static_cast<std::uint32_t>(layer), place.request};
      }
    }
  }

  RouterShape shape_;
  Correlation correlation_;
  std::uint64_t seed_;
  std::vector<double> below_;  // cumulative weights of the domains
  std::vector<DomainLaw> domains_;
};

void check_chance(const char* key, double value, bool one_allowed) {
  if (std::isfinite(value) && value >= 0 && (one_allowed ? value <= 1 : value < 1)) return;
  throw InputError{key, fmt::format("{}", value), one_allowed ? "a number from 0 to 1" : "a number from 0 to below 1"};
}

}  // namespace

std::unique_ptr<TokenSampler> make_correlated_sampler(const RouterShape& shape, const Mixture& mixture,
                                                      const Correlation& correlation, std::uint64_t seed) {
  return std::make_unique<CorrelatedSampler>(shape, mixture, correlation, seed);
}

std::unique_ptr<TokenSampler> make_correlated_sampler(const RoutingSpec& spec, const Architecture& model,
                                                      const ExpertPopularity& popularity, std::uint64_t seed) {
  check_chance("routing.affinity", spec.affinity, true);
  check_chance("routing.persistence", spec.persistence.value_or(0), false);
  Mixture mixture{{1.0}, {popularity}, {}};
  if (spec.kind == RoutingKind::mixture) mixture = load_mixture(spec, model);
  Correlation correlation{mixture.persistence, spec.affinity, spec.request_tokens};
  if (spec.persistence || correlation.persistence.empty())
    correlation.persistence.assign(static_cast<std::size_t>(popularity.layers), spec.persistence.value_or(0));
  const RouterShape shape = shape_of(model.moe->router, popularity.experts, popularity.top_k);
  return make_correlated_sampler(shape, mixture, correlation, seed);
}

}  // namespace moesim
