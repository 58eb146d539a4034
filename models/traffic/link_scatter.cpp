#include "models/traffic/link_scatter.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "models/routing/fast_stream.hpp"
#include "models/routing/quantile_tables.hpp"

namespace moesim {
namespace {

/// A link that needs more than this many standard deviations to become the busiest of its tier than one is expected to
/// be keeps its expectation: the busiest strays upwards too, so that hardly any would make it.
constexpr double kReach = 2;

constexpr std::size_t kChunk = 16;  ///< links: those of a chunk out of reach are passed over at once

/// Not zero: a side whose every draw fell below must come back to its sum.
constexpr double kLeast = 1e-6;

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

std::size_t LinkScatter::Side::chunks() const {
  return (links.size() + kChunk - 1) / kChunk;
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
    Side& side = side_of(topology, link);
    const double seconds = 1 / link.capacity.value();
    side.links.push_back(static_cast<LinkId>(id));
    side.signature.push_back(map.signature(id));
    side.seconds_per_byte.push_back(seconds);
    side.free.push_back(free);
    side.fixed.push_back(fixed);
    side.slowest = std::max(side.slowest, seconds);
    side.most_free = std::max(side.most_free, free);
    side.most_at_fixed = std::max(side.most_at_fixed, free - fixed);
  }
  find_same_bytes();
}

/// Of two nodes, say, what one NIC sends is what one NIC receives.
void LinkScatter::find_same_bytes() {
  for (std::size_t later = 1; later < sides_.size(); ++later)
    for (std::size_t earlier = 0; earlier < later && sides_[later].same_as.empty(); ++earlier) {
      if (sides_[earlier].links.size() != sides_[later].links.size()) continue;
      std::unordered_map<std::uint64_t, LinkId> link_of;
      for (std::size_t i = 0; i < sides_[earlier].links.size(); ++i)
        link_of.emplace(sides_[earlier].signature[i], sides_[earlier].links[i]);
      std::vector<LinkId> same_as;
      for (const std::uint64_t signature : sides_[later].signature)
        if (const auto found = link_of.find(signature); found != link_of.end()) same_as.push_back(found->second);
      if (same_as.size() == sides_[later].links.size()) sides_[later].same_as = std::move(same_as);
    }
}

LinkScatter::Side& LinkScatter::side_of(const Topology& topology, const Link& link) {
  const auto kind = [&](int vertex) { return topology.vertices()[static_cast<std::size_t>(vertex)].kind; };
  const VertexKind from = kind(link.from), to = kind(link.to);
  const auto known = std::find_if(sides_.begin(), sides_.end(), [&](const Side& side) {
    return side.tier == link.tier && side.from == from && side.to == to;
  });
  if (known != sides_.end()) return *known;
  Side& side = sides_.emplace_back();
  side.tier = link.tier;
  side.from = from;
  side.to = to;
  return side;
}

Seconds LinkScatter::Side::busiest(std::size_t chunk, std::span<const double> bytes) const {
  const std::size_t end = std::min(links.size(), (chunk + 1) * kChunk);
  double most = 0;
  for (std::size_t i = chunk * kChunk; i < end; ++i)
    most = std::max(most, bytes[static_cast<std::size_t>(links[i])] * seconds_per_byte[i]);
  return Seconds{most};
}

void LinkScatter::add(const CopyLaw& law, const Random& key, std::span<double> bytes) const {
  busiest_.clear();
  std::array<Seconds, kTiers.size()> busiest{};
  for (const Side& side : sides_)
    for (std::size_t chunk = 0; chunk < side.chunks(); ++chunk) {
      busiest_.push_back(side.busiest(chunk, bytes));
      Seconds& of_tier = busiest[static_cast<std::size_t>(side.tier)];
      of_tier = std::max(of_tier, busiest_.back());
    }
  FastStream random{key};
  std::span<const Seconds> of_chunk{busiest_};
  for (const Side& side : sides_) {
    draw(side, law, busiest[static_cast<std::size_t>(side.tier)], of_chunk.first(side.chunks()), random, bytes);
    of_chunk = of_chunk.subspan(side.chunks());
  }
}

void LinkScatter::draw(const Side& side, const CopyLaw& law, Seconds busiest, std::span<const Seconds> of_chunk,
                       FastStream& random, std::span<double> bytes) const {
  if (!side.same_as.empty()) {
    for (std::size_t i = 0; i < side.links.size(); ++i)
      bytes[static_cast<std::size_t>(side.links[i])] = bytes[static_cast<std::size_t>(side.same_as[i])];
    return;
  }
  const NormalTable& normal = NormalTable::get();
  const double per_copy = law.payload.value() * law.spread;
  const double most = (1 - law.fixed) * side.most_free + law.fixed * side.most_at_fixed;
  const double in_reach =
      busiest.value() - kReach * std::sqrt(busiest.value() * side.slowest * per_copy * std::max(0.0, most));
  double strayed = 0;
  for (std::size_t chunk = 0; chunk < of_chunk.size(); ++chunk) {
    if (of_chunk[chunk].value() < in_reach) continue;
    const std::size_t end = std::min(side.links.size(), (chunk + 1) * kChunk);
    for (std::size_t i = chunk * kChunk; i < end; ++i) {
      double& drawn = bytes[static_cast<std::size_t>(side.links[i])];
      const double expected = drawn;
      if (expected * side.seconds_per_byte[i] < in_reach) continue;
      const double sigma = std::sqrt(expected * per_copy * std::max(0.0, side.free[i] - law.fixed * side.fixed[i]));
      drawn = std::max(kLeast * expected, expected + sigma * normal.at(random.bits()));
      strayed += drawn - expected;
    }
  }
  if (strayed == 0) return;
  double after = 0;
  for (LinkId link : side.links) after += bytes[static_cast<std::size_t>(link)];
  const double scale = (after - strayed) / after;
  for (LinkId link : side.links) bytes[static_cast<std::size_t>(link)] *= scale;
}

}  // namespace moesim
