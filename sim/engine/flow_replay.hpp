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

/// Replays the flows, all starting at 0 or each when its sender does, on a SimGrid platform with one plain link per
/// topology link: one actor per GPU, one mailbox per pair, in a forked process. Latencies are 0 (CM02 would weight
/// sharing by them); collectives add theirs outside. Flows without bytes, or from a GPU to itself, finish at 0.
///
/// quantum : completions closer than this are merged; taken as at most a thousandth of the fluid bound, so that merging
///   stays below what it measures, and at least a picosecond
/// start [GPUs], or empty: when a GPU begins to send; receivers are ready from 0, as one-sided writes are
/// efficiency : scales the capacity of every link of a tier, as in F0; only its efficiencies are read
/// Throws RunError when the forked process fails, or when two flows of a pair take different links;
/// std::invalid_argument for a flow whose GPUs or links the topology lacks, or for another number of starts.
FlowReplay replay_flows(const Topology& topology, std::span<const Flow> flows, Seconds quantum,
                        const CollectiveParameters& efficiency = {}, std::span<const Seconds> start = {});

}  // namespace moesim
