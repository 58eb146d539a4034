#pragma once
// Listens to a run and keeps what happened when, in a window and on some GPUs, for a viewer of Chrome traces.

#include <optional>
#include <string>
#include <vector>

#include "plots/link_counters.hpp"
#include "plots/trace.hpp"
#include "sim/metrics/recorder.hpp"

namespace moesim {

/// Slices and counter values that a trace holds at most: what a browser still opens with ease.
inline constexpr std::size_t kTraceCap = 200'000;
/// What a trace holds when no window is asked for.
inline constexpr int kTraceSteps = 3;

struct TimelineWindow {
  Seconds begin, end;
};

struct TimelineRequest {
  std::optional<TimelineWindow> window;  ///< none: the first kTraceSteps steps
  std::vector<int> gpus;  ///< of the layout, in ascending order; empty: the first eight of the first node
  std::size_t cap = kTraceCap;
};

/// Tracks: first what the time of every group (pipeline stage, pool; all GPUs of other layouts) is charged to, as step
/// > layer > phase; then for each chosen GPU, in a process of its node, what its compute stream did and what its
/// communication streams did. Where several exchanges of a GPU are under way at once (pipelines, pools) each has a
/// track, because slices of a track must not overlap. Then counters of links (link_counters.hpp).
class Timeline {
public:
  /// Throws std::invalid_argument for GPUs that are not of the layout.
  Timeline(const TimelineRequest& request, const RunShape& shape);

  void operator()(const Event& event);

  Seconds run_end() const { return run_end_; }
  /// To be called once, at the end of the run.
  Trace trace(const TraceOrigin& origin);

private:
  struct Group {
    int first, ranks;
    std::string name;
    bool has_begun = false;    ///< work since the last meeting
    bool has_streams = false;  ///< of which StreamWorked tells
    Nanoseconds charged_until = 0;
    TraceSlice layer{};  ///< the open one; empty while there is none
    Seconds moved_at{-1};
    LinkId gating_link = -1;  ///< of what was moved then
  };
  struct Gpu {
    int gpu, track;  ///< of computation; communication is the next
    Nanoseconds compute_until = 0;
    Seconds lag{};                 ///< the largest of the phases since the ranks last met
    Cause lagging = Cause::other;  ///< in which it had so much less to do than the rank that came last
  };

  void on(const PhaseFinished& phase);
  void on(const StreamWorked& worked);
  void on(const BytesMoved& moved);
  void on(const StepFinished& step);
  void on(const ExpertsLoaded&) {}
  void on(const PlacesGiven&) {}
  void on(const ExpertsFetched&) {}

  void make_tracks();
  std::vector<int> processes_of_nodes();
  void charge(const PhaseFinished& phase, Group& group);
  void close_layer(Group& group);
  void begin_meeting(const PhaseFinished& phase, Group& group);
  void work(const PhaseFinished& phase, const Group& group);
  void note_lag(const PhaseFinished& phase, const Group& group);
  void meet(const PhaseFinished& phase, const Group& group);
  void exchange(const PhaseFinished& phase, const Group& group);
  int group_before(int group) const;
  void wait_for_group(const PhaseFinished& phase, const Group& group);
  void transfer(const BytesMoved& moved, int group, int to_group);
  void compute(Gpu& gpu, TraceSlice slice);
  void add(const TraceSlice& slice);
  std::span<Gpu> chosen_of(const Group& group);
  void finish_window();
  void spread_over_lanes();

  Topology topology_;
  std::size_t cap_;
  bool has_window_;
  Nanoseconds begin_, end_;
  Seconds first_step_{-1}, run_end_;
  int steps_ = 0;
  bool is_over_ = false;
  std::vector<Group> groups_;
  std::vector<Gpu> gpus_;        ///< chosen, in ascending order
  std::vector<Seconds> cursor_;  ///< [GPUs of the layout] until when each has worked since its group met
  TraceContent content_;
  std::optional<LinkCounters> counters_;
  Nanoseconds step_until_ = 0;
};

}  // namespace moesim
