#pragma once
// How long a collective takes: the fluid bound F0, exact max-min sharing, closed forms with latency.

#include <span>
#include <string>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {

struct CollectiveTime {
  Seconds time;          ///< latency + transfer
  Seconds latency;
  LinkId busiest = -1;   ///< the link that decides, -1: none
};

/// F0: max over links of bytes / (capacity * efficiency of its tier), plus latency (inter if any NIC link carries bytes).
/// A lower bound of max-min fair sharing, equal to it for a synchronous start in all but constructed cases.
CollectiveTime fluid_time(std::span<const double> link_bytes, const Topology& topology, const CollectiveParameters& parameters);

/// The same for repeated use: per-link inverse bandwidths folded once.
class FluidTimer {
public:
  FluidTimer(const Topology& topology, const CollectiveParameters& parameters);
  CollectiveTime operator()(std::span<const double> link_bytes) const;

private:
  std::vector<double> seconds_per_byte_;
  std::vector<char> is_nic_;
  Seconds intra_, inter_;
};

/// Exact max-min fair sharing by progressive filling: finish time of every flow, all starting at 0, no latency.
/// The reference of the tests. Source: Bertsekas & Gallager, Data Networks, 2nd ed., section 6.5.2.
std::vector<Seconds> max_min_finish(std::span<const Flow> flows, std::span<const BytesPerSecond> capacity);

/// Rates of max-min fair sharing for flows over links, all active.
std::vector<BytesPerSecond> max_min_rates(const std::vector<std::vector<LinkId>>& routes, std::span<const BytesPerSecond> capacity);

enum class AllReduceAlgorithm { automatic, ring, one_shot, nvls, hierarchical };
std::string_view name_of(AllReduceAlgorithm algorithm);

struct GroupCollective {
  Seconds time;
  Bytes sent_per_gpu;    ///< bytes one GPU sends
  AllReduceAlgorithm algorithm = AllReduceAlgorithm::ring;
};

/// Ring closed forms over p ranks at bandwidth B: all-reduce 2(p-1)/p M/B + 2(p-1) a; all-gather and reduce-scatter
/// (p-1)/p M/B + (p-1) a with M the gathered size; uniform all-to-all (p-1)/p M/B.
Seconds ring_all_reduce(int ranks, Bytes message, BytesPerSecond bandwidth, Seconds hop_latency);
Seconds ring_all_gather(int ranks, Bytes gathered, BytesPerSecond bandwidth, Seconds hop_latency);
Seconds ring_reduce_scatter(int ranks, Bytes reduced, BytesPerSecond bandwidth, Seconds hop_latency);
Seconds uniform_all_to_all(int ranks, Bytes per_rank_buffer, BytesPerSecond bandwidth);

/// Collectives of a group of ranks on the topology: measured latency floor and achieved bandwidth of the GPU's catalogue
/// entry; inside a node over NVLink, across nodes hierarchical (reduce-scatter inside, ring over each rail, all-gather inside).
GroupCollective all_reduce(const Topology& topology, std::span<const int> group, Bytes message, AllReduceAlgorithm algorithm,
                           const CollectiveParameters& parameters);
GroupCollective all_gather(const Topology& topology, std::span<const int> group, Bytes gathered, const CollectiveParameters& parameters);
GroupCollective reduce_scatter(const Topology& topology, std::span<const int> group, Bytes reduced, const CollectiveParameters& parameters);

/// What a group collective puts on each link (for the link table).
void add_link_bytes(const Topology& topology, std::span<const int> group, Bytes sent_per_gpu, std::span<double> link_bytes);

}  // namespace moesim
