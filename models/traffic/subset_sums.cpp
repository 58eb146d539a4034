#include "models/traffic/subset_sums.hpp"

#include <algorithm>
#include <iterator>

#include "models/hardware/whole_numbers.hpp"

namespace moesim {
namespace {

Subset no_elements(int elements) {
  return Subset((at(elements) + 63) / 64, 0);
}
void mark(Subset& subset, int element) {
  subset[at(element) / 64] |= std::uint64_t{1} << (element % 64);
}
bool has(const Subset& subset, int element) {
  return (subset[at(element) / 64] >> (element % 64)) & 1;
}
bool is_empty(const Subset& subset) {
  return std::all_of(subset.begin(), subset.end(), [](std::uint64_t word) { return word == 0; });
}
bool contains(const Subset& whole, const Subset& part) {
  for (std::size_t word = 0; word < part.size(); ++word)
    if (part[word] & ~whole[word]) return false;
  return true;
}
Subset difference(Subset from, const Subset& what) {
  for (std::size_t word = 0; word < from.size(); ++word) from[word] &= ~what[word];
  return from;
}
std::string bytes_of(const Subset& subset) {
  return {reinterpret_cast<const char*>(subset.data()), subset.size() * sizeof(std::uint64_t)};
}

}  // namespace

SubsetSums::SubsetSums(int elements, int width)
    : elements_{elements}, width_{std::min(width, elements)}, nodes_{(elements + width_ - 1) / width_} {
  const int sizes[kFamilies] = {elements_, nodes_, nodes_, width_, width_, elements_, elements_, 1, 0};
  int next = 0;
  for (int family = 0; family < kFamilies; ++family) {
    first_of_[family] = next;
    next += sizes[family];
  }

  node_subsets_.assign(at(nodes_), no_elements(elements_));
  rail_subsets_.assign(at(width_), no_elements(elements_));
  Subset all = no_elements(elements_);
  for (int i = 0; i < elements_; ++i) {
    mark(node_subsets_[at(i / width_)], i);
    mark(rail_subsets_[at(i % width_)], i);
    mark(all, i);
  }
  // The first name of a subset is the cheapest: on a single node, for example, "all" is the node.
  for (int i = 0; i < elements_; ++i) {
    Subset single = no_elements(elements_);
    mark(single, i);
    name_subset(single, first_of_[kElement] + i);
  }
  for (int n = 0; n < nodes_; ++n) name_subset(node_subsets_[at(n)], first_of_[kNode] + n);
  for (int r = 0; r < width_; ++r) name_subset(rail_subsets_[at(r)], first_of_[kRail] + r);
  name_subset(all, first_of_[kAll]);
  for (int n = 0; n < nodes_; ++n) name_subset(difference(all, node_subsets_[at(n)]), first_of_[kNotNode] + n);
  for (int r = 0; r < width_; ++r) name_subset(difference(all, rail_subsets_[at(r)]), first_of_[kNotRail] + r);
  for (int i = 0; i < elements_; ++i) {
    Subset single = no_elements(elements_);
    mark(single, i);
    name_subset(difference(node_subsets_[at(i / width_)], single), first_of_[kNodeMates] + i);
    name_subset(difference(rail_subsets_[at(i % width_)], single), first_of_[kRailMates] + i);
  }
}

void SubsetSums::name_subset(const Subset& subset, int sum) {
  if (!is_empty(subset)) sum_of_.emplace(bytes_of(subset), sum);
}

void SubsetSums::take(const Subset& part, int sum, Subset& rest, std::vector<int>& parts) const {
  if (is_empty(part) || !contains(rest, part)) return;
  parts.push_back(sum);
  rest = difference(std::move(rest), part);
}

/// Whole nodes or whole rails, whichever needs fewer parts, and the elements that are left.
std::vector<int> SubsetSums::parts_of(Subset rest) const {
  const auto cover = [&](Subset left, const std::vector<Subset>& groups, Family family) {
    std::vector<int> parts;
    for (std::size_t g = 0; g < groups.size(); ++g)
      take(groups[g], first_of_[family] + static_cast<int>(g), left, parts);
    for (int i = 0; i < elements_; ++i)
      if (has(left, i)) parts.push_back(first_of_[kElement] + i);
    return parts;
  };
  auto by_nodes = cover(rest, node_subsets_, kNode);
  auto by_rails = cover(std::move(rest), rail_subsets_, kRail);
  return by_rails.size() < by_nodes.size() ? by_rails : by_nodes;
}

void SubsetSums::add_terms(const Subset& subset, double coefficient, std::vector<SumTerm>& row) {
  const auto [known, is_new] = sum_of_.try_emplace(bytes_of(subset), static_cast<int>(size()));
  if (is_new) derived_.push_back(parts_of(subset));
  row.push_back({known->second, coefficient});
}

int SubsetSums::family_of(int sum) const {
  return static_cast<int>(std::upper_bound(std::begin(first_of_), std::end(first_of_), sum) - std::begin(first_of_)) -
         1;
}

void SubsetSums::inline_single_use(std::vector<std::vector<SumTerm>>& rows) {
  std::vector<int> uses(derived_.size(), 0);
  const auto derived_index = [&](const SumTerm& term) { return term.sum - first_of_[kDerived]; };
  for (const auto& row : rows)
    for (const SumTerm& term : row)
      if (derived_index(term) >= 0) ++uses[at(derived_index(term))];

  // Subsets worth a sum of their own move together; the others become their parts. Small ones that a few irregular rows
  // share by chance would only scatter those rows.
  constexpr std::size_t kWorthwhile = 16;  // additions saved
  std::vector<std::vector<int>> kept;
  std::vector<int> moved_to(derived_.size(), -1);
  for (std::size_t d = 0; d < derived_.size(); ++d)
    if (uses[d] > 1 && (at(uses[d]) - 1) * (derived_[d].size() - 1) >= kWorthwhile) {
      moved_to[d] = first_of_[kDerived] + static_cast<int>(kept.size());
      kept.push_back(derived_[d]);
    }
  for (auto& row : rows) {
    std::vector<SumTerm> settled;
    for (const SumTerm& term : row) {
      const int d = derived_index(term);
      if (d < 0)
        settled.push_back(term);
      else if (moved_to[at(d)] >= 0)
        settled.push_back({moved_to[at(d)], term.coefficient});
      else
        for (int part : derived_[at(d)]) settled.push_back({part, term.coefficient});
    }
    row = std::move(settled);
  }
  derived_ = std::move(kept);
}

void SubsetSums::settle(std::vector<std::vector<SumTerm>>& rows) {
  inline_single_use(rows);
  sum_of_.clear();
  for (const auto& row : rows)
    for (const SumTerm& term : row) needed_[family_of(term.sum)] = true;
  for (const auto& parts : derived_)
    for (int part : parts) needed_[family_of(part)] = true;
  needed_[kNode] |= needed_[kNotNode] || needed_[kAll];
  needed_[kRail] |= needed_[kNotRail];
}

}  // namespace moesim
