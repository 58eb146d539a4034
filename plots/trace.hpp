#pragma once
// A Chrome trace before it is written: processes, tracks, slices, counters.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "models/hardware/topology.hpp"
#include "sim/events/events.hpp"

namespace moesim {

/// Simulated time as Perfetto resolves it. Both ends of a slice are rounded, so neighbours stay neighbours.
using Nanoseconds = std::int64_t;
Nanoseconds to_nanoseconds(Seconds time);

/// SimGrid's clock is precise to a nanosecond, sums of phases more so: what is this near is the same instant.
constexpr Nanoseconds kSameInstant = 5;

enum class SliceKind {
  step,
  layer,
  charged,   ///< what the step's time goes to
  work,      ///< of a GPU
  hidden,    ///< work of a GPU beside a collective, at no cost of time
  exchange,  ///< a collective that the GPU waits for
  transfer,  ///< bytes on their way while the GPU does other things
  wait
};

struct TraceSlice {
  Nanoseconds begin = 0, end = 0;
  int track = 0;
  SliceKind kind = SliceKind::work;
  Cause cause = Cause::other;
  int layer = -1;
  Turn turn{};
  int half = -1;     ///< micro-batch of two-batch overlap
  int gpu = -1;      ///< that it is waited for, or that gates
  int group = -1;    ///< that it is waited for, or that the bytes go to
  LinkId link = -1;  ///< that gates
  bool summed = false;
};

struct TraceTrack {
  int process;
  std::string name;
};

struct TraceCounter {
  int process;
  std::string name;
  std::vector<std::string> series;  ///< one or two
};

struct CounterPoint {
  Nanoseconds at;
  int counter;
  double values[2];  ///< shares of capacity, in the order of the series
};

/// Where a trace is from and how it was cut.
struct TraceOrigin {
  std::string version, scenario, scenario_hash;
  std::uint64_t seed = 0;
};

struct TraceContent {
  std::vector<std::string> processes;  ///< in the order to show
  std::vector<TraceTrack> tracks;
  std::vector<TraceSlice> slices;
  std::vector<TraceCounter> counters;
  std::vector<CounterPoint> points;
  Nanoseconds begin = 0, end = 0;  ///< the window; slices are inside
  std::vector<int> ranks;
  std::int64_t dropped = 0;  ///< slices and counter changes that were not even kept
  std::vector<std::string> notes;
};

struct Trace {
  std::string json;
  std::int64_t events = 0;   ///< slices and counter values, without the names of tracks
  std::int64_t dropped = 0;  ///< of the window, beyond the cap
  Seconds begin, end;        ///< the window
  Seconds complete_until;    ///< earlier than the end where events were dropped
  std::vector<std::string> notes;
};

/// Chrome's JSON trace format, the first `cap` events in order of time.
///
/// groups : names of stages or pools, for "waits for"
Trace write_trace(TraceContent content, const Topology& topology, const std::vector<std::string>& groups,
                  const TraceOrigin& origin, std::size_t cap);

}  // namespace moesim
