#include "sim/metrics/recorder.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace moesim {
namespace {

double largest_at(std::span<const double> values, const std::vector<int>& where) {
  double largest = 0;
  for (const int i : where) largest = std::max(largest, values[static_cast<std::size_t>(i)]);
  return largest;
}

/// Work of the GPU itself, which a slow one takes longer for.
bool is_computed(Cause cause) {
  return cause == Cause::attention || cause == Cause::experts || cause == Cause::dense || cause == Cause::other;
}

}  // namespace

double Recorder::sum_at(std::span<const double> values, const std::vector<int>& where) {
  double sum = 0;
  for (const int i : where) sum += values[static_cast<std::size_t>(i)];
  return sum;
}

std::string RunShape::name_of_stage(int stage) const {
  if (has_pools()) return stage == 0 ? "attention pool" : "expert pool";
  return "stage " + std::to_string(stage);
}

void Recorder::Imbalance::add(double value) {
  sum += value;
  max = std::max(max, value);
  ++count;
}

std::optional<MeanMax> Recorder::Imbalance::mean_max() const {
  if (count == 0) return std::nullopt;
  return MeanMax{sum / static_cast<double>(count), max};
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
  slow_excess_.assign(gpus, 0.0);
  slow_link_.resize(critical_.size());
  expert_excess_.assign((static_cast<std::size_t>(shape.layers) + 1) * ranks, 0.0);
  link_total_.assign(links.size(), 0.0);
  link_peak_rate_ = link_gate_ = link_total_;
  link_excess_.assign(critical_.size(), link_total_);
  for (std::size_t l = 0; l < links.size(); ++l) {
    const auto tier = static_cast<std::size_t>(links[l].tier);
    links_of_[tier].push_back(static_cast<int>(l));
    fastest_[tier] = std::max(fastest_[tier], links[l].capacity);
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
    const double seconds = busy(static_cast<std::size_t>(other)) * factor(static_cast<std::size_t>(other));
    sum += seconds;
    if (seconds > 0) ++used;
  }
  return sum / used / busy(link);
}

double Recorder::speed_of_link(std::size_t link) const {
  const Link& of = shape_.topology.links()[link];
  return of.capacity / fastest_[static_cast<std::size_t>(of.tier)];
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
  const bool computes = is_computed(phase.cause);
  double sum = 0;
  for (std::size_t r = 0; r < phase.busy.size(); ++r) {
    busy[r] += phase.busy[r];
    wait[r] += took - phase.busy[r];
    sum += phase.busy[r] * (computes ? speed(first + r) : 1);  // were no GPU slow
  }
  const double mean = sum / static_cast<double>(phase.busy.size());
  const std::size_t last = first + static_cast<std::size_t>(phase.gating_rank);
  add_gating(phase);
  double excess = took - mean;
  if (computes && speed(last) < 1) {
    const double slow = std::max(0.0, took - std::max(took * speed(last), mean));
    slow_excess_[last] += slow;
    excess -= slow;
  } else if (!computes) {
    double& charged = slow_link_[stage][cause];
    if (charged > 0) excess = std::max(0.0, excess - charged);
    charged = 0;
  }
  const bool follows_rows = phase.cause == Cause::experts || phase.cause == Cause::offload ||
                            phase.cause == Cause::dispatch || phase.cause == Cause::combine;
  if (follows_rows)  // exchanges inside expert TP groups too
    expert_excess_[cell(phase.layer, phase.gating_rank)] += excess;
  else
    other_excess_[last] += excess;
}

void Recorder::add_gating(const PhaseFinished& phase) {
  const auto first = static_cast<std::size_t>(shape_.first_of(phase.group));
  const double longest = phase.busy[static_cast<std::size_t>(phase.gating_rank)];
  const auto tied = std::count(phase.busy.begin(), phase.busy.end(), longest);
  const double each = phase.took.value() / static_cast<double>(tied);
  for (std::size_t r = 0; r < phase.busy.size(); ++r)
    if (phase.busy[r] == longest) gated_[first + r] += each;
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
  if (moved.gating_link >= 0) add_link_excess(moved);
  if (nic_out_.empty() || (moved.cause != Cause::dispatch && moved.cause != Cause::combine)) return;
  // A hot receiver of the dispatch is a hot sender of the combine: the NIC side that the experts load.
  const auto& side = moved.cause == Cause::dispatch ? nic_in_ : nic_out_;
  const double sum = sum_at(moved.link_bytes, side);
  if (sum > 0) nic_imbalance_.add(largest_at(moved.link_bytes, side) * static_cast<double>(side.size()) / sum);
}

void Recorder::add_link_excess(const BytesMoved& moved) {
  const auto link = static_cast<std::size_t>(moved.gating_link);
  const auto stage = static_cast<std::size_t>(moved.group);
  const double transfer = moved.transfer.value();
  if (moved.pace == Pace::apart) {  // groups differ by what they have to move, their ranks' cause, and by slow links
    const double slow = transfer * (1 - factor(link));
    if (slow <= 0) return;
    link_gate_[link] += transfer;
    link_excess_[stage][link] += slow;
    slow_link_[stage][static_cast<std::size_t>(moved.cause)] += slow;
    return;
  }
  link_gate_[link] += transfer;
  const double of_mean = mean_over(moved.link_bytes, link), beyond = transfer * (1 - of_mean);
  constexpr double kRounding = 1e-12;
  if (moved.pace == Pace::together) {
    if (1 - of_mean > kRounding) link_excess_[stage][link] += beyond;
    add_tier_excess(moved, transfer * of_mean);
  } else if (1 - of_mean >
             kRounding) {  // who waits for it says so elsewhere: the next stage or pool, or the collective
    const auto waiting = static_cast<std::size_t>(moved.to_group >= 0 ? Cause::pipeline : moved.cause);
    auto& excess = beside_excess_[waiting];
    excess.resize(link_total_.size());
    excess[link] += beyond;
    beside_total_[waiting] += beyond;
  }
}

/// Of what work may hide, no more than was waited for.
double Recorder::link_excess(std::size_t stage, std::size_t link) const {
  double excess = link_excess_[stage][link];
  for (std::size_t cause = 0; cause < kCauses; ++cause)
    if (beside_total_[cause] > 0)
      excess += beside_excess_[cause][link] * std::min(1.0, critical_[stage][cause] / beside_total_[cause]);
  return excess;
}

/// What more links above the leaves would save of the mean one's time, until links of another tier are the busiest.
void Recorder::add_tier_excess(const BytesMoved& moved, double of_mean) {
  const auto links = shape_.topology.links();
  const Tier tier = links[static_cast<std::size_t>(moved.gating_link)].tier;
  if (shape_.oversubscription <= 1 || (tier != Tier::spine && tier != Tier::core)) return;
  const CollectiveParameters& parameters = moved.cause == Cause::combine ? shape_.combine : shape_.dispatch;
  double others = 0;
  for (std::size_t l = 0; l < links.size(); ++l) {
    const bool inside = links[l].tier == Tier::nvlink || links[l].tier == Tier::pcie;
    if (links[l].tier == Tier::spine || links[l].tier == Tier::core || (parameters.staged && inside)) continue;
    others =
        std::max(others, moved.link_bytes[l] / (links[l].capacity.value() * efficiency_of(parameters, links[l].tier)));
  }
  tier_gate_[static_cast<std::size_t>(tier)] += moved.transfer.value();
  tier_excess_[static_cast<std::size_t>(tier)] +=
      std::max(0.0, of_mean - std::max(of_mean / shape_.oversubscription, others));
}

void Recorder::on(const StepFinished& step) {
  steps_.push_back({step.step, step.at - step.took, step.took, step.tokens});
  time_ += step.took.value();
}

}  // namespace moesim
