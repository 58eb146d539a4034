#pragma once
// Listens to a run and keeps what the summary needs: sums per cause, rank, link and expert; nothing per event.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/hardware/gpu.hpp"
#include "models/hardware/topology.hpp"
#include "models/placement/placement.hpp"
#include "sim/events/events.hpp"
#include "sim/metrics/summary.hpp"

namespace moesim {

/// What the recorder must know of the deployment to read the events.
struct RunShape {
  const Topology& topology;
  const Placement& placement;  ///< no layers for a dense model
  int ranks = 1;               ///< of a pipeline stage, or of the attention pool
  int layers = 1;              ///< of the model
  int top_k = 0;
  int stages = 1;                   ///< of a pipeline; 2: the pools of attention and of experts
  int expert_ranks = 0;             ///< of the expert pool, 0: there are no pools
  std::vector<int> layer_of_moe{};  ///< [MoE layers] model layer
  std::vector<int> stage_of_moe{};  ///< [MoE layers], empty: all in the first stage
  std::vector<double> speeds{};     ///< [GPUs] share of what their kind does; empty: none is slow
  std::vector<double> factors{};    ///< [links] share of the bandwidth they were built with; empty: all have it
  bool hashes_flows = false;        ///< ECMP between switches
  double oversubscription = 1;      ///< of the fabric
  CollectiveParameters dispatch{}, combine{};

  bool has_pools() const { return expert_ranks > 0; }
  int ranks_of(int stage) const { return has_pools() && stage == 1 ? expert_ranks : ranks; }
  int first_of(int stage) const { return ranks * stage; }
  int gpus() const { return first_of(stages - 1) + ranks_of(stages - 1); }
  int stage_of_gpu(int gpu) const { return has_pools() ? (gpu >= ranks ? 1 : 0) : gpu / ranks; }
  std::string name_of_stage(int stage) const;
  /// Where a MoE layer's experts are.
  int stage(int moe_layer) const {
    if (has_pools()) return 1;
    return stage_of_moe.empty() ? 0 : stage_of_moe[static_cast<std::size_t>(moe_layer)];
  }
  int first_gpu(int moe_layer) const { return first_of(stage(moe_layer)); }

  /// Consecutive GPUs that hold slices of the same slots.
  int gpus_per_placement_rank() const {
    return placement.ranks > 0 ? (has_pools() ? expert_ranks : ranks) / placement.ranks : 1;
  }
};

class Recorder {
public:
  explicit Recorder(const RunShape& shape);

  void operator()(const Event& event);

  /// Fills what does not depend on throughput: step times, critical path, imbalance, tables, conservation, hotspots.
  void summarise(Summary& summary) const;

private:
  friend class HotspotRanking;
  void on(const PhaseFinished& phase);
  void on(const StreamWorked&) {}  // phases hold the sums
  void on(const ExpertsLoaded& loads);
  void on(const PlacesGiven& given);
  void on(const ExpertsFetched& fetched);
  void on(const BytesMoved& moved);
  void on(const StepFinished& step);

  void fill_tables(Summary& summary) const;
  void fill_costs(Summary& summary) const;
  std::vector<GpuUse> gpu_table() const;
  std::vector<LinkUse> link_table() const;

  void add_link_excess(const BytesMoved& moved);
  /// Seconds that this stage waits beyond the mean link of the tier. What travels between stages or pools counts no
  /// more than the stage waits for these.
  double link_excess(std::size_t stage, std::size_t link) const;
  void add_tier_excess(const BytesMoved& moved, double of_mean);

  struct Imbalance {
    double sum = 0, max = 0;
    std::int64_t count = 0;
    void add(double value);
    std::optional<MeanMax> mean_max() const;
  };

  /// The ranks that ended a phase together share what they gate.
  void add_gating(const PhaseFinished& phase);

  static double sum_at(std::span<const double> values, const std::vector<int>& where);
  std::size_t cell(int layer, int rank) const;
  /// The stage that waits least: the others wait for it.
  std::size_t slowest_stage() const;
  double link_busy(std::size_t link) const;  // seconds at full rate
  /// Of the bytes of one collective: time of the mean link of this tier that carries any, over that of `link`. The mean
  /// is that of links as they were built.
  double mean_over(std::span<const double> bytes, std::size_t link) const;
  /// Bandwidth over that of the fastest link of its tier.
  double speed_of_link(std::size_t link) const;
  double factor(std::size_t link) const { return shape_.factors.empty() ? 1 : shape_.factors[link]; }
  double speed(std::size_t gpu) const { return shape_.speeds.empty() ? 1 : shape_.speeds[gpu]; }

  RunShape shape_;
  std::vector<StepRow> steps_;
  using Causes = std::array<double, kCauses>;      // seconds
  double time_ = 0;                                // seconds of all steps
  std::vector<Causes> critical_;                   // [stage]
  std::array<std::vector<double>, kCauses> busy_;  // [cause][GPU] seconds of own work
  std::vector<Causes> collective_of_;              // [stage] that every rank spent in collectives
  std::vector<double> wait_;                       // [GPU]
  std::vector<double> gated_;                      // [GPU] seconds that it ended last, its part where others did too
  std::vector<double> expert_excess_;              // [layer + 1][rank] seconds beyond the mean rank that its rows cost
  std::vector<double> other_excess_;               // [GPU] seconds beyond the mean rank, everything else
  std::vector<double> link_total_, link_gate_;     // [links] bytes; seconds for which it was the busiest
  std::vector<std::vector<double>> link_excess_;   // [stage][links] seconds beyond the mean link of its tier
  std::array<std::vector<double>, kCauses> beside_excess_;  // [cause that waits][links] of collectives beside work
  std::array<double, kCauses> beside_total_{};              // their sums
  std::vector<double> slow_excess_;                         // [GPU] seconds that it would not take at the others' speed
  std::vector<Causes> slow_link_;  // [stage] seconds charged to a slow link, whose PhaseFinished is yet to come
  std::array<double, kTiers.size()> tier_gate_{}, tier_excess_{};  // seconds: that a link of it was the busiest; that
                                                                   // more links would save, were all equally busy
  std::array<std::vector<int>, kTiers.size()> links_of_;
  std::array<BytesPerSecond, kTiers.size()> fastest_{};
  std::vector<double> link_peak_rate_;   // [links] bytes per second of its busiest collective
  std::vector<int> nic_out_, nic_in_;    // NIC links by direction
  std::vector<std::int64_t> slot_rows_;  // [moe layers][slots]
  Imbalance expert_imbalance_, gpu_imbalance_, nic_imbalance_;
  bool tokens_conserved_ = true;
  std::optional<CapacityUse> capacity_;  // only with a limit on places
  std::optional<OffloadUse> offload_;    // only where experts are offloaded
};

}  // namespace moesim
