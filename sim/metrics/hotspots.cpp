#include "sim/metrics/hotspots.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moesim {

/// Reads the recorder's sums; lives for one ranking.
class HotspotRanking {
public:
  HotspotRanking(const Recorder& recorder, std::span<const Seconds> stage_work)
      : recorder_{recorder},
        shape_{recorder.shape_},
        stage_work_{stage_work},
        stage_{static_cast<int>(recorder.slowest_stage())} {}

  std::vector<Hotspot> rank() {
    if (recorder_.time_ <= 0) return {};
    sum_rows();
    add_stage();
    add_experts();
    for (int r = 0; r < shape_.ranks_of(stage_); ++r) add_gpu(r);
    for (std::size_t l = 0; l < shape_.topology.links().size(); ++l) add_link(l);
    for (const Tier tier : kTiers) add_tier(tier);
    constexpr double kWorthNaming = 1e-3;
    std::erase_if(found_, [](const Hotspot& spot) { return spot.share_of_time < kWorthNaming; });
    std::stable_sort(found_.begin(), found_.end(),
                     [](const Hotspot& a, const Hotspot& b) { return a.share_of_time > b.share_of_time; });
    constexpr std::size_t kMost = 10;
    if (found_.size() > kMost) found_.resize(kMost);
    return std::move(found_);
  }

private:
  using Kind = Hotspot::Kind;
  using Why = Hotspot::Cause;

  // Ranks are those of the slowest stage, for which the others wait: what holds them up costs nothing.
  std::size_t gpu_of(int rank) const { return static_cast<std::size_t>(shape_.first_of(stage_) + rank); }
  std::string gpu_name(int rank) const { return shape_.topology.vertices()[gpu_of(rank)].name; }
  bool is_here(int moe_layer) const { return shape_.stage(moe_layer) == stage_; }
  bool is_spread() const { return shape_.placement.ranks > 1; }
  int model_layer(int moe_layer) const { return shape_.layer_of_moe[static_cast<std::size_t>(moe_layer)]; }
  std::size_t slots() const { return static_cast<std::size_t>(shape_.placement.slots()); }
  std::size_t slots_per_rank() const { return static_cast<std::size_t>(shape_.placement.slots_per_rank); }
  int first_rank_of(std::size_t placement_rank) const {
    return static_cast<int>(placement_rank) * shape_.gpus_per_placement_rank();
  }
  std::size_t placement_rank(int rank) const {
    return static_cast<std::size_t>(rank / shape_.gpus_per_placement_rank());
  }

  std::string saving(double share) const {
    const double step = recorder_.time_ / static_cast<double>(recorder_.steps_.size());
    return fmt::format("{:.3g} ms a step", share * step * 1e3);
  }

  double excess(int moe_layer, int rank) const {
    return recorder_.expert_excess_[recorder_.cell(model_layer(moe_layer), rank)];
  }

  double rows(int moe_layer, std::size_t slot) const {
    return static_cast<double>(recorder_.slot_rows_[static_cast<std::size_t>(moe_layer) * slots() + slot]);
  }

  /// Rows of each rank over those of the mean one, of its fullest slot too. [MoE layers][placement ranks]
  void sum_rows() {
    if (!is_spread()) return;
    const auto ranks = static_cast<std::size_t>(shape_.placement.ranks);
    for (int l = 0; l < shape_.placement.layers; ++l) {
      Loads loads{std::vector<double>(ranks), std::vector<double>(ranks), std::vector<std::size_t>(ranks)};
      double all = 0;
      for (std::size_t s = 0; s < slots(); ++s) {
        const std::size_t rank = s / slots_per_rank();
        loads.rank[rank] += rows(l, s);
        all += rows(l, s);
        if (s % slots_per_rank() == 0 || rows(l, s) > rows(l, loads.top[rank])) loads.top[rank] = s;
      }
      for (std::size_t r = 0; r < ranks && all > 0; ++r) {
        loads.rank[r] *= static_cast<double>(ranks) / all;
        loads.expert[r] = rows(l, loads.top[r]) * static_cast<double>(ranks) / all;
      }
      loads_.push_back(std::move(loads));
    }
  }

  /// How much of a rank's excess is its fullest expert's alone: the part that remains when it has a GPU for itself.
  /// None of one that chance alone could make so.
  double part_of_expert(int moe_layer, int rank) const {
    const Loads& loads = loads_[static_cast<std::size_t>(moe_layer)];
    const double own = loads.rank[placement_rank(rank)], expert = loads.expert[placement_rank(rank)];
    constexpr double kHot = 1.1;
    return own > 1 && expert > kHot ? (expert - 1) / (own - 1) : 0;
  }

  /// What even stages would save.
  void add_stage() {
    if (shape_.stages == 1) return;
    Seconds sum;
    for (const Seconds work : stage_work_) sum += work;
    const Seconds mean = sum / shape_.stages, own = stage_work_[static_cast<std::size_t>(stage_)];
    const double steps = static_cast<double>(recorder_.steps_.size());
    const double share = (own - mean).value() * steps / recorder_.time_;
    const char* what = shape_.has_pools() ? "pools" : "stages";
    found_.push_back({Kind::stage, shape_.has_pools() ? Why::uneven_pools : Why::uneven_stages,
                      shape_.name_of_stage(stage_), std::nullopt, share,
                      fmt::format("it works {:.2f}x as long as the mean of {} {}", own / mean, shape_.stages, what),
                      fmt::format("even {} would save at most {}", what, saving(share))});
  }

  /// Experts that alone have more tokens than a mean GPU, which no placement without a replica can balance. One that is
  /// hot in several layers is one hotspot.
  void add_experts() {
    struct Hot {
      double seconds = 0, most = 0, ratio = 0;
      int layers = 0, worst = 0, rank = 0;
    };
    std::map<int, Hot> hot;
    for (int l = 0; l < static_cast<int>(loads_.size()); ++l) {
      if (!is_here(l)) continue;
      for (int r = 0; r < shape_.ranks_of(stage_); ++r) {
        const double seconds = excess(l, r) * part_of_expert(l, r);
        if (seconds <= 0) continue;
        const Loads& loads = loads_[static_cast<std::size_t>(l)];
        Hot& expert = hot[shape_.placement.layer(l)[loads.top[placement_rank(r)]]];
        expert.seconds += seconds;
        ++expert.layers;
        if (seconds <= expert.most) continue;
        expert.most = seconds;
        expert.ratio = loads.expert[placement_rank(r)];
        expert.worst = l;
        expert.rank = r;
      }
    }
    for (const auto& [expert, of] : hot) {
      const double share = of.seconds / recorder_.time_;
      const int layer = model_layer(of.worst);
      constexpr double kNearlyAll = 0.8;
      const bool one = of.most > kNearlyAll * of.seconds;
      found_.push_back({Kind::expert, Why::hot_expert,
                        one ? fmt::format("layer {} expert {}", layer, expert) : fmt::format("expert {}", expert),
                        one ? std::optional{layer} : std::nullopt, share,
                        fmt::format("alone it has {:.2f}x the tokens of a mean GPU{} (on {})", of.ratio,
                                    one ? "" : fmt::format(" in layer {}, and is hot in {} layers", layer, of.layers),
                                    gpu_name(of.rank)),
                        fmt::format("shared out over GPUs it would save at most {}", saving(share))});
    }
  }

  void add_gpu(int rank) {
    if (is_spread()) add_placement(rank);
    const double speed = recorder_.speed(gpu_of(rank));
    const double slow = recorder_.slow_excess_[gpu_of(rank)] / recorder_.time_;
    if (slow > 0)
      found_.push_back({Kind::gpu, Why::slow_gpu, gpu_name(rank), std::nullopt, slow,
                        fmt::format("it computes at {:.3g} % of the others' speed", 100 * speed),
                        fmt::format("as fast as the others it would save at most {}", saving(slow))});
    const double other = recorder_.other_excess_[gpu_of(rank)] / recorder_.time_;
    found_.push_back({Kind::gpu, Why::uneven_batches, gpu_name(rank), std::nullopt, other,
                      "it arrives last from attention: its data-parallel rank has more tokens",
                      fmt::format("with the mean batch it would save at most {}", saving(other))});
  }

  /// A GPU whose experts together have more tokens than those of a mean one.
  void add_placement(int rank) {
    double seconds = 0, most = 0;
    int worst = 0;
    for (int l = 0; l < static_cast<int>(loads_.size()); ++l) {
      if (!is_here(l)) continue;
      const double own = excess(l, rank) * (1 - part_of_expert(l, rank));
      seconds += own;
      if (own <= most) continue;
      most = own;
      worst = l;
    }
    if (seconds <= 0) return;
    const double share = seconds / recorder_.time_;
    const std::vector<int> experts = hottest_experts(worst, rank);
    found_.push_back({Kind::gpu, Why::hot_experts, gpu_name(rank), model_layer(worst), share,
                      fmt::format("its experts get {:.2f}x the mean tokens in layer {} (most: expert{} {})",
                                  loads_[static_cast<std::size_t>(worst)].rank[placement_rank(rank)],
                                  model_layer(worst), experts.size() == 1 ? "" : "s", fmt::join(experts, ", ")),
                      fmt::format("as busy as the mean GPU it would save at most {}", saving(share))});
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

  /// The MoE layer in which the experts of a link's GPU have the most tokens; -1: no GPU's, or none has more than most.
  int hot_layer(const Link& link) const {
    constexpr double kMore = 1.05;
    int worst = -1;
    for (const int end : {link.from, link.to}) {
      const int rank = end - shape_.first_of(stage_);
      if (rank < 0 || rank >= shape_.ranks_of(stage_)) continue;  // vertices begin with the GPUs
      double most = kMore;
      for (int l = 0; l < static_cast<int>(loads_.size()); ++l)
        if (const double load = loads_[static_cast<std::size_t>(l)].rank[placement_rank(rank)];
            is_here(l) && load > most) {
          most = load;
          worst = l;
        }
    }
    return worst;
  }

  /// A link that collectives waited for because it was busier than the mean one of its tier.
  void add_link(std::size_t l) {
    const double excess = recorder_.link_excess(static_cast<std::size_t>(stage_), l);
    if (excess <= 0) return;
    const Link& link = shape_.topology.links()[l];
    const double gates = recorder_.link_gate_[l], speed = recorder_.speed_of_link(l);
    const auto tier = name_of(link.tier);
    const int hot = hot_layer(link);
    const bool switches = link.tier == Tier::spine || link.tier == Tier::core;
    Why why = hot >= 0 ? Why::hot_experts : Why::busy_link;
    std::string because = hot >= 0 ? fmt::format(", and its GPU's experts get up to {:.2f}x the mean tokens (layer {})",
                                                 load_of_end(link, hot), model_layer(hot))
                                   : "";
    if (switches && shape_.hashes_flows) {
      why = Why::collision;
      because = ", as ECMP hashed more traffic onto it";
    }
    constexpr double kSlow = 0.999;
    if (recorder_.factor(l) < 1 || (why != Why::collision && speed < kSlow)) {
      why = Why::slow_link;
      because = fmt::format(", as it has {:.3g} % of their bandwidth", 100 * speed);
    }
    const double share = excess / recorder_.time_;
    found_.push_back(
        {Kind::link, why, link.name, std::nullopt, share,
         fmt::format("the busiest link of collectives {:.1f} % of the time, {:.2f}x as long as a mean {} link{}",
                     100 * gates / recorder_.time_, gates / (gates - excess), tier, because),
         fmt::format("as busy as the mean {} link it would save at most {}", tier, saving(share))});
  }

  double load_of_end(const Link& link, int moe_layer) const {
    double most = 0;
    for (const int end : {link.from, link.to})
      if (const int rank = end - shape_.first_of(stage_); rank >= 0 && rank < shape_.ranks_of(stage_))
        most = std::max(most, loads_[static_cast<std::size_t>(moe_layer)].rank[placement_rank(rank)]);
    return most;
  }

  /// All links of an oversubscribed tier together: what they would take less with as much capacity above as below.
  void add_tier(Tier tier) {
    const auto index = static_cast<std::size_t>(tier);
    const double share = recorder_.tier_excess_[index] / recorder_.time_;
    if (share <= 0) return;
    found_.push_back({Kind::tier, Why::oversubscription, fmt::format("{} links", name_of(tier)), std::nullopt, share,
                      fmt::format("collectives wait for links between switches {:.1f} % of the time, and the fabric is "
                                  "oversubscribed {:g}:1",
                                  100 * recorder_.tier_gate_[index] / recorder_.time_, shape_.oversubscription),
                      fmt::format("with full bisection it would save at most {}", saving(share))});
  }

  struct Loads {
    std::vector<double> rank, expert;  ///< [placement ranks] of all its slots, of its fullest one: 1 is a mean rank's
    std::vector<std::size_t> top;      ///< the fullest slot
  };

  const Recorder& recorder_;
  const RunShape& shape_;
  std::span<const Seconds> stage_work_;
  int stage_;
  std::vector<Loads> loads_;  ///< [MoE layers], empty when no rank has experts of its own
  std::vector<Hotspot> found_;
};

std::vector<Hotspot> rank_hotspots(const Recorder& recorder, std::span<const Seconds> stage_work) {
  return HotspotRanking{recorder, stage_work}.rank();
}

}  // namespace moesim
