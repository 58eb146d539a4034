#include "sim/metrics/hotspots.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace moesim {

/// Reads the recorder's sums; lives for one ranking.
class HotspotRanking {
public:
  explicit HotspotRanking(const Recorder& recorder)
      : recorder_{recorder}, shape_{recorder.shape_}, stage_{static_cast<int>(recorder.slowest_stage())} {}

  std::vector<Hotspot> rank() const {
    std::vector<Hotspot> found;
    if (recorder_.time_ <= 0) return found;
    add_stage(found);
    for (int r = 0; r < shape_.ranks_of(stage_); ++r) add_gpu(r, found);
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
  // Ranks are those of the slowest stage, for which the others wait: what holds them up costs nothing.
  std::size_t gpu_of(int rank) const { return static_cast<std::size_t>(shape_.first_of(stage_) + rank); }
  std::string gpu_name(int rank) const { return shape_.topology.vertices()[gpu_of(rank)].name; }
  bool is_here(int moe_layer) const { return shape_.stage(moe_layer) == stage_; }
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
      if (const double wait = excess(shape_.layer_of_moe[static_cast<std::size_t>(l)], rank);
          is_here(l) && wait > most) {
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

  /// What even stages would save.
  void add_stage(std::vector<Hotspot>& found) const {
    if (shape_.stages == 1) return;
    std::vector<double> work;
    for (const auto& causes : recorder_.critical_)
      work.push_back(std::accumulate(causes.begin(), causes.end(), 0.0) -
                     causes[static_cast<std::size_t>(Cause::pipeline)]);
    const double mean = std::accumulate(work.begin(), work.end(), 0.0) / shape_.stages;
    const double own = work[static_cast<std::size_t>(stage_)], share = (own - mean) / recorder_.time_;
    const char* what = shape_.has_pools() ? "pools" : "stages";
    found.push_back({Hotspot::Kind::stage, shape_.name_of_stage(stage_), std::nullopt, share,
                     fmt::format("it works {:.2f}x as long as the mean of {} {}", own / mean, shape_.stages, what),
                     fmt::format("even {} would save at most {}: {}", what, saving(share),
                                 shape_.has_pools() ? "other sizes of the pools" : "layout.stage_layers")});
  }

  void add_gpu(int rank, std::vector<Hotspot>& found) const {
    const int worst = shape_.placement.ranks > 1 ? worst_moe_layer(rank) : -1;
    if (worst >= 0) {
      double experts = 0;
      for (int l = 0; l < shape_.placement.layers; ++l)
        if (is_here(l)) experts += excess(shape_.layer_of_moe[static_cast<std::size_t>(l)], rank);
      const double share = experts / recorder_.time_;
      const int layer = shape_.layer_of_moe[static_cast<std::size_t>(worst)];
      found.push_back(
          {Hotspot::Kind::gpu, gpu_name(rank), layer, share,
           fmt::format("its experts get {:.2f}x the mean tokens in layer {} (most: experts {})",
                       load_ratio(worst, rank), layer, fmt::join(hottest_experts(worst, rank), ", ")),
           fmt::format("as busy as the mean GPU it would save at most {}{}", saving(share), shape_.advice)});
    }
    const double other = recorder_.other_excess_[gpu_of(rank)] / recorder_.time_;
    found.push_back({Hotspot::Kind::gpu, gpu_name(rank), std::nullopt, other,
                     "it arrives last from attention: its data-parallel rank has more tokens",
                     fmt::format("with the mean batch it would save at most {}", saving(other))});
  }

  /// An expert that alone has more tokens than a mean rank: no placement without a replica can balance it.
  void add_experts(std::vector<Hotspot>& found) const {
    if (shape_.placement.ranks <= 1) return;
    for (int l = 0; l < shape_.placement.layers; ++l) {
      if (!is_here(l)) continue;
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

  /// Collectives that waited for a link that was busier than the mean one of its tier.
  void add_links(std::vector<Hotspot>& found) const {
    const auto links = shape_.topology.links();
    for (std::size_t l = 0; l < links.size(); ++l) {
      const double excess = recorder_.link_excess_[static_cast<std::size_t>(stage_)][l];
      if (excess <= 0) continue;
      const double gates = recorder_.link_gate_[l], ratio = gates / (gates - excess);
      const auto tier = name_of(links[l].tier);
      BytesPerSecond fastest{};
      for (const int other : recorder_.links_of_[static_cast<std::size_t>(links[l].tier)])
        fastest = std::max(fastest, links[static_cast<std::size_t>(other)].capacity);
      const bool is_slow = links[l].capacity < 0.999 * fastest;
      const std::string slow = is_slow ? fmt::format(" (it has {:.0f} % of the fastest one's bandwidth)",
                                                     100 * (links[l].capacity / fastest))
                                       : "";
      found.push_back(
          {Hotspot::Kind::link, links[l].name, std::nullopt, excess / recorder_.time_,
           fmt::format("collectives wait for it {:.1f} % of the time, {:.2f}x as long as for a mean {} link{}",
                       100 * gates / recorder_.time_, ratio, tier, slow),
           fmt::format("as busy as the mean {} link it would save at most {}{}", tier, saving(excess / recorder_.time_),
                       is_slow ? ": repair it, or leave its GPU out" : "")});
    }
  }

  const Recorder& recorder_;
  const RunShape& shape_;
  int stage_;
};

std::vector<Hotspot> rank_hotspots(const Recorder& recorder) {
  return HotspotRanking{recorder}.rank();
}

}  // namespace moesim
