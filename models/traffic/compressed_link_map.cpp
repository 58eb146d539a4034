#include <algorithm>

#include "models/traffic/link_map.hpp"

namespace moesim {
namespace {

/// The same shares added in another order differ in the last bits only.
constexpr double kSameCoefficient = 1 + 1e-14;

/// A gap in a row is cheaper to multiply by zero than to jump.
constexpr int kWidestGap = 6;
constexpr std::size_t kLanes = 8;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

CompressedLinkMap::CompressedLinkMap(const FullLinkMap& map, int width)
    : sums_{map.columns(), width},
      columns_{map.columns()},
      width_{width},
      nodes_{(map.columns() + width - 1) / width},
      coefficient_(map.links(), 0.0),
      single_sum_(map.links(), 0) {
  std::vector<Terms> rows(map.links());
  for (std::size_t link = 0; link < rows.size(); ++link) compress(map.row(link), rows[link]);
  sums_.settle(rows);
  for (std::size_t link = 0; link < rows.size(); ++link) add_row(static_cast<LinkId>(link), rows[link]);
  terms_ += run_coefficient_.size();
  order_ = {};
}

/// Fills order_ with the row's entries by rising coefficient. Most rows hold very few different ones.
void CompressedLinkMap::sort_by_coefficient(std::span<const double> row) {
  order_.clear();
  bool is_sorted = true;
  for (std::size_t column = 0; column < row.size(); ++column) {
    if (row[column] == 0) continue;
    is_sorted = is_sorted && (order_.empty() || order_.back().first <= row[column]);
    order_.emplace_back(row[column], static_cast<int>(column));
  }
  if (!is_sorted) std::sort(order_.begin(), order_.end());
}

/// One term for each distinct coefficient of the row: its columns are a subset whose sum is shared.
void CompressedLinkMap::compress(std::span<const double> row, Terms& terms) {
  sort_by_coefficient(row);
  for (std::size_t i = 0; i < order_.size();) {
    const double coefficient = order_[i].first;
    Subset subset((row.size() + 63) / 64, 0);
    for (; i < order_.size() && order_[i].first <= coefficient * kSameCoefficient; ++i)
      subset[at(order_[i].second) / 64] |= std::uint64_t{1} << (order_[i].second % 64);
    sums_.add_terms(subset, coefficient, terms);
  }
}

/// Where long rows read a sum: single elements rail by rail, because a leaf serves one rail of its nodes and the rows
/// of its uplinks then read neighbours.
int CompressedLinkMap::laid_out(int sum) const {
  return sum < columns_ ? static_cast<int>(sums_.size()) + sum % width_ * nodes_ + sum / width_ : sum;
}

void CompressedLinkMap::add_row(LinkId link, Terms& terms) {
  if (terms.empty()) return;
  if (terms.size() == 1) {
    coefficient_[at(link)] = terms[0].coefficient;
    single_sum_[at(link)] = static_cast<std::uint32_t>(terms[0].sum);
    ++terms_;
    return;
  }
  for (SumTerm& term : terms) term.sum = laid_out(term.sum);
  std::sort(terms.begin(), terms.end(), [](const SumTerm& a, const SumTerm& b) { return a.sum < b.sum; });
  const auto first_run = static_cast<std::uint32_t>(runs_.size());
  for (std::size_t begin = 0, end = 1; begin < terms.size(); begin = end, ++end) {
    while (end < terms.size() && terms[end].sum - terms[end - 1].sum <= kWidestGap) ++end;
    add_run(std::span{terms}.subspan(begin, end - begin));
  }
  long_rows_.push_back({link, first_run, static_cast<std::uint32_t>(runs_.size())});
}

void CompressedLinkMap::add_run(std::span<const SumTerm> terms) {
  const int first = terms.front().sum, length = terms.back().sum - first + 1;
  const std::size_t padded = (at(length) + kLanes - 1) / kLanes * kLanes;
  runs_.push_back({static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(run_coefficient_.size()),
                   static_cast<std::uint32_t>(padded)});
  run_coefficient_.resize(run_coefficient_.size() + padded, 0.0);
  double* coefficient = run_coefficient_.data() + runs_.back().first_coefficient;
  for (const SumTerm& term : terms) coefficient[term.sum - first] += term.coefficient;
}

double CompressedLinkMap::total(const LongRow& row, const double* sums) const {
  // As many sums at once as lanes: one running sum would wait for each addition.
  double lanes[kLanes] = {};
  for (std::uint32_t r = row.first_run; r < row.last_run; ++r) {
    const Run& run = runs_[r];
    const double* coefficient = run_coefficient_.data() + run.first_coefficient;
    const double* x = sums + run.first_sum;
    for (std::uint32_t i = 0; i < run.length; i += kLanes)
      for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += coefficient[i + j] * x[i + j];
  }
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

void CompressedLinkMap::apply(std::span<const double> x, std::span<double> out, bool accumulate,
                              std::vector<double>& scratch) const {
  scratch.resize(sums_.size() + at(width_ * nodes_) + kLanes);  // padded runs may read past the last sum, times zero
  sums_.compute(x, scratch);
  if (!long_rows_.empty())
    for (int i = 0; i < columns_; ++i) scratch[at(laid_out(i))] = x[at(i)];
  const double* sums = scratch.data();
  if (accumulate)
    for (std::size_t link = 0; link < out.size(); ++link) out[link] += coefficient_[link] * sums[single_sum_[link]];
  else
    for (std::size_t link = 0; link < out.size(); ++link) out[link] = coefficient_[link] * sums[single_sum_[link]];

  for (const LongRow& row : long_rows_) out[at(row.link)] += total(row, sums);
}

}  // namespace moesim
