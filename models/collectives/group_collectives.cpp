#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "models/collectives/collectives.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// A one-shot all-reduce is a single exchange without the vendor library's protocol, so only part of the measured
/// floor. 8 x H100: 4.8 us (custom all-reduce in a CUDA graph, 2 KB) against 15.5 us (NCCL). Source: the domain notes'
/// small-message floors, section F.1, from aiconfigurator's tables.
constexpr double kOneShotLatencyShare = 4.8 / 15.5;

/// NVSwitches reduce and multicast since NVLink 4 (Hopper, 450 GB/s per direction). Export variants with fewer links
/// are thereby taken for ring machines unless nvls is asked for.
constexpr BytesPerSecond kNvlink4{450e9};

double ratio(double part, int whole) {
  return part / whole;
}

/// The ranks of a collective, by node and by rail.
class Group {
public:
  Group(const Topology& topology, std::span<const int> gpus) : gpus_(gpus.begin(), gpus.end()) {
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

  int size() const { return static_cast<int>(gpus_.size()); }
  int nodes() const { return static_cast<int>(by_node_.size()); }
  int per_node() const { return size() / nodes(); }
  bool inside_a_node() const { return nodes() == 1; }
  /// Several nodes, each with the same rails: what a hierarchical collective needs.
  bool is_regular() const {
    return nodes() > 1 && std::all_of(by_rail_.begin(), by_rail_.end(), [&](const auto& rail) {
             return static_cast<int>(rail.second.size()) == nodes();
           });
  }

  const std::vector<int>& gpus() const { return gpus_; }
  const std::map<int, std::vector<int>>& by_node() const { return by_node_; }
  const std::map<int, std::vector<int>>& by_rail() const { return by_rail_; }

private:
  std::vector<int> gpus_;
  std::map<int, std::vector<int>> by_node_, by_rail_;
};

/// Bytes on the few links that a phase touches.
class PhaseLoad {
public:
  explicit PhaseLoad(const Topology& topology) : topology_{topology} {}

  void send(int src, int dst, Bytes bytes) {
    for (LinkId link : topology_.route(src, dst)) load_.emplace_back(link, bytes.value());
  }
  void ring(const std::vector<int>& members, Bytes sent_each) {
    for (std::size_t i = 0; i < members.size() && members.size() > 1; ++i)
      send(members[i], members[(i + 1) % members.size()], sent_each);
  }
  void rings(const std::map<int, std::vector<int>>& groups, Bytes sent_each) {
    for (const auto& [index, members] : groups) ring(members, sent_each);
  }
  void exchange(const std::vector<int>& members, Bytes to_each) {
    for (int src : members)
      for (int dst : members)
        if (src != dst) send(src, dst, to_each);
  }

  Seconds time(const CollectiveParameters& parameters) {
    std::sort(load_.begin(), load_.end());
    double longest = 0;
    for (std::size_t i = 0; i < load_.size();) {
      const auto& link = topology_.links()[static_cast<std::size_t>(load_[i].first)];
      double bytes = 0;
      for (const LinkId id = load_[i].first; i < load_.size() && load_[i].first == id; ++i) bytes += load_[i].second;
      const double efficiency = efficiency_of(parameters, link.tier);
      longest = std::max(longest, bytes / (link.capacity.value() * efficiency));
    }
    return Seconds{longest};
  }

  void add_to(std::span<double> link_bytes) const {
    for (const auto& [link, bytes] : load_) link_bytes[static_cast<std::size_t>(link)] += bytes;
  }

private:
  const Topology& topology_;
  std::vector<std::pair<LinkId, double>> load_;
};

/// One collective of one group on one machine.
class GroupTimer {
public:
  GroupTimer(const Topology& topology, std::span<const int> group, const CollectiveParameters& parameters)
      : topology_{topology}, group_{topology, group}, parameters_{parameters} {}

  const Group& group() const { return group_; }
  Seconds latency() const { return group_.inside_a_node() ? parameters_.latency_intra : parameters_.latency_inter; }

  /// `passes`: 1 for all-gather or reduce-scatter of M, 2 for an all-reduce, which is both.
  GroupCollective ring(Bytes message, int passes) const {
    const Bytes sent = ratio(passes * (group_.size() - 1.0), group_.size()) * message;
    PhaseLoad phase{topology_};
    phase.ring(group_.gpus(), sent);
    return {latency() + phase.time(parameters_), sent, AllReduceAlgorithm::ring};
  }

  GroupCollective hierarchical(Bytes message, int passes) const {
    const int per_node = group_.per_node();
    const Bytes inside = ratio(passes * (per_node - 1.0), per_node) * message;
    const Bytes across = ratio(passes * (group_.nodes() - 1.0), group_.nodes()) * message / per_node;
    PhaseLoad nodes{topology_}, rails{topology_};
    nodes.rings(group_.by_node(), inside);
    rails.rings(group_.by_rail(), across);
    return {latency() + nodes.time(parameters_) + rails.time(parameters_), inside + across,
            AllReduceAlgorithm::hierarchical};
  }

  GroupCollective one_shot(Bytes message) const {
    PhaseLoad phase{topology_};
    phase.exchange(group_.gpus(), message);
    return {kOneShotLatencyShare * latency() + phase.time(parameters_), (group_.size() - 1.0) * message,
            AllReduceAlgorithm::one_shot};
  }

  /// M up and M down whatever the group's size. The efficiency is one of bus bandwidth at the full node, so the line
  /// rate that the switch achieves is smaller by that factor: 2(P-1)/P for a node of P.
  GroupCollective nvls(Bytes message) const {
    const int node = topology_.gpus_per_node();
    PhaseLoad phase{topology_};
    phase.ring(group_.gpus(), ratio(2 * (node - 1.0), node) * message);
    return {latency() + phase.time(parameters_), message, AllReduceAlgorithm::nvls};
  }

  bool switch_reduces() const {
    const auto route = topology_.route(group_.gpus()[0], group_.gpus()[1]);
    return topology_.links()[static_cast<std::size_t>(route[0])].capacity >= kNvlink4;
  }

private:
  const Topology& topology_;
  Group group_;
  const CollectiveParameters& parameters_;
};

void check_algorithm(AllReduceAlgorithm algorithm, const Group& group) {
  const auto refuse = [&](const std::string& expected) {
    throw InputError{"communication.all_reduce",
                     fmt::format("{} for {} GPUs on {} nodes", name_of(algorithm), group.size(), group.nodes()),
                     expected};
  };
  const bool needs_node = algorithm == AllReduceAlgorithm::one_shot || algorithm == AllReduceAlgorithm::nvls;
  if (needs_node && !group.inside_a_node()) refuse("a group inside one node; or hierarchical, ring, auto");
  if (algorithm == AllReduceAlgorithm::hierarchical && !group.is_regular())
    refuse("a group over several nodes with the same GPUs in each; or ring, auto");
}

GroupCollective fastest(const GroupTimer& timer, Bytes message) {
  // Earlier wins a tie: at the full node NVLS and ring reproduce the same measurement.
  std::vector<GroupCollective> candidates;
  if (timer.group().inside_a_node()) {
    if (timer.switch_reduces()) candidates.push_back(timer.nvls(message));
    candidates.push_back(timer.one_shot(message));
  }
  if (timer.group().is_regular()) candidates.push_back(timer.hierarchical(message, 2));
  candidates.push_back(timer.ring(message, 2));
  return *std::min_element(candidates.begin(), candidates.end(),
                           [](const auto& a, const auto& b) { return a.time < b.time; });
}

GroupCollective one_pass(const Topology& topology, std::span<const int> group, Bytes message,
                         const CollectiveParameters& parameters) {
  const GroupTimer timer{topology, group, parameters};
  if (timer.group().size() == 1) return {};
  return timer.group().is_regular() ? timer.hierarchical(message, 1) : timer.ring(message, 1);
}

}  // namespace

std::string_view name_of(AllReduceAlgorithm algorithm) {
  switch (algorithm) {
    case AllReduceAlgorithm::automatic:
      return "auto";
    case AllReduceAlgorithm::ring:
      return "ring";
    case AllReduceAlgorithm::one_shot:
      return "one_shot";
    case AllReduceAlgorithm::nvls:
      return "nvls";
    case AllReduceAlgorithm::hierarchical:
      return "hierarchical";
  }
  throw std::invalid_argument{"unknown AllReduceAlgorithm"};
}

GroupCollective all_reduce(const Topology& topology, std::span<const int> group, Bytes message,
                           AllReduceAlgorithm algorithm, const CollectiveParameters& parameters) {
  const GroupTimer timer{topology, group, parameters};
  check_algorithm(algorithm, timer.group());
  if (timer.group().size() == 1) return {};
  switch (algorithm) {
    case AllReduceAlgorithm::automatic:
      return fastest(timer, message);
    case AllReduceAlgorithm::ring:
      return timer.ring(message, 2);
    case AllReduceAlgorithm::one_shot:
      return timer.one_shot(message);
    case AllReduceAlgorithm::nvls:
      return timer.nvls(message);
    case AllReduceAlgorithm::hierarchical:
      return timer.hierarchical(message, 2);
  }
  throw std::invalid_argument{"unknown AllReduceAlgorithm"};
}

GroupCollective all_gather(const Topology& topology, std::span<const int> group, Bytes gathered,
                           const CollectiveParameters& parameters) {
  return one_pass(topology, group, gathered, parameters);
}

GroupCollective reduce_scatter(const Topology& topology, std::span<const int> group, Bytes reduced,
                               const CollectiveParameters& parameters) {
  return one_pass(topology, group, reduced, parameters);
}

void add_link_bytes(const Topology& topology, std::span<const int> group, Bytes sent_per_gpu,
                    std::span<double> link_bytes, AllReduceAlgorithm algorithm) {
  const Group members{topology, group};
  check_algorithm(algorithm, members);
  if (members.size() == 1) return;
  PhaseLoad load{topology};
  const bool hierarchical = algorithm == AllReduceAlgorithm::hierarchical ||
                            (algorithm == AllReduceAlgorithm::automatic && members.is_regular());
  if (hierarchical) {
    // Sent inside : across = (g-1)/g M : (N-1)/N M/g, the same for all-reduce, all-gather and reduce-scatter.
    const double inside = members.per_node() - 1.0, across = ratio(members.nodes() - 1.0, members.nodes());
    load.rings(members.by_node(), inside / (inside + across) * sent_per_gpu);
    load.rings(members.by_rail(), across / (inside + across) * sent_per_gpu);
  } else if (algorithm == AllReduceAlgorithm::one_shot) {
    load.exchange(members.gpus(), sent_per_gpu / (members.size() - 1.0));
  } else {
    load.ring(members.gpus(), sent_per_gpu);  // nvls too: M up and M down at every GPU
  }
  load.add_to(link_bytes);
}

}  // namespace moesim
