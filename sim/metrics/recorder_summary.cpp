// What the recorder's sums say at the end of a run.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "sim/metrics/hotspots.hpp"

namespace moesim {
namespace {

/// Nearest-rank percentile of sorted values (domain G.4).
Seconds percentile(const std::vector<double>& sorted, double p) {
  const auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(sorted.size())));
  return Seconds{sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1]};
}

}  // namespace

std::vector<GpuUse> Recorder::gpu_table() const {
  std::vector<GpuUse> table(static_cast<std::size_t>(shape_.gpus()));
  for (std::size_t r = 0; r < table.size(); ++r) {
    GpuUse& use = table[r];
    use.name = shape_.topology.vertices()[r].name;
    for (std::size_t c = 0; c < kCauses; ++c)
      use.busy[c] =
          Seconds{busy_[c][r] + collective_of_[static_cast<std::size_t>(shape_.stage_of_gpu(static_cast<int>(r)))][c]};
    use.wait = Seconds{wait_[r]};
    use.gating_share = time_ > 0 ? gated_[r] / time_ : 0;
  }
  const auto slots = static_cast<std::size_t>(shape_.placement.slots());
  const auto per_rank = static_cast<std::size_t>(shape_.placement.slots_per_rank);
  const auto width = static_cast<std::size_t>(shape_.gpus_per_placement_rank());
  for (std::size_t i = 0; i < slot_rows_.size(); ++i) {
    const auto first = static_cast<std::size_t>(shape_.first_gpu(static_cast<int>(i / slots)));
    for (std::size_t gpu = 0; gpu < width; ++gpu)
      table[first + i % slots / per_rank * width + gpu].tokens += slot_rows_[i];
  }
  return table;
}

std::vector<LinkUse> Recorder::link_table() const {
  std::vector<LinkUse> table;
  const auto links = shape_.topology.links();
  for (std::size_t l = 0; l < links.size(); ++l)
    table.push_back({links[l].name, std::string{name_of(links[l].tier)}, Bytes{link_total_[l]},
                     time_ > 0 ? link_busy(l) / time_ : 0, link_peak_rate_[l] / links[l].capacity.value()});
  return table;
}

void Recorder::fill_tables(Summary& summary) const {
  summary.steps = steps_;
  summary.gpu_table = gpu_table();
  summary.links = link_table();
  const Placement& placement = shape_.placement;
  for (int l = 0; l < placement.layers; ++l)
    for (int s = 0; s < placement.slots(); ++s) {
      const int expert = placement.layer(l)[static_cast<std::size_t>(s)];
      if (expert < 0) continue;
      const auto at =
          static_cast<std::size_t>(l) * static_cast<std::size_t>(placement.slots()) + static_cast<std::size_t>(s);
      summary.experts.push_back(
          {shape_.layer_of_moe[static_cast<std::size_t>(l)], expert, s,
           placement.ranks == 1 ? -1
                                : shape_.first_gpu(l) + s / placement.slots_per_rank * shape_.gpus_per_placement_rank(),
           slot_rows_[at]});
    }
}

/// What even experts, links and batches would save, of the slowest stage.
void Recorder::fill_costs(Summary& summary) const {
  if (time_ <= 0) return;
  const std::size_t stage = slowest_stage();
  const auto sum = [](std::span<const double> seconds) {
    return std::max(0.0, std::accumulate(seconds.begin(), seconds.end(), 0.0));
  };
  double experts = 0;
  for (std::size_t l = 0; l < shape_.layer_of_moe.size(); ++l)
    if (shape_.stage(static_cast<int>(l)) == static_cast<int>(stage))
      experts += sum(std::span{expert_excess_}.subspan(
          cell(shape_.layer_of_moe[l], 0), static_cast<std::size_t>(shape_.ranks_of(static_cast<int>(stage)))));
  std::vector<double> links;
  for (std::size_t l = 0; l < link_total_.size(); ++l) links.push_back(link_excess(stage, l));
  const auto first = static_cast<std::size_t>(shape_.first_of(static_cast<int>(stage)));
  const auto ranks = static_cast<std::size_t>(shape_.ranks_of(static_cast<int>(stage)));
  summary.imbalance_cost = {.experts = experts / time_,
                            .links = sum(links) / time_,
                            .batches = sum(std::span{other_excess_}.subspan(first, ranks)) / time_,
                            .slow_gpus = sum(std::span{slow_excess_}.subspan(first, ranks)) / time_};
}

void Recorder::summarise(Summary& summary) const {
  std::vector<double> took;
  for (const StepRow& step : steps_) took.push_back(step.took.value());
  std::sort(took.begin(), took.end());
  if (!took.empty())
    summary.step = {Seconds{time_ / static_cast<double>(took.size())}, percentile(took, 0.5), percentile(took, 0.9),
                    percentile(took, 0.99)};
  const Causes& slowest = critical_[slowest_stage()];
  const double critical = std::accumulate(slowest.begin(), slowest.end(), 0.0);
  for (std::size_t c = 0; c < kCauses; ++c) summary.critical_path[c] = critical > 0 ? slowest[c] / critical : 0;
  summary.expert_imbalance = expert_imbalance_.mean_max();
  summary.gpu_imbalance = gpu_imbalance_.mean_max();
  summary.nic_imbalance = nic_imbalance_.mean_max();
  fill_costs(summary);
  summary.tokens_conserved = tokens_conserved_;
  summary.capacity = capacity_;
  summary.offload = offload_;
  const double out = sum_at(link_total_, nic_out_), in = sum_at(link_total_, nic_in_);
  summary.bytes_conserved = std::abs(out - in) <= 1e-9 * std::max(out, in);
  fill_tables(summary);
  for (const Causes& causes : critical_)
    summary.stage_work.emplace_back(
        (std::accumulate(causes.begin(), causes.end(), 0.0) - causes[static_cast<std::size_t>(Cause::pipeline)]) /
        static_cast<double>(std::max<std::size_t>(1, steps_.size())));
  summary.hotspots = rank_hotspots(*this, summary.stage_work);
}

}  // namespace moesim
