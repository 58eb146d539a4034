#include <algorithm>
#include <cstring>

#include "models/hardware/whole_numbers.hpp"
#include "models/traffic/link_map.hpp"

namespace moesim {
namespace {

/// The same shares added in another order differ in the last bits only.
constexpr double kSameCoefficient = 1 + 1e-14;

/// A block may be this many times wider than a row that joins it.
constexpr double kWidest = 1.5;

using Lanes [[gnu::vector_size(32)]] = double;

void add_product(const double* coefficient, double x, Lanes& sum) {
  Lanes lanes;
  std::memcpy(&lanes, coefficient, sizeof lanes);
  sum += lanes * x;
}

/// Strip of a block: total[row] = sum of coefficient[column][row] * x[column]. Vectors by hand, because compilers
/// transpose the strip instead; four sums at once, or each addition would wait for the one before.
[[gnu::target_clones("avx2", "default")]] void multiply(const double* coefficient, const double* x, int columns,
                                                        double* total) {
  static_assert(kStripRows == 8);
  Lanes low{}, high{}, next_low{}, next_high{};
  int column = 0;
  for (; column + 2 <= columns; column += 2, coefficient += 2 * kStripRows) {
    add_product(coefficient, x[column], low);
    add_product(coefficient + 4, x[column], high);
    add_product(coefficient + 8, x[column + 1], next_low);
    add_product(coefficient + 12, x[column + 1], next_high);
  }
  if (column < columns) {
    add_product(coefficient, x[column], low);
    add_product(coefficient + 4, x[column], high);
  }
  low += next_low;
  high += next_high;
  std::memcpy(total, &low, sizeof low);
  std::memcpy(total + 4, &high, sizeof high);
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
  std::vector<LinkId> long_links;
  for (std::size_t link = 0; link < rows.size(); ++link) {
    terms_ += rows[link].size();
    if (rows[link].size() > 1) long_links.push_back(static_cast<LinkId>(link));
    if (rows[link].size() != 1) continue;
    coefficient_[link] = rows[link][0].coefficient;
    single_sum_[link] = static_cast<std::uint32_t>(rows[link][0].sum);
  }
  add_blocks(std::move(long_links), rows);
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

/// Where blocks read a sum: single elements rail by rail, because a leaf serves one rail of its nodes and the rows of
/// its uplinks then read neighbours.
int CompressedLinkMap::laid_out(int sum) const {
  return sum < columns_ ? static_cast<int>(sums_.size()) + sum % width_ * nodes_ + sum / width_ : sum;
}

/// Copies every element to where laid_out() says, without its divisions.
void CompressedLinkMap::lay_out(std::span<const double> x, std::span<double> by_rail) const {
  for (int node = 0; node < nodes_; ++node) {
    const int begin = node * width_, count = std::min(width_, columns_ - begin);
    for (int rail = 0; rail < count; ++rail) by_rail[at(rail * nodes_ + node)] = x[at(begin + rail)];
  }
}

/// Neighbours by their first sum share a block while most of their columns are its columns: the uplinks of one leaf,
/// say, which all read the nodes under the other leaves.
void CompressedLinkMap::add_blocks(std::vector<LinkId> links, std::vector<Terms>& rows) {
  const auto by_sum = [](const SumTerm& a, const SumTerm& b) { return a.sum < b.sum; };
  for (LinkId link : links) {
    for (SumTerm& term : rows[at(link)]) term.sum = laid_out(term.sum);
    std::sort(rows[at(link)].begin(), rows[at(link)].end(), by_sum);
  }
  const auto first = [&](LinkId link) { return rows[at(link)].front().sum; };
  const auto last = [&](LinkId link) { return rows[at(link)].back().sum; };
  std::stable_sort(links.begin(), links.end(), [&](LinkId a, LinkId b) {
    return std::pair{first(a), last(a)} < std::pair{first(b), last(b)};
  });
  for (std::size_t begin = 0, end = 0; begin < links.size(); begin = end) {
    int reach = last(links[begin]);
    while (++end < links.size()) {
      const int low = first(links[begin]), width = std::max(reach, last(links[end])) - low + 1;
      if (width > kWidest * (last(links[end]) - first(links[end]) + 1)) break;
      reach = low + width - 1;
    }
    blocks_.push_back(block_of(std::span{links}.subspan(begin, end - begin), rows));
  }
}

CompressedLinkMap::Block CompressedLinkMap::block_of(std::span<const LinkId> links, const std::vector<Terms>& rows) {
  int last = 0;
  for (LinkId link : links) last = std::max(last, rows[at(link)].back().sum);
  Block block{{links.begin(), links.end()}, rows[at(links[0])].front().sum, 0, {}};
  block.columns = last - block.first_sum + 1;
  const std::size_t strips = (links.size() + kStripRows - 1) / kStripRows;
  block.coefficient.assign(strips * at(block.columns) * kStripRows, 0.0);
  for (std::size_t row = 0; row < links.size(); ++row)
    for (const SumTerm& term : rows[at(links[row])])
      block.coefficient[(row / kStripRows * at(block.columns) + at(term.sum - block.first_sum)) * kStripRows +
                        row % kStripRows] = term.coefficient;
  return block;
}

void CompressedLinkMap::apply(std::span<const double> x, std::span<double> out, bool accumulate,
                              std::vector<double>& scratch) const {
  scratch.resize(sums_.size() + at(width_ * nodes_));
  sums_.compute(x, scratch);
  if (!blocks_.empty()) lay_out(x, std::span{scratch}.subspan(sums_.size()));
  const double* sums = scratch.data();
  if (accumulate)
    for (std::size_t link = 0; link < out.size(); ++link) out[link] += coefficient_[link] * sums[single_sum_[link]];
  else
    for (std::size_t link = 0; link < out.size(); ++link) out[link] = coefficient_[link] * sums[single_sum_[link]];

  for (const Block& block : blocks_) {
    const double* coefficient = block.coefficient.data();
    double total[kStripRows];
    for (std::size_t row = 0; row < block.links.size(); row += kStripRows) {
      multiply(coefficient, sums + block.first_sum, block.columns, total);
      coefficient += at(block.columns) * kStripRows;
      const std::size_t rows = std::min(kStripRows, block.links.size() - row);
      for (std::size_t j = 0; j < rows; ++j) out[at(block.links[row + j])] += total[j];
    }
  }
}

}  // namespace moesim
