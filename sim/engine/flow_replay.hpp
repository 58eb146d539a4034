#pragma once
// F2: one collective as SimGrid flows, the referee of F0.

#include <span>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {

struct FlowReplay {
  Seconds makespan;
  std::vector<Seconds> finish;  ///< per flow
};

/// Replays the flows, all starting at 0, on a SimGrid platform with one plain link per topology link: one actor per
/// GPU, one mailbox per pair, in a forked process. Latencies are 0 (CM02 would weight sharing by them); collectives add
/// theirs outside. `quantum`: completions closer than this are merged; at most makespan / 1000.
/// `efficiency` scales every capacity of a tier alike, as F0 does.
/// Throws RunError when the forked process fails.
FlowReplay replay_flows(const Topology& topology, std::span<const Flow> flows, Seconds quantum);

}  // namespace moesim
