#include "models/routing/alias_table.hpp"

#include <stdexcept>

namespace moesim {

AliasTable::AliasTable(std::span<const double> weights) {
  // Items of weight 0 get no cell: rounding must not revive them.
  std::vector<std::int32_t> items;
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    if (weights[i] > 0) {
      items.push_back(static_cast<std::int32_t>(i));
      sum += weights[i];
    }
  if (items.empty()) throw std::invalid_argument{"an alias table of weights that are all zero"};
  const auto n = static_cast<double>(items.size());
  std::vector<double> height(items.size());
  std::vector<std::size_t> low, high;
  cells_.resize(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    height[i] = weights[static_cast<std::size_t>(items[i])] * n / sum;
    cells_[i] = {std::uint64_t{1} << 32, items[i], items[i]};
    (height[i] < 1 ? low : high).push_back(i);
  }
  while (!low.empty() && !high.empty()) {
    const std::size_t from = high.back(), to = low.back();
    low.pop_back();
    cells_[to].threshold = static_cast<std::uint64_t>(height[to] * 0x1p32);
    cells_[to].other = items[from];
    height[from] -= 1 - height[to];
    if (height[from] >= 1) continue;
    high.pop_back();
    low.push_back(from);
  }
}

}  // namespace moesim
