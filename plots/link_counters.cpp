#include "plots/link_counters.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace moesim {
namespace {

/// Vertices of a cluster are far fewer; tiers of the fabric have keys below zero.
int key_of(int vertex, Tier tier) {
  return vertex * static_cast<int>(kTiers.size()) + static_cast<int>(tier);
}

}  // namespace

LinkCounters::LinkCounters(const Topology& topology, const std::vector<bool>& chosen,
                           const std::vector<int>& process_of_node, int fabric_process, std::size_t cap)
    : from_{std::numeric_limits<Nanoseconds>::min()}, to_{std::numeric_limits<Nanoseconds>::max()}, cap_{cap} {
  const auto links = topology.links();
  for (std::size_t l = 0; l < links.size(); ++l) {
    capacity_.push_back(links[l].capacity.value());
    const Tier tier = links[l].tier;
    if (tier == Tier::nvlink || tier == Tier::pcie || tier == Tier::nic) {
      watch(topology, static_cast<LinkId>(l), links[l].from, true, chosen, process_of_node);
      watch(topology, static_cast<LinkId>(l), links[l].to, false, chosen, process_of_node);
    } else {
      watch_fabric(static_cast<LinkId>(l), tier, fabric_process);
    }
  }
}

void LinkCounters::keep_between(Nanoseconds begin, Nanoseconds end) {
  from_ = begin;
  to_ = end;
}

LinkCounters::Series& LinkCounters::series_of(int key, bool out, const TraceCounter& counter, int gpu) {
  const auto known = index_.find({key, out});
  if (known != index_.end()) return series_[known->second];
  const auto other = index_.find({key, !out});
  const int number = other != index_.end() ? series_[other->second].counter : static_cast<int>(counters_.size());
  if (other == index_.end()) counters_.push_back(counter);
  index_[{key, out}] = series_.size();
  return series_.emplace_back(Series{number, out ? 0 : 1, gpu, {}});
}

void LinkCounters::watch(const Topology& topology, LinkId link, int vertex, bool out, const std::vector<bool>& chosen,
                         const std::vector<int>& process_of_node) {
  const Vertex& end = topology.vertices()[static_cast<std::size_t>(vertex)];
  const Tier tier = topology.links()[static_cast<std::size_t>(link)].tier;
  const bool is_gpu = end.kind == VertexKind::gpu;
  const bool is_watched = is_gpu ? chosen[static_cast<std::size_t>(vertex)] : tier == Tier::nic && end.node >= 0;
  if (!is_watched || process_of_node[static_cast<std::size_t>(end.node)] < 0) return;
  const TraceCounter counter{process_of_node[static_cast<std::size_t>(end.node)],
                             fmt::format("{} {}", end.name, name_of(tier)),
                             {"out", "in"}};
  series_of(key_of(vertex, tier), out, counter, is_gpu ? vertex : -1).links.push_back(link);
}

void LinkCounters::watch_fabric(LinkId link, Tier tier, int process) {
  has_fabric_ = true;
  const TraceCounter counter{process, fmt::format("busiest {} link", name_of(tier)), {"share"}};
  series_of(-1 - static_cast<int>(tier), true, counter, -1).links.push_back(link);
}

Seconds LinkCounters::at_capacity(const Series& series, std::span<const double> link_bytes) const {
  double most = 0;
  for (const LinkId link : series.links)
    most = std::max(most, link_bytes[static_cast<std::size_t>(link)] / capacity_[static_cast<std::size_t>(link)]);
  return Seconds{most};
}

void LinkCounters::keep(int series, Seconds busy, Seconds begin, Seconds end) {
  const Use use{to_nanoseconds(begin), to_nanoseconds(end), series, busy / (end - begin)};
  if (use.end <= use.begin || use.end <= from_ || use.begin >= to_) return;
  if (uses_.size() >= cap_)
    dropped_ += 2;  // a rise and a fall
  else
    uses_.push_back(use);
}

void LinkCounters::add(std::span<const double> link_bytes, Seconds begin, Seconds end) {
  if (to_nanoseconds(end) <= from_ || to_nanoseconds(begin) >= to_) return;
  for (std::size_t s = 0; s < series_.size(); ++s)
    if (const Seconds busy = at_capacity(series_[s], link_bytes); busy > Seconds{})
      keep(static_cast<int>(s), busy, begin, end);
}

void LinkCounters::hold(int group, Cause cause, std::span<const double> link_bytes) {
  auto& held = held_[{group, cause}];
  held.resize(series_.size());
  for (std::size_t s = 0; s < series_.size(); ++s) held[s] += at_capacity(series_[s], link_bytes);
}

void LinkCounters::release(int group, Cause cause, const SpanOf& span_of) {
  const auto held = held_.find({group, cause});
  if (held == held_.end()) return;
  for (std::size_t s = 0; s < series_.size(); ++s) {
    if (held->second[s] <= Seconds{}) continue;
    const auto [begin, end] = span_of(series_[s].gpu);
    keep(static_cast<int>(s), held->second[s], begin, end);
  }
  held_.erase(held);
}

std::vector<LinkCounters::Change> LinkCounters::changes_between(Nanoseconds begin, Nanoseconds end) const {
  std::vector<Change> changes;
  changes.reserve(2 * uses_.size());
  for (const Use& use : uses_) {
    if (use.end <= begin || use.begin >= end) continue;
    const int counter = series_[static_cast<std::size_t>(use.series)].counter;
    changes.push_back({std::max(begin, use.begin), counter, use.series, use.share, 1});
    changes.push_back({std::min(end, use.end), counter, use.series, -use.share, -1});
  }
  std::stable_sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return std::pair{a.at, a.counter} < std::pair{b.at, b.counter};
  });
  return changes;
}

std::vector<CounterPoint> LinkCounters::points(Nanoseconds begin, Nanoseconds end) {
  struct State {
    double share = 0;
    int under_way = 0;
  };
  std::vector<State> states(series_.size());
  std::vector<CounterPoint> points, now(counters_.size());
  std::vector<bool> is_seen(counters_.size());
  const std::vector<Change> changes = changes_between(begin, end);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    const auto counter = static_cast<std::size_t>(change.counter);
    if (!is_seen[counter] && change.at > begin) points.push_back({begin, change.counter, {0, 0}});
    is_seen[counter] = true;
    State& state = states[static_cast<std::size_t>(change.series)];
    state.under_way += change.begins;
    state.share = state.under_way == 0 ? 0 : state.share + change.by;  // no rounding is left over
    now[counter].values[series_[static_cast<std::size_t>(change.series)].place] = state.share;
    const bool is_last =
        i + 1 == changes.size() || changes[i + 1].at != change.at || changes[i + 1].counter != change.counter;
    if (!is_last) continue;
    const auto& [out, in] = now[counter].values;
    most_wanted_ = std::max({most_wanted_, out, in});
    points.push_back({change.at, change.counter, {std::clamp(out, 0.0, 1.0), std::clamp(in, 0.0, 1.0)}});
  }
  return points;
}

}  // namespace moesim
