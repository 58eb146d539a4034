#pragma once
// Collectives as bytes: who sends how much to whom, and what that puts on each link.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/llm/architecture.hpp"
#include "models/placement/placement.hpp"
#include "models/units/random.hpp"

namespace moesim {

/// How often a token travels when several of its experts live together.
///   per_expert  once per expert copy (DeepEP low latency)
///   per_rank    once per distinct rank
///   per_node    once per distinct remote node over the sender's rail, then NVLink to each distinct rank there (DeepEP
///   normal)
enum class CopyRule { per_expert, per_rank, per_node };
std::string_view name_of(CopyRule rule);

/// Bytes of one token copy on the wire, scales included: bf16 2 d; fp8 and fp8_block d + 4 ceil(d/128), because on the
/// wire fp8 always carries one fp32 scale per 128 values; int8 d + 4, one fp32 scale per token.
/// Source: DeepEP's use_fp8 dispatch (7,168 + 224 B); vLLM's per-token int8 dispatch.
/// Throws NotModelledYet for int4_group128, std::invalid_argument for hidden < 1.
Bytes payload(int hidden, NumberFormat format);

/// bytes[src * ranks + dst].
struct TrafficMatrix {
  int ranks = 0;
  std::vector<double> bytes;
  explicit TrafficMatrix(int count) : ranks{count}, bytes(static_cast<std::size_t>(count) * count, 0.0) {}
  double& at(int src, int dst) { return bytes[static_cast<std::size_t>(src) * ranks + dst]; }
  double at(int src, int dst) const { return bytes[static_cast<std::size_t>(src) * ranks + dst]; }
};

/// One flow of the flow-level replay: bytes over a chain of links.
struct Flow {
  int src, dst;
  Bytes bytes;
  std::vector<LinkId> links;
};

/// Token-exact traffic of one dispatch: every token's copies under the rule. Rank r is GPU r of the topology.
struct DispatchTraffic {
  TrafficMatrix direct;   ///< bytes that go src -> dst along Topology::route, own-rank copies on the diagonal
  TrafficMatrix to_node;  ///< per_node only: src -> its same-rail relay in another node (NIC), at [src][relay]
  TrafficMatrix
      forwarded;  ///< per_node only: relay -> dst inside a node (NVLink); copies for the relay itself on the diagonal
  std::vector<std::int32_t> rows_per_slot;  ///< tokens that reach each slot (sums to k * tokens)
  double copies = 0;  ///< D * tokens, local copies included: experts, distinct ranks or (per_node) distinct nodes
};

/// Counts the copies of every token.
///
/// first_expert_gpu : of placement rank 0, when experts have GPUs of their own; those before it are sources only.
/// expert_tp > 1: a placement rank is a group of that many consecutive GPUs, each with a slice of every slot; a token
/// of GPU s goes to GPU s % expert_tp of the group, which gathers afterwards (not counted here). chosen [tokens *
/// top_k] : experts, -1 where a token has fewer; source_of [tokens] : ranks Replicas: uniform_random by a hash of
/// (seed, token, layer, expert); static_nearest on the source's rank, else in its node, else anywhere, by the same hash
/// among equals. Throws std::invalid_argument when the sizes do not match or an index is out of range; InputError when
/// a chosen expert has no slot, when the placement has more ranks than the topology has GPUs, or when per_node meets a
/// node that is only partly in the group (its relays would be missing; experts apart have theirs among the expert
/// GPUs); NotModelledYet for per_node with expert_tp > 1.
DispatchTraffic count_dispatch(std::span<const int> chosen, std::span<const int> source_of, int top_k,
                               const Placement& placement, int layer, CopyRule rule, ReplicaChoice replicas,
                               Bytes payload, const Topology& topology, std::uint64_t seed, int expert_tp = 1,
                               int first_expert_gpu = 0);

/// Combine is dispatch backwards, with its own payload: every matrix transposed and scaled by combine / dispatch
/// payload.
DispatchTraffic reversed(const DispatchTraffic& dispatch, double payload_ratio);

/// Flows of a dispatch, one per pair, ordered by (src, dst); zero-byte and same-rank pairs left out.
std::vector<Flow> flows_of(const DispatchTraffic& traffic, const Topology& topology);

/// Bytes on each link of the topology.
std::vector<double> link_bytes(std::span<const Flow> flows, std::size_t links);

/// The same straight from matrices, for repeated use: which pairs cross each link is laid out once per topology, in
/// whole lines where a link carries all that a rank sends to a node or a rail, or all that a node or a rail sends to a
/// rank. An object serves one thread.
class RouteLoads {
public:
  /// Pairs among the first `ranks` GPUs. Throws std::invalid_argument when there are not as many.
  RouteLoads(const Topology& topology, int ranks);

  /// Adds the matrix to out [links]; the diagonal touches no link.
  /// Throws std::invalid_argument when a size does not match.
  void add(const TrafficMatrix& traffic, std::span<double> out) const;
  /// Bytes on each link of a dispatch: its three matrices.
  std::vector<double> operator()(const DispatchTraffic& traffic) const;

private:
  /// Sums over lines of the matrix: (source, node or rail of the destination), (node or rail of the source,
  /// destination).
  enum Line { to_node, to_rail, from_node, from_rail };
  static constexpr int kLines = from_rail + 1;

  std::size_t line_of(int line, std::uint32_t pair) const;
  int pairs_in(int line, std::uint32_t pair) const;
  void lay_out(std::span<const std::uint32_t> pairs, std::vector<int>& seen);
  void sum_lines(const double* bytes) const;
  void sum_to_nodes(int src, const double* row) const;
  void sum_to_rails(int src, const double* row) const;
  void sum_from(double* sums, int src, const double* row) const;

  int ranks_, width_, nodes_;
  std::size_t first_of_[kLines + 1];
  bool needed_[kLines] = {};
  std::vector<std::size_t> first_line_{0}, first_pair_{0};  ///< [links + 1] into line_ and pair_
  std::vector<std::uint32_t> line_;                         ///< whole lines of each link
  std::vector<std::uint32_t> pair_;                         ///< src * ranks + dst of what is no whole line
  mutable std::vector<double> sums_;                        ///< of the running call
};

/// What decides how far the copies on a link stray from their expectation, when what every rank (per_node: every node)
/// receives is given.
struct CopyLaw {
  Bytes payload;      ///< of a copy
  double spread = 1;  ///< variance of whether a token sends to an expert (per_rank: rank, per_node: node), per copy:
                      ///< one less the mean chance that it does, weighted by copies
  double fixed = 1;   ///< how far all tokens have as many copies: 1 per_expert, else fixed_share()
};

/// How far tokens of `top_k` experts reach the same number of `places` (ranks, nodes): 1 - the variance of the distinct
/// places that k throws hit over what it were if places were hit independently. Throws std::invalid_argument for
/// numbers < 1.
double fixed_share(int top_k, int places);

/// Expected link bytes as a linear function of what each rank receives, for sources that send in proportion to
/// their tokens: compressed once, applied per layer in O(ranks + links) on regular fabrics.
///
/// Exact: built from Topology::route of every pair, each link's row then written as coefficients of shared sums (a
/// rank, a node, a rail, all but a node ...); what fits no shared sum, such as ECMP uplinks, stays a list of nodes and
/// ranks. Under static_nearest replicas sources do not send in proportion, and this map does not apply.
class ExpectedLinkBytes {
public:
  /// source_share [GPUs in use] >= 0 and sums to 1: of the topology's first GPUs. per_expert and per_rank: the
  /// input is bytes into each placement rank (a group of expert_tp GPUs, as count_dispatch). per_node: bytes into ranks
  /// and into nodes. Throws std::invalid_argument for shares that do not sum to 1 or GPUs that are no whole groups;
  /// InputError and NotModelledYet as count_dispatch.
  ///
  /// expert_gpus : of experts apart, which follow the sources; 0: the sources hold the experts
  ExpectedLinkBytes(const Topology& topology, std::span<const double> source_share, CopyRule rule, int expert_tp = 1,
                    int expert_gpus = 0);
  ~ExpectedLinkBytes();
  ExpectedLinkBytes(ExpectedLinkBytes&&) noexcept;

  /// into_rank [ranks]: bytes that each rank receives from all sources, its own included; into_node [nodes with
  /// experts]: per_node only, bytes that each node receives once per distinct token, its own tokens included (else
  /// empty). out [links],
  /// overwritten. Throws std::invalid_argument when a size does not match.
  void dispatch(std::span<const double> into_rank, std::span<const double> into_node, std::span<double> out) const;
  /// The same backwards: bytes flow from the ranks to the sources.
  void combine(std::span<const double> from_rank, std::span<const double> from_node, std::span<double> out) const;

  /// Draws link bytes around their expectation, in `out` from dispatch() or combine(): which of a rank's copies comes
  /// from which source, and so crosses which NIC, is chance, and the busiest NIC is busier than any is expected to be.
  /// Only links of NICs and the fabric that can be the busiest of their tier stray; what a side of the fabric (NICs
  /// out, NICs in, uplinks ...) carries in all stays. Independent normal numbers (see link_scatter.hpp), the dispatch's
  /// and the combine's too where the key differs. Not for replicas nearest to the source.
  void scatter_dispatch(const CopyLaw& law, const Random& key, std::span<double> out) const;
  void scatter_combine(const CopyLaw& law, const Random& key, std::span<double> out) const;

  std::size_t terms() const;  ///< stored coefficients of one dispatch: the cost of applying it

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moesim
