#include "sim/metrics/hotspots.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/format.h>

namespace moesim {

/// Reads the recorder's sums; lives for one ranking.
class HotspotRanking {
public:
  explicit HotspotRanking(const Recorder& recorder) : recorder_{recorder}, shape_{recorder.shape_} {}

  std::vector<Hotspot> rank() const {
    std::vector<Hotspot> found;
    if (recorder_.time_ <= 0) return found;
    for (int r = 0; r < shape_.ranks; ++r) add_gpu(r, found);
    add_experts(found);
    add_links(found);
    constexpr double kWorthNaming = 1e-3;
    std::erase_if(found, [](const Hotspot& spot) { return spot.share_of_time < kWorthNaming; });
    std::stable_sort(found.begin(), found.end(),
                     [](const Hotspot& a, const Hotspot& b) { return a.share_of_time > b.share_of_time; });
    constexpr std::size_t kMost = 10;
    if (found.size() > kMost) found.resize(kMost);
    return found;
  }

private:
  std::string gpu_name(int rank) const { return shape_.topology.vertices()[static_cast<std::size_t>(rank)].name; }
  std::size_t slots() const { return static_cast<std::size_t>(shape_.placement.slots()); }
  std::size_t slots_per_rank() const { return static_cast<std::size_t>(shape_.placement.slots_per_rank); }

  std::size_t placement_rank(int rank) const {
    return static_cast<std::size_t>(rank / shape_.gpus_per_placement_rank());
  }

  std::string saving(double share) const {
    const double step = recorder_.time_ / static_cast<double>(recorder_.steps_.size());
    return fmt::format("{:.3g} ms a step", share * step * 1e3);
  }

  double excess(int layer, int rank) const { return recorder_.expert_excess_[recorder_.cell(layer, rank)]; }

  std::int64_t rows(int moe_layer, std::size_t slot) const {
    return recorder_.slot_rows_[static_cast<std::size_t>(moe_layer) * slots() + slot];
  }

  /// The MoE layer in which this rank makes the others wait longest for its experts, -1: none.
  int worst_moe_layer(int rank) const {
    int worst = -1;
    double most = 0;
    for (int l = 0; l < shape_.placement.layers; ++l)
      if (const double wait = excess(shape_.layer_of_moe[static_cast<std::size_t>(l)], rank); wait > most) {
        most = wait;
        worst = l;
      }
    return worst;
  }

  /// Experts of a rank in a layer, most tokens first, the first two.
  std::vector<int> hottest_experts(int moe_layer, int rank) const {
    std::vector<std::size_t> order(slots_per_rank());
    std::iota(order.begin(), order.end(), placement_rank(rank) * slots_per_rank());
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return rows(moe_layer, a) > rows(moe_layer, b); });
    std::vector<int> experts;
    for (const std::size_t slot : order) {
      const int expert = shape_.placement.layer(moe_layer)[slot];
      const bool known = expert < 0 || std::find(experts.begin(), experts.end(), expert) != experts.end();
      if (!known && experts.size() < 2) experts.push_back(expert);
    }
    return experts;
  }

  double load_ratio(int moe_layer, int rank) const {
    double own = 0, all = 0;
    for (std::size_t s = 0; s < slots(); ++s) {
      all += static_cast<double>(rows(moe_layer, s));
      if (s / slots_per_rank() == placement_rank(rank)) own += static_cast<double>(rows(moe_layer, s));
    }
    return all > 0 ? own * shape_.placement.ranks / all : 0;
  }

  void add_gpu(int rank, std::vector<Hotspot>& found) const {
    const int worst = shape_.placement.ranks > 1 ? worst_moe_layer(rank) : -1;
    if (worst >= 0) {
      double experts = 0;
      for (const int layer : shape_.layer_of_moe) experts += excess(layer, rank);
      const double share = experts / recorder_.time_;
      const int layer = shape_.layer_of_moe[static_cast<std::size_t>(worst)];
      found.push_back(
          {Hotspot::Kind::gpu, gpu_name(rank), layer, share,
           fmt::format("its experts get {:.2f}x the mean tokens in layer {} (most: experts {})",
                       load_ratio(worst, rank), layer, fmt::join(hottest_experts(worst, rank), ", ")),
           fmt::format("even expert load would save at most {}: placement.policy eplb, more placement.redundant",
                       saving(share))});
    }
    const double other = recorder_.other_excess_[static_cast<std::size_t>(rank)] / recorder_.time_;
    found.push_back({Hotspot::Kind::gpu, gpu_name(rank), std::nullopt, other,
                     "it arrives last from attention: its data-parallel rank has more tokens",
                     fmt::format("even data-parallel batches would save at most {}", saving(other))});
  }

  /// An expert that alone has more tokens than a mean rank: no placement without a replica can balance it.
  void add_experts(std::vector<Hotspot>& found) const {
    if (shape_.placement.ranks <= 1) return;
    for (int l = 0; l < shape_.placement.layers; ++l) {
      double all = 0;
      std::size_t top = 0;
      for (std::size_t s = 0; s < slots(); ++s) {
        all += static_cast<double>(rows(l, s));
        if (rows(l, s) > rows(l, top)) top = s;
      }
      const double ratio = all > 0 ? static_cast<double>(rows(l, top)) * shape_.placement.ranks / all : 0;
      if (ratio <= 1) continue;
      const int rank = static_cast<int>(top / slots_per_rank()) * shape_.gpus_per_placement_rank();
      const int layer = shape_.layer_of_moe[static_cast<std::size_t>(l)];
      const int expert = shape_.placement.layer(l)[top];
      const double share = excess(layer, rank) / recorder_.time_;
      found.push_back(
          {Hotspot::Kind::expert, fmt::format("layer {} expert {}", layer, expert), layer, share,
           fmt::format("alone it has {:.2f}x the tokens of a mean GPU (on {})", ratio, gpu_name(rank)),
           fmt::format("a replica of expert {} in layer {} would save at most {}", expert, layer, saving(share))});
    }
  }

  /// Time beyond a tier whose links in use all carried their mean.
  void add_links(std::vector<Hotspot>& found) const {
    const auto links = shape_.topology.links();
    std::array<double, kTiers.size()> sum{};
    std::array<int, kTiers.size()> used{};
    for (std::size_t l = 0; l < links.size(); ++l) {
      if (recorder_.link_busy(l) <= 0) continue;
      sum[static_cast<std::size_t>(links[l].tier)] += recorder_.link_busy(l);
      ++used[static_cast<std::size_t>(links[l].tier)];
    }
    for (std::size_t l = 0; l < links.size(); ++l) {
      if (recorder_.link_gate_[l] <= 0 || recorder_.link_busy(l) <= 0) continue;
      const auto tier = static_cast<std::size_t>(links[l].tier);
      const double even = sum[tier] / used[tier] / recorder_.link_busy(l);
      const double share = recorder_.link_gate_[l] * std::max(0.0, 1 - even) / recorder_.time_;
      found.push_back({Hotspot::Kind::link, links[l].name, std::nullopt, share,
                       fmt::format("it decides {:.1f} % of the time and carries {:.2f}x the mean {} link",
                                   100 * recorder_.link_gate_[l] / recorder_.time_, 1 / even, name_of(links[l].tier)),
                       fmt::format("even {} load would save at most {}: placement.policy eplb, communication.rails",
                                   name_of(links[l].tier), saving(share))});
    }
  }

  const Recorder& recorder_;
  const RunShape& shape_;
};

std::vector<Hotspot> rank_hotspots(const Recorder& recorder) {
  return HotspotRanking{recorder}.rank();
}

}  // namespace moesim
