#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "models/traffic/group_fit.hpp"
#include "models/traffic/link_map.hpp"
#include "models/traffic/link_scatter.hpp"
#include "models/traffic/traffic.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// What builds one direction: which route a byte between a source and a rank takes.
class MapBuilder {
public:
  /// expert_gpus : behind the sources, 0: the sources themselves
  MapBuilder(const Topology& topology, std::span<const double> share, int expert_gpus, bool to_sources)
      : topology_{topology},
        share_{share},
        ranks_{static_cast<int>(share.size())},
        expert_gpus_{expert_gpus > 0 ? expert_gpus : ranks_},
        first_expert_gpu_{expert_gpus > 0 ? ranks_ : 0},
        to_sources_{to_sources} {}

  /// per_expert, per_rank: every placement rank's bytes come from all sources, to the GPU that takes theirs.
  FullLinkMap all_pairs(int expert_tp) const {
    const int groups = expert_gpus_ / expert_tp;
    FullLinkMap map{topology_.links().size(), groups};
    for (int source = 0; source < ranks_; ++source) {
      for (int group = 0; group < groups; ++group)
        map.add(route(source, first_expert_gpu_ + group * expert_tp + source % expert_tp), group, share(source));
      map.end_source(share(source));
    }
    return map;
  }

  /// per_node: from the sources of the same node, and from the relays with what came in over their rail.
  FullLinkMap inside_nodes() const {
    FullLinkMap map{topology_.links().size(), expert_gpus_};
    for (int relay = 0; relay < first_expert_gpu_ + expert_gpus_; ++relay) {
      const double carried = (relay < ranks_ ? share(relay) : 0) + remote_share(relay);
      for (int rank = 0; rank < expert_gpus_; ++rank)
        if (const int gpu = first_expert_gpu_ + rank; topology_.node_of(gpu) == topology_.node_of(relay))
          map.add(route(relay, gpu), rank, carried);
    }
    return map;
  }

  /// per_node: a node's bytes come from each remote source to its relay on the source's rail.
  FullLinkMap between_nodes() const {
    FullLinkMap map{topology_.links().size(), expert_nodes()};
    for (int source = 0; source < ranks_; ++source) {
      for (int column = 0; column < expert_nodes(); ++column) {
        const int node = topology_.node_of(first_expert_gpu_) + column;
        if (node == topology_.node_of(source)) continue;
        const int relay = node * topology_.gpus_per_node() + topology_.rail_of(source);
        map.add(route(source, relay), column, share(source));
      }
      map.end_source(share(source));
    }
    return map;
  }

  /// Nodes with experts.
  int expert_nodes() const {
    return topology_.node_of(first_expert_gpu_ + expert_gpus_ - 1) - topology_.node_of(first_expert_gpu_) + 1;
  }

private:
  double share(int rank) const { return share_[static_cast<std::size_t>(rank)]; }

  /// Share of the sources on the relay's rail in other nodes.
  double remote_share(int relay) const {
    double sum = 0;
    for (int source = topology_.rail_of(relay); source < ranks_; source += topology_.gpus_per_node())
      if (topology_.node_of(source) != topology_.node_of(relay)) sum += share(source);
    return sum;
  }

  std::span<const LinkId> route(int source, int rank) const {
    return to_sources_ ? topology_.route(rank, source) : topology_.route(source, rank);
  }

  const Topology& topology_;
  std::span<const double> share_;
  int ranks_, expert_gpus_, first_expert_gpu_;
  bool to_sources_;
};

void check_shares(std::span<const double> share) {
  const double total = std::accumulate(share.begin(), share.end(), 0.0);
  const bool negative = std::any_of(share.begin(), share.end(), [](double s) { return !(s >= 0); });
  if (share.empty() || negative || std::abs(total - 1) > 1e-9)
    throw std::invalid_argument{
        fmt::format("source shares of {} ranks sum to {}, expected 1 and none negative", share.size(), total)};
}

}  // namespace

struct ExpectedLinkBytes::State {
  struct Direction {
    std::vector<CompressedLinkMap> maps;  ///< of the ranks; under per_node also of the nodes
    std::optional<LinkScatter> scatter;   ///< of copies to ranks; under per_node of those to nodes
  };

  std::size_t ranks, nodes, links;  ///< nodes: 0 unless per_node
  Direction dispatch, combine;
  // Scratch of the running call: an object is used by one thread (design: processes, not threads).
  mutable std::vector<double> sums;

  void apply(const Direction& direction, std::span<const double> rank_bytes, std::span<const double> node_bytes,
             std::span<double> out) const {
    if (rank_bytes.size() != ranks || node_bytes.size() != nodes || out.size() != links)
      throw std::invalid_argument{fmt::format("bytes of {} ranks and {} nodes on {} links, expected {}, {} and {}",
                                              rank_bytes.size(), node_bytes.size(), out.size(), ranks, nodes, links)};
    direction.maps[0].apply(rank_bytes, out, false, sums);
    if (nodes > 0) direction.maps[1].apply(node_bytes, out, true, sums);
  }

  void scatter(const Direction& direction, const CopyLaw& law, const Random& key, std::span<double> out) const {
    if (out.size() != links)
      throw std::invalid_argument{fmt::format("bytes of {} links, expected {}", out.size(), links)};
    direction.scatter->add(law, key, out);
  }
};

ExpectedLinkBytes::ExpectedLinkBytes(const Topology& topology, std::span<const double> source_share, CopyRule rule,
                                     int expert_tp, int expert_gpus)
    : state_{std::make_unique<State>()} {
  check_shares(source_share);
  const int ranks = static_cast<int>(source_share.size());
  const int holders = expert_gpus > 0 ? expert_gpus : ranks;
  if (expert_tp < 1 || holders % expert_tp != 0)
    throw std::invalid_argument{fmt::format("{} GPUs in groups of {}", holders, expert_tp)};
  const bool per_node = rule == CopyRule::per_node;
  check_group_fits(topology, ranks + std::max(0, expert_gpus), rule, expert_tp);
  state_->ranks = static_cast<std::size_t>(holders / expert_tp);
  state_->links = topology.links().size();
  for (const bool to_sources : {false, true}) {
    const MapBuilder builder{topology, source_share, expert_gpus, to_sources};
    state_->nodes = per_node ? static_cast<std::size_t>(builder.expert_nodes()) : 0;
    auto& direction = to_sources ? state_->combine : state_->dispatch;
    if (per_node) direction.maps.emplace_back(builder.inside_nodes(), topology.gpus_per_node());
    const FullLinkMap copies = per_node ? builder.between_nodes() : builder.all_pairs(expert_tp);
    direction.maps.emplace_back(copies, per_node ? 1 : std::max(1, topology.gpus_per_node() / expert_tp));
    direction.scatter.emplace(topology, copies);
  }
}

ExpectedLinkBytes::~ExpectedLinkBytes() = default;
ExpectedLinkBytes::ExpectedLinkBytes(ExpectedLinkBytes&&) noexcept = default;

void ExpectedLinkBytes::dispatch(std::span<const double> into_rank, std::span<const double> into_node,
                                 std::span<double> out) const {
  state_->apply(state_->dispatch, into_rank, into_node, out);
}

void ExpectedLinkBytes::combine(std::span<const double> from_rank, std::span<const double> from_node,
                                std::span<double> out) const {
  state_->apply(state_->combine, from_rank, from_node, out);
}

void ExpectedLinkBytes::scatter_dispatch(const CopyLaw& law, const Random& key, std::span<double> out) const {
  state_->scatter(state_->dispatch, law, key, out);
}

void ExpectedLinkBytes::scatter_combine(const CopyLaw& law, const Random& key, std::span<double> out) const {
  state_->scatter(state_->combine, law, key, out);
}

std::size_t ExpectedLinkBytes::terms() const {
  std::size_t count = 0;
  for (const CompressedLinkMap& map : state_->dispatch.maps) count += map.terms();
  return count;
}

}  // namespace moesim
