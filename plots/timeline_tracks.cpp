// The ends of a timeline: its tracks before the run, its trace after it.

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "plots/timeline.hpp"

namespace moesim {
namespace {

std::vector<int> first_gpus(const RunShape& shape) {
  std::vector<int> gpus;
  for (int gpu = 0; gpu < std::min({8, shape.gpus(), shape.topology.gpus_of_node(0)}); ++gpu) gpus.push_back(gpu);
  return gpus;
}

}  // namespace

Timeline::Timeline(const TimelineRequest& request, const RunShape& shape)
    : topology_{shape.topology},
      cap_{request.cap},
      has_window_{request.window.has_value()},
      begin_{std::numeric_limits<Nanoseconds>::min()},
      end_{std::numeric_limits<Nanoseconds>::max()},
      cursor_(static_cast<std::size_t>(shape.gpus())) {
  if (has_window_) {
    begin_ = to_nanoseconds(request.window->begin);
    end_ = to_nanoseconds(request.window->end);
  }
  content_.ranks = request.gpus.empty() ? first_gpus(shape) : request.gpus;
  if (content_.ranks.front() < 0 || content_.ranks.back() >= shape.gpus())
    throw std::invalid_argument{
        fmt::format("GPUs {} to {} of a layout of {}", content_.ranks.front(), content_.ranks.back(), shape.gpus())};
  for (int g = 0; g < shape.stages; ++g)
    groups_.push_back({shape.first_of(g), shape.ranks_of(g), shape.stages > 1 ? shape.name_of_stage(g) : "all GPUs"});
  make_tracks();
}

/// Process 0 is the run, its tracks those of the groups, and one of the steps where there are several groups.
void Timeline::make_tracks() {
  content_.processes.push_back("where the time goes");
  for (const Group& group : groups_) content_.tracks.push_back({0, group.name});
  if (groups_.size() > 1) content_.tracks.push_back({0, "steps"});
  const std::vector<int> process_of_node = processes_of_nodes();
  std::vector<bool> is_chosen(static_cast<std::size_t>(topology_.gpus()));
  for (const int gpu : content_.ranks) {
    const int process = process_of_node[static_cast<std::size_t>(topology_.node_of(gpu))];
    const std::string& name = topology_.vertices()[static_cast<std::size_t>(gpu)].name;
    gpus_.push_back({gpu, static_cast<int>(content_.tracks.size())});
    content_.tracks.push_back({process, name + " compute"});
    content_.tracks.push_back({process, name + " communication"});
    is_chosen[static_cast<std::size_t>(gpu)] = true;
  }
  const int fabric = static_cast<int>(content_.processes.size());
  counters_.emplace(topology_, is_chosen, process_of_node, fabric, cap_);
  if (counters_->has_fabric()) content_.processes.push_back("fabric");
  counters_->keep_between(begin_, end_);
}

/// -1 for nodes without a chosen GPU.
std::vector<int> Timeline::processes_of_nodes() {
  std::vector<int> process_of_node(static_cast<std::size_t>(topology_.nodes()), -1);
  for (const int gpu : content_.ranks) {
    int& process = process_of_node[static_cast<std::size_t>(topology_.node_of(gpu))];
    if (process >= 0) continue;
    process = static_cast<int>(content_.processes.size());
    content_.processes.push_back(fmt::format("node n{}", topology_.node_of(gpu)));
  }
  return process_of_node;
}

/// Cuts what crosses the window's ends.
void Timeline::finish_window() {
  if (!has_window_) begin_ = to_nanoseconds(std::max(Seconds{}, first_step_));
  end_ = std::min(end_, to_nanoseconds(run_end_));
  begin_ = std::min(begin_, end_);
  for (TraceSlice& slice : content_.slices) {
    slice.begin = std::max(slice.begin, begin_);
    slice.end = std::min(slice.end, end_);
  }
  std::erase_if(content_.slices, [](const TraceSlice& slice) { return slice.end <= slice.begin; });
  content_.begin = begin_;
  content_.end = end_;
}

/// Communication under way at once goes to tracks of its own: each slice to the first track that is free.
void Timeline::spread_over_lanes() {
  auto& slices = content_.slices;
  std::stable_sort(slices.begin(), slices.end(),
                   [](const TraceSlice& a, const TraceSlice& b) { return a.begin < b.begin; });
  struct Lane {
    int track;
    Nanoseconds until;
  };
  std::vector<std::vector<Lane>> lanes(content_.tracks.size());  // of a GPU's communication
  for (TraceSlice& slice : slices) {
    const auto home = static_cast<std::size_t>(slice.track);
    const bool is_communication_track =
        !gpus_.empty() && slice.track >= gpus_.front().track && (slice.track - gpus_.front().track) % 2 == 1;
    if (!is_communication_track) continue;
    auto& own = lanes[home];
    if (own.empty()) own.push_back({slice.track, begin_});
    auto lane =
        std::find_if(own.begin(), own.end(), [&](const Lane& one) { return one.until <= slice.begin + kSameInstant; });
    if (lane == own.end()) {
      content_.tracks.push_back(
          {content_.tracks[home].process, fmt::format("{} {}", content_.tracks[home].name, own.size() + 1)});
      lane = own.insert(own.end(), {static_cast<int>(content_.tracks.size()) - 1, begin_});
    }
    slice.begin = std::max(slice.begin, lane->until);
    slice.end = std::max(slice.end, slice.begin);
    slice.track = lane->track;
    lane->until = slice.end;
  }
}

Trace Timeline::trace(const TraceOrigin& origin) {
  for (Group& group : groups_) close_layer(group);
  finish_window();
  spread_over_lanes();
  content_.points = counters_->points(begin_, end_);
  content_.counters = counters_->counters();
  content_.dropped += counters_->dropped();
  if (counters_->most_wanted() > 1.0005)
    content_.notes.push_back(
        fmt::format("exchanges that are under way at once do not share links in the run: they want up to {:.2f} of "
                    "a link's capacity, shown as 1",
                    counters_->most_wanted()));
  std::vector<std::string> names;
  for (const Group& group : groups_) names.push_back(group.name);
  return write_trace(std::move(content_), topology_, names, origin, cap_);
}

}  // namespace moesim
