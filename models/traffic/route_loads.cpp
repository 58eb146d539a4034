#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "models/hardware/whole_numbers.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {
namespace {

/// The pairs that cross each link, as src * ranks + dst.
std::vector<std::vector<std::uint32_t>> pairs_by_link(const Topology& topology, int ranks) {
  std::vector<std::vector<std::uint32_t>> pairs(topology.links().size());
  for (int src = 0; src < ranks; ++src)
    for (int dst = 0; dst < ranks; ++dst)
      for (LinkId link : topology.route(src, dst))
        pairs[at(link)].push_back(static_cast<std::uint32_t>(src * ranks + dst));
  return pairs;
}

/// Sum of values[index], four at a time: one running sum would wait for each addition.
double gather(const double* values, const std::uint32_t* index, const std::uint32_t* end) {
  double sums[4] = {0, 0, 0, 0};
  for (; index + 4 <= end; index += 4)
    for (int j = 0; j < 4; ++j) sums[j] += values[index[j]];
  for (; index < end; ++index) sums[0] += values[*index];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

RouteLoads::RouteLoads(const Topology& topology, int ranks)
    : ranks_{ranks},
      width_{std::min(topology.gpus_per_node(), ranks)},
      nodes_{(ranks + width_ - 1) / std::max(width_, 1)} {
  if (ranks < 1 || ranks > topology.gpus())
    throw std::invalid_argument{fmt::format("{} ranks on {} GPUs", ranks, topology.gpus())};
  const std::size_t sizes[kLines] = {at(ranks_) * at(nodes_), at(ranks_) * at(width_), at(ranks_) * at(nodes_),
                                     at(ranks_) * at(width_)};
  first_of_[0] = 0;
  for (int line = 0; line < kLines; ++line) first_of_[line + 1] = first_of_[line] + sizes[line];
  sums_.resize(first_of_[kLines]);
  std::vector<int> seen(first_of_[kLines], 0);
  for (const auto& pairs : pairs_by_link(topology, ranks)) lay_out(pairs, seen);
}

std::size_t RouteLoads::line_of(int line, std::uint32_t pair) const {
  const int src = static_cast<int>(pair) / ranks_, dst = static_cast<int>(pair) % ranks_;
  switch (line) {
    case to_node:
      return first_of_[line] + at(src * nodes_ + dst / width_);
    case to_rail:
      return first_of_[line] + at(src * width_ + dst % width_);
    case from_node:
      return first_of_[line] + at(src / width_ * ranks_ + dst);
    default:
      return first_of_[line] + at(src % width_ * ranks_ + dst);
  }
}

/// How many pairs the line of this pair has; a rank's bytes to itself are none.
int RouteLoads::pairs_in(int line, std::uint32_t pair) const {
  const int src = static_cast<int>(pair) / ranks_, dst = static_cast<int>(pair) % ranks_;
  const int spread = line == to_node || line == to_rail ? dst : src, fixed = spread == dst ? src : dst;
  const bool by_node = line == to_node || line == from_node;
  const int node = spread / width_, rail = spread % width_;
  const int members = by_node ? std::min(width_, ranks_ - node * width_) : (ranks_ - 1 - rail) / width_ + 1;
  const bool has_itself = by_node ? fixed / width_ == node : fixed % width_ == rail;
  return members - (has_itself ? 1 : 0);
}

/// Chooses the kind of line that leaves the fewest terms for this link.
void RouteLoads::lay_out(std::span<const std::uint32_t> pairs, std::vector<int>& seen) {
  int best = -1;
  std::size_t fewest = pairs.size();
  const auto is_whole = [&](int line, std::uint32_t pair) {
    return seen[line_of(line, pair)] == pairs_in(line, pair) && pairs_in(line, pair) > 1;
  };
  for (int line = 0; line < kLines; ++line)
    for (std::uint32_t pair : pairs) ++seen[line_of(line, pair)];
  for (int line = 0; line < kLines; ++line) {
    double terms = 0;
    for (std::uint32_t pair : pairs) terms += is_whole(line, pair) ? 1.0 / pairs_in(line, pair) : 1.0;
    if (terms + 0.5 < static_cast<double>(fewest)) {
      fewest = static_cast<std::size_t>(terms + 0.5);
      best = line;
    }
  }
  for (std::uint32_t pair : pairs)
    if (best < 0 || !is_whole(best, pair)) pair_.push_back(pair);
  const std::size_t first_new = line_.size();
  for (std::uint32_t pair : pairs)
    if (best >= 0 && is_whole(best, pair)) line_.push_back(static_cast<std::uint32_t>(line_of(best, pair)));
  const auto begin = line_.begin() + static_cast<std::ptrdiff_t>(first_new);
  std::sort(begin, line_.end());
  line_.erase(std::unique(begin, line_.end()), line_.end());
  if (line_.size() > first_new) needed_[best] = true;
  first_line_.push_back(line_.size());
  first_pair_.push_back(pair_.size());
  for (int line = 0; line < kLines; ++line)
    for (std::uint32_t pair : pairs) seen[line_of(line, pair)] = 0;
}

void RouteLoads::sum_to_nodes(int src, const double* row) const {
  double* sums = sums_.data() + first_of_[to_node] + at(src * nodes_);
  for (int node = 0; node < nodes_; ++node) {
    const int begin = node * width_, end = std::min(begin + width_, ranks_);
    double sum = 0;
    for (int dst = begin; dst < end; ++dst) sum += row[dst];
    sums[node] = sum;
  }
  const int home = src / width_;
  sums[home] = 0;
  for (int dst = home * width_; dst < std::min((home + 1) * width_, ranks_); ++dst)
    if (dst != src) sums[home] += row[dst];
}

void RouteLoads::sum_to_rails(int src, const double* row) const {
  double* sums = sums_.data() + first_of_[to_rail] + at(src * width_);
  std::fill(sums, sums + width_, 0.0);
  for (int begin = 0; begin < ranks_; begin += width_)
    for (int rail = 0; rail < std::min(width_, ranks_ - begin); ++rail)
      if (begin + rail != src) sums[rail] += row[begin + rail];
}

/// Adds a source's row, its own element left out.
void RouteLoads::sum_from(double* sums, int src, const double* row) const {
  for (int dst = 0; dst < src; ++dst) sums[dst] += row[dst];
  for (int dst = src + 1; dst < ranks_; ++dst) sums[dst] += row[dst];
}

void RouteLoads::sum_lines(const double* bytes) const {
  for (const Line line : {from_node, from_rail})
    if (needed_[line]) std::fill(sums_.data() + first_of_[line], sums_.data() + first_of_[line + 1], 0.0);
  for (int src = 0; src < ranks_; ++src) {
    const double* row = bytes + at(src) * at(ranks_);
    if (needed_[to_node]) sum_to_nodes(src, row);
    if (needed_[to_rail]) sum_to_rails(src, row);
    if (needed_[from_node]) sum_from(sums_.data() + first_of_[from_node] + at(src / width_ * ranks_), src, row);
    if (needed_[from_rail]) sum_from(sums_.data() + first_of_[from_rail] + at(src % width_ * ranks_), src, row);
  }
}

void RouteLoads::add(const TrafficMatrix& traffic, std::span<double> out) const {
  if (traffic.ranks != ranks_ || out.size() + 1 != first_pair_.size())
    throw std::invalid_argument{fmt::format("traffic of {} ranks on {} links, expected {} ranks on {} links",
                                            traffic.ranks, out.size(), ranks_, first_pair_.size() - 1)};
  const double* bytes = traffic.bytes.data();
  sum_lines(bytes);
  for (std::size_t link = 0; link < out.size(); ++link) {
    out[link] += gather(sums_.data(), line_.data() + first_line_[link], line_.data() + first_line_[link + 1]);
    out[link] += gather(bytes, pair_.data() + first_pair_[link], pair_.data() + first_pair_[link + 1]);
  }
}

std::vector<double> RouteLoads::operator()(const DispatchTraffic& traffic) const {
  std::vector<double> out(first_pair_.size() - 1, 0.0);
  add(traffic.direct, out);
  add(traffic.to_node, out);
  add(traffic.forwarded, out);
  return out;
}

}  // namespace moesim
