#pragma once
// What the engine tells the metrics: facts in the past tense, with the simulated time they became true.

#include <cstdint>
#include <span>
#include <variant>

#include "models/hardware/topology.hpp"
#include "models/units/quantity.hpp"

namespace moesim {

/// Where time on the critical path goes.
/// offload: experts come from outside the GPU.
enum class Cause { attention, tp_collective, dispatch, offload, experts, combine, dense, pipeline, host, other };
inline constexpr int kCauses = 10;

/// One span of a step that every rank of a lockstep group went through and ended together. A group is a pipeline stage.
/// `took` is the length on the critical path; `busy` what each rank worked of it, the rest it waited.
struct PhaseFinished {
  Seconds at;  ///< end
  Seconds took;
  Cause cause;
  int layer;                     ///< model layer, -1: outside the layers
  int gating_rank;               ///< the rank of the group that ended last, -1: a collective, or nobody's work
  std::span<const double> busy;  ///< [ranks of the group] seconds of work (collectives: empty)
  int group = 0;
};

/// Loads of one MoE layer in one step.
struct ExpertsLoaded {
  Seconds at;
  int layer;                                    ///< model layer
  int moe_layer;                                ///< index among MoE layers
  std::span<const std::int32_t> rows_per_slot;  ///< [slots]
  std::span<const std::int32_t> expert_loads;   ///< [experts]
  std::int64_t tokens;                          ///< entering the layer
  std::int64_t rows = -1;                       ///< that the slots must hold in all, -1: top_k per token
};

/// Experts gave their places to the tokens of one MoE layer in one step (capacity limits only).
struct PlacesGiven {
  Seconds at;
  int layer;                               ///< model layer
  std::int64_t wanted, dropped, rerouted;  ///< assignments
  std::int64_t places;                     ///< of all experts
  double displaced_gate, dropped_gate;     ///< sums of gate weights; 0 where nobody looked at them
};

/// The GPUs got the experts of one MoE layer that lay elsewhere.
struct ExpertsFetched {
  Seconds at;
  int layer;            ///< model layer
  std::int64_t wanted;  ///< slots with rows
  double missed;        ///< of them
  Bytes bytes;          ///< over all GPUs
};

/// A collective moved bytes over links.
struct BytesMoved {
  Seconds at;
  Cause cause;
  int layer;
  Seconds took;
  std::span<const double> link_bytes;  ///< [links]
  LinkId gating_link = -1;             ///< the link that everybody waited for, -1: latency, or others
  Seconds transfer{};                  ///< what it took that link
  int group = 0;
};

struct StepFinished {
  Seconds at;
  Seconds took;
  int step;
  std::int64_t tokens;
};

/// A closed set: a new kind of event makes every std::visit that forgets it fail to compile.
using Event = std::variant<PhaseFinished, ExpertsLoaded, PlacesGiven, ExpertsFetched, BytesMoved, StepFinished>;

}  // namespace moesim
