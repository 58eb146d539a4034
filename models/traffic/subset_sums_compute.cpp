// The part of SubsetSums that runs once per layer and collective.

#include <algorithm>

#include "models/hardware/whole_numbers.hpp"
#include "models/traffic/subset_sums.hpp"

namespace moesim {
void SubsetSums::compute(std::span<const double> x, std::span<double> sums) const {
  std::copy(x.begin(), x.end(), sums.begin());
  if (is_needed(kNode)) node_sums(x, sums);
  if (is_needed(kNotNode)) all_but_one(kNode, kNotNode, nodes_, sums);
  if (is_needed(kRail)) rail_sums(x, sums);
  if (is_needed(kNotRail)) all_but_one(kRail, kNotRail, width_, sums);
  if (is_needed(kNodeMates)) node_mates(x, sums);
  if (is_needed(kRailMates)) rail_mates(x, sums);
  if (is_needed(kAll)) {
    double total = 0;
    for (int n = 0; n < nodes_; ++n) total += sums[at(first_of_[kNode] + n)];
    sums[at(first_of_[kAll])] = total;
  }
  double* derived = sums.data() + first_of_[kDerived];
  for (const auto& parts : derived_) {
    double sum = 0;
    for (int part : parts) sum += sums[at(part)];
    *derived++ = sum;
  }
}

void SubsetSums::node_sums(std::span<const double> x, std::span<double> sums) const {
  double* out = sums.data() + first_of_[kNode];
  for (int begin = 0; begin < elements_; begin += width_) {
    const int end = std::min(begin + width_, elements_);
    double sum = 0;
    for (int i = begin; i < end; ++i) sum += x[at(i)];
    *out++ = sum;
  }
}

void SubsetSums::rail_sums(std::span<const double> x, std::span<double> sums) const {
  double* out = sums.data() + first_of_[kRail];
  std::fill(out, out + width_, 0.0);
  for (int begin = 0; begin < elements_; begin += width_) {
    const int count = std::min(width_, elements_ - begin);
    for (int r = 0; r < count; ++r) out[r] += x[at(begin + r)];
  }
}

/// Sums of all groups but one: what stands before it plus what stands behind it.
void SubsetSums::all_but_one(int family, int but_family, int count, std::span<double> sums) const {
  const double* group = sums.data() + first_of_[family];
  double* out = sums.data() + first_of_[but_family];
  double before = 0, behind = 0;
  for (int g = 0; g < count; ++g) {
    out[g] = before;
    before += group[g];
  }
  for (int g = count - 1; g >= 0; --g) {
    out[g] += behind;
    behind += group[g];
  }
}

void SubsetSums::node_mates(std::span<const double> x, std::span<double> sums) const {
  double* out = sums.data() + first_of_[kNodeMates];
  for (int begin = 0; begin < elements_; begin += width_) {
    const int end = std::min(begin + width_, elements_);
    double before = 0, behind = 0;
    for (int i = begin; i < end; ++i) {
      out[i] = before;
      before += x[at(i)];
    }
    for (int i = end - 1; i >= begin; --i) {
      out[i] += behind;
      behind += x[at(i)];
    }
  }
}

void SubsetSums::rail_mates(std::span<const double> x, std::span<double> sums) const {
  // Running sums live in `out` one node earlier or later, so no scratch is needed:
  // forwards out[i] = sum of the rail before i, backwards a second pass adds what is behind.
  double* out = sums.data() + first_of_[kRailMates];
  for (int i = 0; i < elements_; ++i) out[i] = i < width_ ? 0.0 : out[i - width_] + x[at(i - width_)];
  for (int rail = 0; rail < width_; ++rail) {
    double behind = 0;
    for (int i = rail + (elements_ - 1 - rail) / width_ * width_; i >= rail; i -= width_) {
      out[i] += behind;
      behind += x[at(i)];
    }
  }
}

}  // namespace moesim
