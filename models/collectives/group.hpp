#pragma once
// Who takes part in a group collective, and what its phases put on the links.

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "models/hardware/topology.hpp"

namespace moesim {

/// The ranks of a collective, by node and by rail.
class Group {
public:
  /// Throws std::invalid_argument for an empty group, a repeated or unknown GPU.
  Group(const Topology& topology, std::span<const int> gpus);

  int size() const { return static_cast<int>(gpus_.size()); }
  int nodes() const { return static_cast<int>(by_node_.size()); }
  int per_node() const { return size() / nodes(); }
  bool inside_a_node() const { return nodes() == 1; }
  /// Several nodes, each with the same rails: what a hierarchical collective needs.
  bool is_regular() const;

  const std::vector<int>& gpus() const { return gpus_; }
  const std::map<int, std::vector<int>>& by_node() const { return by_node_; }
  const std::map<int, std::vector<int>>& by_rail() const { return by_rail_; }

private:
  std::vector<int> gpus_;
  std::map<int, std::vector<int>> by_node_, by_rail_;
};

/// Parent of each member of the first of two binary trees over `count` members, -1 for its root, member 0. In order:
/// odd members are leaves, and no path is longer than ceil(log2(count)) edges. The second tree is the first over the
/// members backwards (an even count) or shifted by one (odd), so that a leaf of the second is inside the first, which
/// halves what a member forwards.
/// Source: Sanders, Speck, Traff, Two-tree algorithms for full bandwidth broadcast, reduction and scan (2009).
std::vector<int> tree_parents(int count);

/// Bytes on the few links that a phase touches.
class PhaseLoad {
public:
  explicit PhaseLoad(const Topology& topology) : topology_{topology} {}

  void send(int src, int dst, Bytes bytes);
  void ring(const std::vector<int>& members, Bytes sent_each);
  void rings(const std::map<int, std::vector<int>>& groups, Bytes sent_each);
  void exchange(const std::vector<int>& members, Bytes to_each);
  /// Ranks of one node pass `sent_each` on. Where each two GPUs have a link of their own (a mesh: xGMI, NVLink without
  /// a switch) a ring would leave all but one of the p - 1 links of a GPU idle. There every GPU hands each other one
  /// 1/p of the message straight away, as RCCL does (or runs p - 1 rings, which put the same bytes on each link):
  /// reduce-scatter and all-gather send (p-1)/p M per GPU as on a ring, but M/p over each of its p - 1 links.
  void inside(const std::vector<int>& members, Bytes sent_each);
  void inside_each(const std::map<int, std::vector<int>>& nodes, Bytes sent_each);
  /// Two trees over the members, each for half of the message: up to the root and down again.
  void double_tree(const std::vector<int>& members, Bytes message);
  void double_trees(const std::map<int, std::vector<int>>& groups, Bytes message);

  /// Of the busiest link.
  Seconds time(const CollectiveParameters& parameters);
  void add_to(std::span<double> link_bytes) const;

private:
  bool is_mesh(const std::vector<int>& members) const;

  const Topology& topology_;
  std::vector<std::pair<LinkId, double>> load_;
};

}  // namespace moesim
