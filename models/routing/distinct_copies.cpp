#include <algorithm>
#include <stdexcept>

#include "models/routing/routing.hpp"
#include "models/routing/token_design.hpp"

namespace moesim {

std::vector<double> distinct_copies(const RouterSpec& router, std::span<const double> inclusion, int top_k,
                                    std::span<const int> expert_of, std::span<const int> set_of, int sets) {
  if (expert_of.size() != set_of.size()) throw std::invalid_argument{"as many sets as slots are needed"};
  const auto experts = inclusion.size();
  const TokenDesign design{shape_of(router, static_cast<int>(experts), top_k), inclusion};
  std::vector<int> replicas(experts, 0);
  std::vector<std::vector<std::size_t>> experts_in(static_cast<std::size_t>(sets));
  for (std::size_t slot = 0; slot < expert_of.size(); ++slot) {
    if (expert_of[slot] < 0) continue;
    if (expert_of[slot] >= static_cast<int>(experts) || set_of[slot] >= sets)
      throw std::invalid_argument{"a slot with an expert or a set that does not exist"};
    const auto expert = static_cast<std::size_t>(expert_of[slot]);
    ++replicas[expert];
    if (set_of[slot] >= 0) experts_in[static_cast<std::size_t>(set_of[slot])].push_back(expert);
  }
  std::vector<double> chances, mark(experts, 0.0);
  std::vector<int> here(experts, 0);
  for (const auto& members : experts_in) {
    for (const std::size_t e : members) ++here[e];
    for (const std::size_t e : members) mark[e] = static_cast<double>(here[e]) / replicas[e];
    chances.push_back(design.hit_chance(mark));
    for (const std::size_t e : members) mark[e] = here[e] = 0;
  }
  return chances;
}

}  // namespace moesim
