#pragma once
// Sums over subsets of a vector, each computed once however many rows of a matrix need it.

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace moesim {

/// A 0/1 mark per element.
using Subset = std::vector<std::uint64_t>;

struct SumTerm {
  int sum;  ///< index into the sums
  double coefficient;
};

/// The sums that rows of a link matrix share, over elements that sit in a grid (GPU = node * width + rail): every
/// single element, every node, all but a node, every rail, all but a rail, an element's node-mates and its rail-mates,
/// and all. Complements are added up from both ends, never subtracted, so that an empty one is exactly zero.
class SubsetSums {
public:
  SubsetSums(int elements, int width);

  /// Appends the terms that make coefficient * (sum over the subset).
  void add_terms(const Subset& subset, double coefficient, std::vector<SumTerm>& row);

  /// After all rows: replaces subsets that only one row uses by their parts, and marks the families that are needed.
  void settle(std::vector<std::vector<SumTerm>>& rows);

  std::size_t size() const { return static_cast<std::size_t>(first_of_[kDerived]) + derived_.size(); }
  /// x [elements] -> sums [size()]
  void compute(std::span<const double> x, std::span<double> sums) const;

private:
  // In the order of their indices.
  enum Family { kElement, kNode, kNotNode, kRail, kNotRail, kNodeMates, kRailMates, kAll, kDerived, kFamilies };

  void name_subset(const Subset& subset, int sum);
  std::vector<int> parts_of(Subset rest) const;
  void take(const Subset& part, int sum, Subset& rest, std::vector<int>& parts) const;
  void inline_single_use(std::vector<std::vector<SumTerm>>& rows);
  int family_of(int sum) const;
  bool is_needed(Family family) const { return needed_[family]; }

  void node_sums(std::span<const double> x, std::span<double> sums) const;
  void rail_sums(std::span<const double> x, std::span<double> sums) const;
  void node_mates(std::span<const double> x, std::span<double> sums) const;
  void rail_mates(std::span<const double> x, std::span<double> sums) const;
  void all_but_one(int family, int but_family, int count, std::span<double> sums) const;

  int elements_, width_, nodes_;
  int first_of_[kFamilies];
  bool needed_[kFamilies] = {};
  std::unordered_map<std::string, int> sum_of_;  ///< by the subset's bytes
  std::vector<Subset> node_subsets_, rail_subsets_;
  std::vector<std::vector<int>> derived_;  ///< parts of every subset outside the families
};

}  // namespace moesim
