#include "sim/metrics/recorder.hpp"

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

double sum_at(std::span<const double> values, const std::vector<int>& where) {
  double sum = 0;
  for (const int i : where) sum += values[static_cast<std::size_t>(i)];
  return sum;
}

double largest_at(std::span<const double> values, const std::vector<int>& where) {
  double largest = 0;
  for (const int i : where) largest = std::max(largest, values[static_cast<std::size_t>(i)]);
  return largest;
}

}  // namespace

std::string RunShape::name_of_stage(int stage) const {
  if (has_pools()) return stage == 0 ? "attention pool" : "expert pool";
  return "stage " + std::to_string(stage);
}

void Recorder::Imbalance::add(double value) {
  sum += value;
  max = std::max(max, value);
  ++count;
}

MeanMax Recorder::Imbalance::mean_max() const {
  return count == 0 ? MeanMax{} : MeanMax{sum / static_cast<double>(count), max};
}

Recorder::Recorder(const RunShape& shape) : shape_{shape} {
  const auto ranks = static_cast<std::size_t>(std::max(shape.ranks, shape.expert_ranks));
  const auto gpus = static_cast<std::size_t>(shape.gpus());
  const auto links = shape.topology.links();
  critical_.resize(static_cast<std::size_t>(shape.stages));
  collective_of_.resize(critical_.size());
  for (auto& seconds : busy_) seconds.assign(gpus, 0.0);
  wait_.assign(gpus, 0.0);
  gated_.assign(gpus, 0.0);
  other_excess_.assign(gpus, 0.0);
  expert_excess_.assign((static_cast<std::size_t>(shape.layers) + 1) * ranks, 0.0);
  link_total_.assign(links.size(), 0.0);
  link_peak_rate_ = link_gate_ = link_total_;
  link_excess_.assign(critical_.size(), link_total_);
  for (std::size_t l = 0; l < links.size(); ++l) {
    links_of_[static_cast<std::size_t>(links[l].tier)].push_back(static_cast<int>(l));
    if (links[l].tier != Tier::nic) continue;
    const bool out = shape.topology.vertices()[static_cast<std::size_t>(links[l].from)].node >= 0;
    (out ? nic_out_ : nic_in_).push_back(static_cast<int>(l));
  }
  slot_rows_.assign(
      static_cast<std::size_t>(shape.placement.layers) * static_cast<std::size_t>(shape.placement.slots()), 0);
}

std::size_t Recorder::cell(int layer, int rank) const {
  const int width = std::max(shape_.ranks, shape_.expert_ranks);
  return static_cast<std::size_t>(layer + 1) * static_cast<std::size_t>(width) + static_cast<std::size_t>(rank);
}

std::size_t Recorder::slowest_stage() const {
  const auto waits = [](const Causes& causes) { return causes[static_cast<std::size_t>(Cause::pipeline)]; };
  return static_cast<std::size_t>(
      std::min_element(critical_.begin(), critical_.end(),
                       [&](const Causes& a, const Causes& b) { return waits(a) < waits(b); }) -
      critical_.begin());
}

double Recorder::link_busy(std::size_t link) const {
  return link_total_[link] / shape_.topology.links()[link].capacity.value();
}

double Recorder::mean_over(std::span<const double> bytes, std::size_t link) const {
  const auto links = shape_.topology.links();
  const auto busy = [&](std::size_t l) { return bytes[l] / links[l].capacity.value(); };
  double sum = 0;
  int used = 0;
  for (const int other : links_of_[static_cast<std::size_t>(links[link].tier)]) {
    const double seconds = busy(static_cast<std::size_t>(other));
    sum += seconds;
    if (seconds > 0) ++used;
  }
  return sum / used / busy(link);
}

void Recorder::operator()(const Event& event) {
  std::visit([this](const auto& fact) { on(fact); }, event);
}

void Recorder::on(const PhaseFinished& phase) {
  const auto cause = static_cast<std::size_t>(phase.cause);
  const double took = phase.took.value();
  const auto stage = static_cast<std::size_t>(phase.group);
  const auto first = static_cast<std::size_t>(shape_.first_of(phase.group));
  critical_[stage][cause] += took;
  if (phase.cause == Cause::pipeline) {
    for (std::size_t r = 0; r < static_cast<std::size_t>(shape_.ranks_of(phase.group)); ++r) wait_[first + r] += took;
    return;
  }
  if (phase.busy.empty()) {
    collective_of_[stage][cause] += took;
    return;
  }
  double* busy = busy_[cause].data() + first;
  double* wait = wait_.data() + first;
  double sum = 0;
  for (std::size_t r = 0; r < phase.busy.size(); ++r) {
    busy[r] += phase.busy[r];
    wait[r] += took - phase.busy[r];
    sum += phase.busy[r];
  }
  const double excess = took - sum / static_cast<double>(phase.busy.size());
  const std::size_t last = first + static_cast<std::size_t>(phase.gating_rank);
  gated_[last] += took;
  const bool follows_rows = phase.cause == Cause::experts || phase.cause == Cause::offload ||
                            phase.cause == Cause::dispatch || phase.cause == Cause::combine;
  if (follows_rows)  // exchanges inside expert TP groups too
    expert_excess_[cell(phase.layer, phase.gating_rank)] += excess;
  else
    other_excess_[last] += excess;
}

void Recorder::on(const ExpertsLoaded& loads) {
  const auto slots = loads.rows_per_slot.size();
  std::int64_t rows = 0;
  std::int64_t* total = slot_rows_.data() + static_cast<std::size_t>(loads.moe_layer) * slots;
  for (std::size_t s = 0; s < slots; ++s) {
    total[s] += loads.rows_per_slot[s];
    rows += loads.rows_per_slot[s];
  }
  tokens_conserved_ = tokens_conserved_ && rows == (loads.rows >= 0 ? loads.rows : loads.tokens * shape_.top_k);
  if (rows == 0) return;
  const auto largest = static_cast<double>(*std::max_element(loads.expert_loads.begin(), loads.expert_loads.end()));
  expert_imbalance_.add(largest * static_cast<double>(loads.expert_loads.size()) / static_cast<double>(rows));
  if (shape_.placement.ranks == 1) return gpu_imbalance_.add(1);
  const auto per_rank = static_cast<std::size_t>(shape_.placement.slots_per_rank);
  double busiest = 0;
  for (std::size_t first = 0; first < slots; first += per_rank) {
    double own = 0;
    for (std::size_t s = first; s < first + per_rank; ++s) own += loads.rows_per_slot[s];
    busiest = std::max(busiest, own);
  }
  gpu_imbalance_.add(busiest * shape_.placement.ranks / static_cast<double>(rows));
}

void Recorder::on(const PlacesGiven& given) {
  if (!capacity_) capacity_.emplace();
  capacity_->wanted += given.wanted;
  capacity_->dropped += given.dropped;
  capacity_->rerouted += given.rerouted;
  capacity_->places += given.places;
  capacity_->displaced_gate += given.displaced_gate;
  capacity_->dropped_gate += given.dropped_gate;
}

void Recorder::on(const ExpertsFetched& fetched) {
  if (!offload_) offload_.emplace();
  offload_->wanted += fetched.wanted;
  offload_->missed += fetched.missed;
  offload_->bytes += fetched.bytes;
}

void Recorder::on(const BytesMoved& moved) {
  const double inverse = moved.took.value() > 0 ? 1 / moved.took.value() : 0;
  for (std::size_t l = 0; l < link_total_.size(); ++l) {
    link_total_[l] += moved.link_bytes[l];
    link_peak_rate_[l] = std::max(link_peak_rate_[l], moved.link_bytes[l] * inverse);
  }
  if (moved.gating_link >= 0) {
    const auto link = static_cast<std::size_t>(moved.gating_link);
    const double transfer = moved.transfer.value();
    link_gate_[link] += transfer;
    link_excess_[static_cast<std::size_t>(moved.group)][link] += transfer * (1 - mean_over(moved.link_bytes, link));
  }
  if (nic_out_.empty() || (moved.cause != Cause::dispatch && moved.cause != Cause::combine)) return;
  // A hot receiver of the dispatch is a hot sender of the combine: the NIC side that the experts load.
  const auto& side = moved.cause == Cause::dispatch ? nic_in_ : nic_out_;
  const double sum = sum_at(moved.link_bytes, side);
  if (sum > 0) nic_imbalance_.add(largest_at(moved.link_bytes, side) * static_cast<double>(side.size()) / sum);
}

void Recorder::on(const StepFinished& step) {
  steps_.push_back({step.step, step.at - step.took, step.took, step.tokens});
  time_ += step.took.value();
}

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
  const auto first = static_cast<std::size_t>(shape_.first_of(static_cast<int>(stage)));
  const auto ranks = static_cast<std::size_t>(shape_.ranks_of(static_cast<int>(stage)));
  summary.imbalance_cost = {.experts = experts / time_,
                            .links = sum(link_excess_[stage]) / time_,
                            .batches = sum(std::span{other_excess_}.subspan(first, ranks)) / time_};
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
  if (nic_imbalance_.count > 0) summary.nic_imbalance = nic_imbalance_.mean_max();
  fill_costs(summary);
  summary.tokens_conserved = tokens_conserved_;
  summary.capacity = capacity_;
  summary.offload = offload_;
  const double out = sum_at(link_total_, nic_out_), in = sum_at(link_total_, nic_in_);
  summary.bytes_conserved = std::abs(out - in) <= 1e-9 * std::max(out, in);
  fill_tables(summary);
  summary.hotspots = rank_hotspots(*this);
}

}  // namespace moesim
