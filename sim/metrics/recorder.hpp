#pragma once
// Listens to a run and keeps what the summary needs: sums per cause, rank, link and expert; nothing per event.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/placement/placement.hpp"
#include "sim/events/events.hpp"
#include "sim/metrics/summary.hpp"

namespace moesim {

/// What the recorder must know of the deployment to read the events.
struct RunShape {
  const Topology& topology;
  const Placement& placement;  ///< no layers for a dense model
  int ranks = 1;
  int layers = 1;  ///< of the model
  int top_k = 0;
  std::vector<int> layer_of_moe;  ///< [MoE layers] model layer

  /// Consecutive GPUs that hold slices of the same slots.
  int gpus_per_placement_rank() const { return placement.ranks > 0 ? ranks / placement.ranks : 1; }
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
  void on(const ExpertsLoaded& loads);
  void on(const PlacesGiven& given);
  void on(const BytesMoved& moved);
  void on(const StepFinished& step);

  void fill_tables(Summary& summary) const;
  std::vector<GpuUse> gpu_table() const;
  std::vector<LinkUse> link_table() const;

  struct Imbalance {
    double sum = 0, max = 0;
    std::int64_t count = 0;
    void add(double value);
    MeanMax mean_max() const;
  };

  std::size_t cell(int layer, int rank) const;
  double link_busy(std::size_t link) const;  // seconds at full rate

  RunShape shape_;
  std::vector<StepRow> steps_;
  double time_ = 0;                                // seconds of all steps
  std::array<double, kCauses> critical_{};         // seconds
  std::array<std::vector<double>, kCauses> busy_;  // [cause][rank] seconds of own work
  std::array<double, kCauses> collective_of_{};    // seconds every rank spent in collectives
  std::vector<double> wait_;                       // [rank]
  std::vector<double> gated_;                      // [rank] seconds for which it arrived last
  std::vector<double> expert_excess_;              // [layer + 1][rank] seconds beyond the mean rank that its rows cost
  std::vector<double> other_excess_;               // [rank] seconds beyond the mean rank, everything else
  std::vector<double> link_total_, link_gate_;     // [links] bytes; seconds for which it was the busiest
  std::vector<double> link_peak_rate_;             // [links] bytes per second of its busiest collective
  std::vector<int> nic_out_, nic_in_;              // NIC links by direction
  std::vector<std::int64_t> slot_rows_;            // [moe layers][slots]
  Imbalance expert_imbalance_, gpu_imbalance_, nic_imbalance_;
  bool tokens_conserved_ = true;
  std::optional<CapacityUse> capacity_;  // only with a limit on places
};

}  // namespace moesim
