#pragma once
// Collectives as bytes: who sends how much to whom, and what that puts on each link.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/llm/architecture.hpp"
#include "models/placement/placement.hpp"

namespace moesim {

/// How often a token travels when several of its experts live together.
///   per_expert  once per expert copy (DeepEP low latency)
///   per_rank    once per distinct rank
///   per_node    once per distinct remote node over the sender's rail, then NVLink to each distinct rank there (DeepEP normal)
enum class CopyRule { per_expert, per_rank, per_node };
std::string_view name_of(CopyRule rule);

/// Bytes of one token copy on the wire, scales included: fp8 block d + 4 d/128, bf16 2 d.
Bytes payload(int hidden, NumberFormat format);

/// bytes[src * ranks + dst].
struct TrafficMatrix {
  int ranks = 0;
  std::vector<double> bytes;
  explicit TrafficMatrix(int ranks_) : ranks{ranks_}, bytes(static_cast<std::size_t>(ranks_) * ranks_, 0.0) {}
  double& at(int src, int dst) { return bytes[static_cast<std::size_t>(src) * ranks + dst]; }
  double at(int src, int dst) const { return bytes[static_cast<std::size_t>(src) * ranks + dst]; }
};

/// One flow of the flow-level replay: bytes over a chain of links.
struct Flow {
  int src, dst;
  Bytes bytes;
  std::vector<LinkId> links;
};

/// Token-exact traffic of one dispatch: every token's copies under the rule.
struct DispatchTraffic {
  TrafficMatrix direct;     ///< bytes that go src -> dst along Topology::route, own-rank copies on the diagonal
  TrafficMatrix to_node;    ///< per_node only: src -> its same-rail relay in another node (NIC), at [src][relay]
  TrafficMatrix forwarded;  ///< per_node only: relay -> dst inside a node (NVLink)
  std::vector<std::int32_t> rows_per_slot;  ///< tokens that reach each slot (sums to k * tokens)
  double copies = 0;        ///< wire copies of all tokens, local ones included (mean D = copies / tokens)
};

/// chosen [tokens * top_k] experts; source_of [tokens] ranks; placement of this layer; replica choice by hash of the token.
DispatchTraffic count_dispatch(std::span<const int> chosen, std::span<const int> source_of, int top_k, const Placement& placement,
                               int layer, CopyRule rule, ReplicaChoice replicas, Bytes payload, const Topology& topology,
                               std::uint64_t seed);

/// Combine is dispatch backwards, with its own payload.
DispatchTraffic reversed(const DispatchTraffic& dispatch, double payload_ratio);

/// Flows of a dispatch (zero-byte and same-rank pairs left out).
std::vector<Flow> flows_of(const DispatchTraffic& traffic, const Topology& topology);

/// Bytes on each link of the topology.
std::vector<double> link_bytes(std::span<const Flow> flows, std::size_t links);

/// Expected link bytes as a linear function of what each rank receives, for sources that send in proportion to
/// their tokens: compressed once, applied per layer in O(ranks + links).
class ExpectedLinkBytes {
public:
  /// source_share [ranks] sums to 1. rule per_expert and per_rank: input is bytes into each rank. per_node: see apply_nodes.
  ExpectedLinkBytes(const Topology& topology, std::span<const double> source_share, CopyRule rule);
  ~ExpectedLinkBytes();
  ExpectedLinkBytes(ExpectedLinkBytes&&) noexcept;

  /// into_rank [ranks]: bytes that each rank receives from all sources, its own included; into_node [nodes]: per_node only,
  /// bytes that each node receives once per distinct token (else empty). out [links].
  void dispatch(std::span<const double> into_rank, std::span<const double> into_node, std::span<double> out) const;
  /// The same backwards: bytes flow from the ranks to the sources.
  void combine(std::span<const double> from_rank, std::span<const double> from_node, std::span<double> out) const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moesim
