#include "models/traffic/link_scatter.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/fast_stream.hpp"
#include "models/routing/quantile_tables.hpp"

namespace moesim {
namespace {

/// A link that needs more than this many standard deviations to become the busiest of its tier keeps its expectation:
/// one in 2,000 would.
constexpr double kReach = 3.3;

/// Rounding of f and g.
constexpr double kNoVariance = 1e-9;

}  // namespace

double fixed_share(int top_k, int places) {
  if (top_k < 1 || places < 1) throw std::invalid_argument{fmt::format("{} copies in {} places", top_k, places)};
  if (places < 2) return 1;
  const double place = 1.0 / places;
  const double missed = std::pow(1 - place, top_k), both_missed = std::pow(1 - 2 * place, top_k);
  return (places - 1) * (missed * missed - both_missed) / (missed * (1 - missed));
}

LinkScatter::LinkScatter(const Topology& topology, const FullLinkMap& map) {
  for (std::size_t id = 0; id < map.links(); ++id) {
    const Link& link = topology.links()[id];
    if (link.tier == Tier::nvlink || link.tier == Tier::pcie) continue;
    double sum = 0, squares = 0;
    for (const double share : map.row(id)) {
      sum += share;
      squares += share * share;
    }
    if (sum == 0) continue;
    const double mean = sum / map.columns();
    const double free = 1 - squares / sum;
    const double fixed = map.source_squares(id) / (map.columns() * sum) - mean;
    if (free < kNoVariance) continue;
    side_of(topology, link).links.push_back({static_cast<LinkId>(id), 1 / link.capacity.value(), free, fixed});
  }
}

LinkScatter::Side& LinkScatter::side_of(const Topology& topology, const Link& link) {
  const auto kind = [&](int vertex) { return topology.vertices()[static_cast<std::size_t>(vertex)].kind; };
  const VertexKind from = kind(link.from), to = kind(link.to);
  const auto known = std::find_if(sides_.begin(), sides_.end(), [&](const Side& side) {
    return side.tier == link.tier && side.from == from && side.to == to;
  });
  return known != sides_.end() ? *known : sides_.emplace_back(Side{link.tier, from, to, {}});
}

void LinkScatter::add(const CopyLaw& law, const Random& key, std::span<double> bytes) const {
  const auto variance = [&](const Strayer& of, double expected) {
    return expected * law.payload.value() * law.spread * std::max(0.0, of.free - law.fixed * of.fixed);
  };
  std::array<double, kTiers.size()> busiest{};
  for (const Side& side : sides_)
    for (const Strayer& of : side.links) {
      double& most = busiest[static_cast<std::size_t>(side.tier)];
      most = std::max(most, bytes[static_cast<std::size_t>(of.link)] * of.seconds_per_byte);
    }

  const NormalTable& normal = NormalTable::get();
  FastStream random{key};
  for (const Side& side : sides_) {
    double before = 0, after = 0;
    for (const Strayer& of : side.links) {
      double& drawn = bytes[static_cast<std::size_t>(of.link)];
      before += drawn;
      const double sigma = std::sqrt(variance(of, drawn));
      if ((drawn + kReach * sigma) * of.seconds_per_byte >= busiest[static_cast<std::size_t>(side.tier)])
        drawn = std::max(0.0, drawn + sigma * normal.at(random.bits()));
      after += drawn;
    }
    if (after == before || after == 0) continue;
    for (const Strayer& of : side.links) bytes[static_cast<std::size_t>(of.link)] *= before / after;
  }
}

}  // namespace moesim
