#include <algorithm>
#include <bit>
#include <stdexcept>

#include <fmt/format.h>

#include "models/collectives/collectives.hpp"
#include "models/collectives/group.hpp"
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

/// What fewer ranks than the catalogue's 8 change, read off NCCL 2.29.2 on 2, 4 and 8 GPUs of H100 and B200
/// (aiconfigurator 095f58a); both GPUs agree to 5 %.
constexpr int kCatalogueRanks = 8;
/// Floors grow by the same for each rank: all-reduce 6.2, 9.5, 15.6 us (H100), 10.2, 15.1, 25.1 us (B200); all-gather
/// 5.3, 7.1, 10.1 and 8.8, 11.2, 16.1 us. `fixed`: the share of the floor of 8 ranks that none of them adds.
constexpr double kFixedOfSum = 0.2, kFixedOfPass = 0.38;
double floor_share(int ranks, double fixed) {
  return fixed + (1 - fixed) * std::min(ranks, kCatalogueRanks) / kCatalogueRanks;
}
/// Bus bandwidth of a ring at 512 MiB over that of 8 ranks: all-gather 0.77, 0.95 (H100), 0.71, 0.92 (B200);
/// all-reduce 0.71 and 0.76 on two, where no switch reduces.
double ring_share_of_bandwidth(int ranks) {
  constexpr double kLossPerShare = 0.7;
  return 1 - kLossPerShare * (1.0 / std::min(ranks, kCatalogueRanks) - 1.0 / kCatalogueRanks);
}

double ratio(double part, int whole) {
  return part / whole;
}

/// One collective of one group on one machine.
class GroupTimer {
public:
  GroupTimer(const Topology& topology, std::span<const int> group, const CollectiveParameters& parameters)
      : topology_{topology}, group_{topology, group}, parameters_{parameters} {}

  const Group& group() const { return group_; }
  /// The catalogue's latency across nodes is that of two RDMA operations after one another; inside a node there is
  /// none.
  Seconds latency(int hops) const {
    if (group_.inside_a_node()) return parameters_.latency_intra;
    return parameters_.latency_intra + hops / 2.0 * (parameters_.latency_inter - parameters_.latency_intra);
  }
  /// A ring of nodes: every part of the message passes all others, once per pass.
  int ring_hops(int passes) const { return passes * (group_.nodes() - 1); }

  /// `passes`: 1 for all-gather or reduce-scatter of M, 2 for an all-reduce, which is both.
  GroupCollective ring(Bytes message, int passes) const {
    const Bytes sent = ratio(passes * (group_.size() - 1.0), group_.size()) * message;
    PhaseLoad phase{topology_};
    if (group_.inside_a_node()) {
      phase.inside(group_.gpus(), sent);
      const Seconds floor = floor_share(group_.size(), passes == 2 ? kFixedOfSum : kFixedOfPass) * latency(0);
      const double share = behind_switch() ? ring_share_of_bandwidth(group_.size()) : 1;
      return {floor + phase.time(parameters_) / share, sent, AllReduceAlgorithm::ring};
    }
    phase.ring(group_.gpus(), sent);
    return {latency(ring_hops(passes)) + phase.time(parameters_), sent, AllReduceAlgorithm::ring};
  }

  GroupCollective hierarchical(Bytes message, int passes) const {
    const int per_node = group_.per_node();
    const Bytes inside = ratio(passes * (per_node - 1.0), per_node) * message;
    const Bytes across = ratio(passes * (group_.nodes() - 1.0), group_.nodes()) * message / per_node;
    PhaseLoad nodes{topology_}, rails{topology_};
    nodes.inside_each(group_.by_node(), inside);
    rails.rings(group_.by_rail(), across);
    return {latency(ring_hops(passes)) + nodes.time(parameters_) + rails.time(parameters_), inside + across,
            AllReduceAlgorithm::hierarchical};
  }

  /// Inside the nodes as hierarchical; over each rail two trees instead of a ring: 2 log2(N) hops instead of 2 (N - 1),
  /// but 2 M/g through the NIC of a member that is inside one tree (and always a leaf of the other), not 2 (N-1)/N M/g.
  GroupCollective tree(Bytes message) const {
    const int per_node = group_.per_node(), nodes = group_.nodes();
    const Bytes inside = ratio(2 * (per_node - 1.0), per_node) * message;
    PhaseLoad in_nodes{topology_}, rails{topology_};
    in_nodes.inside_each(group_.by_node(), inside);
    rails.double_trees(group_.by_rail(), message / per_node);
    const int hops = 2 * static_cast<int>(std::bit_width(static_cast<unsigned>(nodes - 1)));
    return {latency(hops) + in_nodes.time(parameters_) + rails.time(parameters_),
            inside + ratio(2 * (nodes - 1.0), nodes) * message / per_node, AllReduceAlgorithm::tree};
  }

  GroupCollective one_shot(Bytes message) const {
    PhaseLoad phase{topology_};
    phase.exchange(group_.gpus(), message);
    return {kOneShotLatencyShare * latency(0) + phase.time(parameters_), (group_.size() - 1.0) * message,
            AllReduceAlgorithm::one_shot};
  }

  /// M up and M down whatever the group's size. The efficiency is one of bus bandwidth at the full node, so the line
  /// rate that the switch achieves is smaller by that factor: 2(P-1)/P for a node of P.
  GroupCollective nvls(Bytes message) const {
    const int node = topology_.gpus_per_node();
    PhaseLoad phase{topology_};
    phase.ring(group_.gpus(), ratio(2 * (node - 1.0), node) * message);
    return {floor_share(group_.size(), kFixedOfSum) * latency(0) + phase.time(parameters_), message,
            AllReduceAlgorithm::nvls};
  }

  bool switch_reduces() const { return first_link().capacity >= kNvlink4; }
  /// NVLinks to a switch, which is what fewer ranks were measured on.
  bool behind_switch() const { return first_link().tier == Tier::nvlink && first_route().size() > 1; }

private:
  std::span<const LinkId> first_route() const { return topology_.route(group_.gpus()[0], group_.gpus()[1]); }
  const Link& first_link() const { return topology_.links()[static_cast<std::size_t>(first_route().front())]; }

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
  const bool needs_nodes = algorithm == AllReduceAlgorithm::hierarchical || algorithm == AllReduceAlgorithm::tree;
  if (needs_nodes && !group.is_regular())
    refuse("a group over several nodes with the same GPUs in each; or ring, auto");
}

GroupCollective fastest(const GroupTimer& timer, Bytes message) {
  // Earlier wins a tie: at the full node NVLS and ring reproduce the same measurement.
  std::vector<GroupCollective> candidates;
  if (timer.group().inside_a_node()) {
    if (timer.switch_reduces()) candidates.push_back(timer.nvls(message));
    candidates.push_back(timer.one_shot(message));
  }
  if (timer.group().is_regular()) {
    candidates.push_back(timer.hierarchical(message, 2));
    candidates.push_back(timer.tree(message));
  }
  candidates.push_back(timer.ring(message, 2));
  return *std::min_element(candidates.begin(), candidates.end(),
                           [](const auto& a, const auto& b) { return a.time < b.time; });
}

GroupCollective by_algorithm(const GroupTimer& timer, Bytes message, AllReduceAlgorithm algorithm) {
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
    case AllReduceAlgorithm::tree:
      return timer.tree(message);
  }
  throw std::invalid_argument{"unknown AllReduceAlgorithm"};
}

GroupCollective measured_or(GroupCollective modelled, KernelOperation operation, const Topology& topology,
                            std::span<const int> group, Bytes message, const CollectiveCurves* curves) {
  if (!curves || group.size() == 1) return modelled;
  modelled.measured = curves->find(operation, topology, group);
  if (modelled.measured) modelled.time = modelled.measured->time(message);
  return modelled;
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
    case AllReduceAlgorithm::tree:
      return "tree";
  }
  throw std::invalid_argument{"unknown AllReduceAlgorithm"};
}

GroupCollective all_reduce(const Topology& topology, std::span<const int> group, Bytes message,
                           AllReduceAlgorithm algorithm, const CollectiveParameters& parameters,
                           const CollectiveCurves* curves) {
  const GroupTimer timer{topology, group, parameters};
  check_algorithm(algorithm, timer.group());
  if (timer.group().size() == 1) return {};
  return measured_or(by_algorithm(timer, message, algorithm), KernelOperation::all_reduce, topology, group, message,
                     curves);
}

GroupCollective all_gather(const Topology& topology, std::span<const int> group, Bytes gathered,
                           const CollectiveParameters& parameters, const CollectiveCurves* curves) {
  return measured_or(one_pass(topology, group, gathered, parameters), KernelOperation::all_gather, topology, group,
                     gathered, curves);
}

GroupCollective reduce_scatter(const Topology& topology, std::span<const int> group, Bytes reduced,
                               const CollectiveParameters& parameters, const CollectiveCurves* curves) {
  return measured_or(one_pass(topology, group, reduced, parameters), KernelOperation::reduce_scatter, topology, group,
                     reduced, curves);
}

void add_link_bytes(const Topology& topology, std::span<const int> group, Bytes sent_per_gpu,
                    std::span<double> link_bytes, AllReduceAlgorithm algorithm) {
  const Group members{topology, group};
  check_algorithm(algorithm, members);
  if (members.size() == 1) return;
  PhaseLoad load{topology};
  const bool hierarchical = algorithm == AllReduceAlgorithm::hierarchical ||
                            (algorithm == AllReduceAlgorithm::automatic && members.is_regular());
  const bool tree = algorithm == AllReduceAlgorithm::tree;
  if (hierarchical || tree) {
    // Sent inside : across = (g-1)/g M : (N-1)/N M/g, the same for all-reduce (by a tree: on average), all-gather and
    // reduce-scatter.
    const double inside = members.per_node() - 1.0, across = ratio(members.nodes() - 1.0, members.nodes());
    load.inside_each(members.by_node(), inside / (inside + across) * sent_per_gpu);
    const Bytes over_rail = across / (inside + across) * sent_per_gpu;
    if (tree)
      load.double_trees(members.by_rail(), over_rail / (2 * across));
    else
      load.rings(members.by_rail(), over_rail);
  } else if (algorithm == AllReduceAlgorithm::one_shot) {
    load.exchange(members.gpus(), sent_per_gpu / (members.size() - 1.0));
  } else if (members.inside_a_node()) {
    load.inside(members.gpus(), sent_per_gpu);  // nvls too: M up and M down at every GPU
  } else {
    load.ring(members.gpus(), sent_per_gpu);
  }
  load.add_to(link_bytes);
}

}  // namespace moesim
