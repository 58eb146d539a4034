#include "models/collectives/group.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace moesim {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

Group::Group(const Topology& topology, std::span<const int> gpus) : gpus_(gpus.begin(), gpus.end()) {
  for (int gpu : gpus_) {
    if (gpu < 0 || gpu >= topology.gpus())
      throw std::invalid_argument{fmt::format("GPU {} of {} in a group", gpu, topology.gpus())};
    by_node_[topology.node_of(gpu)].push_back(gpu);
    by_rail_[topology.rail_of(gpu)].push_back(gpu);
  }
  auto sorted = gpus_;
  std::sort(sorted.begin(), sorted.end());
  if (gpus_.empty() || std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    throw std::invalid_argument{"a group needs at least one GPU, each once"};
}

bool Group::is_regular() const {
  return nodes() > 1 && std::all_of(by_rail_.begin(), by_rail_.end(),
                                    [&](const auto& rail) { return static_cast<int>(rail.second.size()) == nodes(); });
}

std::vector<int> tree_parents(int count) {
  if (count < 1) throw std::invalid_argument{fmt::format("a tree of {} members", count)};
  std::vector<int> parents(at(count), -1);
  for (int member = 1; member < count; ++member) {
    // Height is the lowest bit. One level up lies at the middle of the next larger block, or below where that is cut.
    const int height = member & -member, without = member ^ height, above = without | (2 * height);
    parents[at(member)] = above < count ? above : without;
  }
  return parents;
}

void PhaseLoad::send(int src, int dst, Bytes bytes) {
  for (LinkId link : topology_.route(src, dst)) load_.emplace_back(link, bytes.value());
}

void PhaseLoad::ring(const std::vector<int>& members, Bytes sent_each) {
  for (std::size_t i = 0; i < members.size() && members.size() > 1; ++i)
    send(members[i], members[(i + 1) % members.size()], sent_each);
}

void PhaseLoad::rings(const std::map<int, std::vector<int>>& groups, Bytes sent_each) {
  for (const auto& [index, members] : groups) ring(members, sent_each);
}

void PhaseLoad::exchange(const std::vector<int>& members, Bytes to_each) {
  for (int src : members)
    for (int dst : members)
      if (src != dst) send(src, dst, to_each);
}

bool PhaseLoad::is_mesh(const std::vector<int>& members) const {
  for (int src : members)
    for (int dst : members)
      if (src != dst && topology_.route(src, dst).size() != 1) return false;
  return true;
}

void PhaseLoad::inside(const std::vector<int>& members, Bytes sent_each) {
  if (members.size() > 2 && is_mesh(members))
    exchange(members, sent_each / (static_cast<double>(members.size()) - 1));
  else
    ring(members, sent_each);
}

void PhaseLoad::inside_each(const std::map<int, std::vector<int>>& nodes, Bytes sent_each) {
  for (const auto& [node, members] : nodes) inside(members, sent_each);
}

void PhaseLoad::double_tree(const std::vector<int>& members, Bytes message) {
  const int count = static_cast<int>(members.size());
  const std::vector<int> parents = tree_parents(count);
  const auto second = [&](int role) { return members[at(count % 2 == 0 ? count - 1 - role : (role + 1) % count)]; };
  const auto both_ways = [&](int child, int parent) {
    send(child, parent, message / 2);
    send(parent, child, message / 2);
  };
  for (int member = 1; member < count; ++member) {
    both_ways(members[at(member)], members[at(parents[at(member)])]);
    both_ways(second(member), second(parents[at(member)]));
  }
}

void PhaseLoad::double_trees(const std::map<int, std::vector<int>>& groups, Bytes message) {
  for (const auto& [index, members] : groups) double_tree(members, message);
}

Seconds PhaseLoad::time(const CollectiveParameters& parameters) {
  std::sort(load_.begin(), load_.end());
  double longest = 0;
  for (std::size_t i = 0; i < load_.size();) {
    const auto& link = topology_.links()[at(load_[i].first)];
    double bytes = 0;
    for (const LinkId id = load_[i].first; i < load_.size() && load_[i].first == id; ++i) bytes += load_[i].second;
    const double efficiency = efficiency_of(parameters, link.tier);
    longest = std::max(longest, bytes / (link.capacity.value() * efficiency));
  }
  return Seconds{longest};
}

void PhaseLoad::add_to(std::span<double> link_bytes) const {
  for (const auto& [link, bytes] : load_) link_bytes[at(link)] += bytes;
}

}  // namespace moesim
