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

/// The piece of work that a fact belongs to: a step, and of a pipeline or of pools which microbatch of it.
struct Turn {
  int step = 0;  ///< negative: fills the pipeline
  int microbatch = 0;
};

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
  Turn turn{};
  bool met = true;      ///< the ranks met at its end; else each went on when its own work was done
  bool summed = false;  ///< of streams that worked side by side: how long, not when, which StreamWorked tells
};

/// What the compute streams of a group's ranks did beside a collective.
struct StreamWorked {
  enum class Kind {
    work,   ///< PhaseFinished tells its sum
    wait,   ///< for a collective, under whose cause PhaseFinished tells its sum
    hidden  ///< work that cost no time: PhaseFinished tells of the collective alone
  };
  Kind kind;
  Cause cause;
  int layer;
  Seconds origin;                       ///< what begin and end count from
  std::span<const Seconds> begin, end;  ///< [ranks of the group]
  int group = 0;
  Turn turn{};
  int half = -1;  ///< of two-batch overlap: which micro-batch
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

/// How the ranks went through an exchange.
enum class Pace {
  together,  ///< all at once: PhaseFinished tells of it too
  apart,     ///< in small groups, each in its own time, as a part of its work: `at` is when they last met
  beside     ///< while the ranks did other things
};

/// A collective moved bytes over links.
struct BytesMoved {
  Seconds at;  ///< end
  Cause cause;
  int layer;
  Seconds took;
  std::span<const double> link_bytes;  ///< [links]
  LinkId gating_link = -1;             ///< the link that everybody waited for, -1: latency, or others
  Seconds transfer{};                  ///< what it took that link
  int group = 0;
  Pace pace = Pace::together;
  Turn turn{};
  int to_group = -1;  ///< the group that the bytes went to, -1: they stayed in theirs
  int half = -1;      ///< of two-batch overlap: which micro-batch
};

struct StepFinished {
  Seconds at;
  Seconds took;
  int step;
  std::int64_t tokens;
};

/// A closed set: a new kind of event makes every std::visit that forgets it fail to compile.
using Event =
    std::variant<PhaseFinished, StreamWorked, ExpertsLoaded, PlacesGiven, ExpertsFetched, BytesMoved, StepFinished>;

}  // namespace moesim
