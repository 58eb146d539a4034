#pragma once
// How long a collective takes: the fluid bound F0, exact max-min sharing, closed forms with latency.

#include <span>
#include <string_view>
#include <vector>

#include "models/collectives/measured_curves.hpp"
#include "models/hardware/topology.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {

struct CollectiveTime {
  Seconds time;  ///< latency + transfer
  Seconds latency;
  LinkId busiest = -1;  ///< the link that decides, -1: none
};

/// What each link achieves: capacity * nvlink_efficiency (tier nvlink) or nic_efficiency (tiers nic and spine, whose
/// packets carry the same headers).
std::vector<BytesPerSecond> achieved_bandwidths(const Topology& topology, const CollectiveParameters& parameters);

/// F0: max over links of bytes / achieved bandwidth, plus latency (inter if any NIC link carries bytes).
/// A lower bound of max-min fair sharing, reached for a synchronous start by equal sizes and by token dispatches on
/// nodes of 8 GPUs; on odd fabrics or sizes sharing takes a few percent more (tests/engine/referee_test.cpp counts).
/// Staged parameters: the busiest link inside nodes, then the busiest between them, one after the other. (NICs below a
/// PCIe switch share its links, whose bytes of both stages then count in the first: an upper bound.)
/// No bytes on any link (one rank, or nobody has tokens): zero time, zero latency.
///
/// link_bytes [links] : bytes
CollectiveTime fluid_time(std::span<const double> link_bytes, const Topology& topology,
                          const CollectiveParameters& parameters);

/// The same for repeated use: per-link inverse bandwidths folded once.
/// Throws std::invalid_argument for a number of bytes that is not that of the links.
class FluidTimer {
public:
  FluidTimer(const Topology& topology, const CollectiveParameters& parameters);
  CollectiveTime operator()(std::span<const double> link_bytes) const;

private:
  std::vector<std::vector<double>> stages_;  ///< seconds per byte of each link, 0 where it has no part in the stage
  std::vector<LinkId> nic_links_;
  Seconds intra_, inter_;
};

/// Exact max-min fair sharing by progressive filling: finish time of every flow, all starting at 0, no latency.
/// The reference of the tests. Flows without bytes or links finish at 0.
///
/// capacity [links]
/// Throws std::invalid_argument for a flow over a link without capacity.
/// Source: Bertsekas & Gallager, Data Networks, 2nd ed., section 6.5.2.
std::vector<Seconds> max_min_finish(std::span<const Flow> flows, std::span<const BytesPerSecond> capacity);

/// Lower bound of when the last flow ends, when GPU g begins to send at start[g]: what enters a link from some moment
/// on cannot leave it sooner than its bytes take. With equal starts it is start + F0 without latency, and
/// max(start) + F0 is the upper bound that goes with it.
///
/// start [GPUs]; capacity [links]. Throws std::invalid_argument for a GPU or link that is not there.
Seconds busy_period_bound(std::span<const Flow> flows, std::span<const Seconds> start,
                          std::span<const BytesPerSecond> capacity);

/// Rates of max-min fair sharing for flows over links, all active. A route without links is not limited: infinite rate.
std::vector<BytesPerSecond> max_min_rates(const std::vector<std::vector<LinkId>>& routes,
                                          std::span<const BytesPerSecond> capacity);

/// automatic: the fastest that the group can do.
///   ring          one ring in the group's order, reduce-scatter then all-gather (on a mesh: over all its links)
///   one_shot      every GPU sends its whole message to every other: least latency, inside a node
///   nvls          the NVSwitch reduces and multicasts: M up and M down per GPU, inside a node
///   hierarchical  reduce-scatter inside the nodes, a ring over each rail, all-gather inside the nodes
///   tree          the same with a double binary tree over each rail: fewer hops, more bytes; small messages, many
///   nodes
enum class AllReduceAlgorithm { automatic, ring, one_shot, nvls, hierarchical, tree };
std::string_view name_of(AllReduceAlgorithm algorithm);

struct GroupCollective {
  Seconds time;
  Bytes sent_per_gpu;  ///< bytes one GPU sends
  AllReduceAlgorithm algorithm = AllReduceAlgorithm::ring;
  const MeasuredCollective* measured = nullptr;  ///< whose time it is; nothing: the network model's
};

/// Ring closed forms over p ranks at bandwidth B: all-reduce 2(p-1)/p M/B + 2(p-1) a; all-gather and reduce-scatter
/// (p-1)/p M/B + (p-1) a with M the gathered size; uniform all-to-all (p-1)/p M/B.
/// Throw std::invalid_argument for ranks < 1.
Seconds ring_all_reduce(int ranks, Bytes message, BytesPerSecond bandwidth, Seconds hop_latency);
Seconds ring_all_gather(int ranks, Bytes gathered, BytesPerSecond bandwidth, Seconds hop_latency);
Seconds ring_reduce_scatter(int ranks, Bytes reduced, BytesPerSecond bandwidth, Seconds hop_latency);
Seconds uniform_all_to_all(int ranks, Bytes per_rank_buffer, BytesPerSecond bandwidth);

/// Collectives of a group of ranks on the topology: the fluid time of what each phase puts on the links, plus the
/// measured latency of the operation (see one_shot in group_collectives.cpp for its smaller share). Across nodes the
/// catalogue states the latency with two RDMA operations in a row; a ring of N nodes takes N - 1 per pass, a tree
/// ceil(log2 N). A group of one takes no time.
///
/// The efficiency is that of *bus bandwidth*, 2(p-1)/p M/t (all-reduce) or (p-1)/p M/t, as nccl-tests print it:
/// whichever algorithm the measured library took, the fastest one here then reproduces the measurement at the
/// catalogue's node size. With `curves`, a group that one of them fits takes its time from there, whichever algorithm
/// that library took; bytes on links stay those of `algorithm`. Throws InputError when the group cannot do the
/// algorithm: one_shot and nvls across nodes, hierarchical and tree inside one node or with nodes that hold different
/// rails; std::invalid_argument for an empty group, a repeated or unknown GPU.
GroupCollective all_reduce(const Topology& topology, std::span<const int> group, Bytes message,
                           AllReduceAlgorithm algorithm, const CollectiveParameters& parameters,
                           const CollectiveCurves* curves = nullptr);
/// Inside a node a ring; across nodes a ring over each rail, then inside the nodes (a flat ring where nodes hold
/// different rails).
GroupCollective all_gather(const Topology& topology, std::span<const int> group, Bytes gathered,
                           const CollectiveParameters& parameters, const CollectiveCurves* curves = nullptr);
GroupCollective reduce_scatter(const Topology& topology, std::span<const int> group, Bytes reduced,
                               const CollectiveParameters& parameters, const CollectiveCurves* curves = nullptr);

/// What a group collective puts on each link (for the link table): what each GPU sends, shared between the node's ring
/// and the rail's ring as the algorithm does. Exact for every algorithm; automatic stands for hierarchical where the
/// group can do it, else for a ring.
void add_link_bytes(const Topology& topology, std::span<const int> group, Bytes sent_per_gpu,
                    std::span<double> link_bytes, AllReduceAlgorithm algorithm = AllReduceAlgorithm::automatic);

}  // namespace moesim
