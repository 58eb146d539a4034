#include "models/routing/deal.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/random.hpp"

namespace moesim {

namespace {

template <class T>
void shuffle(std::vector<T>& items, Random& random) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[random.below(static_cast<std::uint32_t>(i))]);
}

/// Groups in random order, `kept` at a time, their experts interleaved; then the hands of k experts shuffled.
std::vector<int> grouped_order(const RouterShape& shape, Random& random) {
  if (shape.groups % shape.kept != 0 || shape.kept * shape.group_size() % shape.top_k != 0)
    throw NotModelledYet{"routing.kind",
                         fmt::format("balanced for top {} of {} experts in {} of {} groups", shape.top_k, shape.experts,
                                     shape.kept, shape.groups),
                         "uniform"};
  const auto size = static_cast<std::size_t>(shape.group_size());
  std::vector<std::vector<int>> groups(static_cast<std::size_t>(shape.groups));
  for (std::size_t g = 0; g < groups.size(); ++g) {
    groups[g].resize(size);
    std::iota(groups[g].begin(), groups[g].end(), static_cast<int>(g * size));
    shuffle(groups[g], random);
  }
  shuffle(groups, random);
  std::vector<std::vector<int>> hands;
  for (std::size_t first = 0; first < groups.size(); first += static_cast<std::size_t>(shape.kept))
    for (std::size_t i = 0; i < size * static_cast<std::size_t>(shape.kept); ++i) {
      if (i % static_cast<std::size_t>(shape.top_k) == 0) hands.emplace_back();
      const auto group = first + i % static_cast<std::size_t>(shape.kept);
      hands.back().push_back(groups[group][i / static_cast<std::size_t>(shape.kept)]);
    }
  shuffle(hands, random);
  std::vector<int> order;
  for (const auto& hand : hands) order.insert(order.end(), hand.begin(), hand.end());
  return order;
}

}  // namespace

std::vector<int> deal_order(const RouterShape& shape, std::uint64_t seed, int layer) {
  Random random{seed, Purpose::popularity, 0, static_cast<std::uint32_t>(layer)};
  if (shape.groups > 1) return grouped_order(shape, random);
  std::vector<int> order(static_cast<std::size_t>(shape.experts));
  std::iota(order.begin(), order.end(), 0);
  shuffle(order, random);
  return order;
}

}  // namespace moesim
