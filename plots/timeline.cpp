#include "plots/timeline.hpp"

#include <algorithm>

namespace moesim {
namespace {

Nanoseconds not_before(Nanoseconds at, Nanoseconds earlier) {
  return at < earlier && earlier - at <= kSameInstant ? earlier : at;
}

/// What runs on a communication stream, as copies of offloaded experts do: the GPU computes nothing meanwhile.
bool is_communication(Cause cause) {
  return cause == Cause::tp_collective || cause == Cause::dispatch || cause == Cause::combine ||
         cause == Cause::offload || cause == Cause::pipeline;
}

bool is_same(Turn a, Turn b) {
  return a.step == b.step && a.microbatch == b.microbatch;
}

}  // namespace

void Timeline::operator()(const Event& event) {
  if (const auto* step = std::get_if<StepFinished>(&event); step || !is_over_)
    std::visit([this](const auto& fact) { on(fact); }, event);
}

std::span<Timeline::Gpu> Timeline::chosen_of(const Group& group) {
  const auto at_least = [this](int gpu) {
    return std::partition_point(gpus_.begin(), gpus_.end(), [gpu](const Gpu& one) { return one.gpu < gpu; });
  };
  return {at_least(group.first), at_least(group.first + group.ranks)};
}

void Timeline::add(const TraceSlice& slice) {
  if (slice.end <= slice.begin || slice.end <= begin_ || slice.begin >= end_) return;
  if (content_.slices.size() < cap_)
    content_.slices.push_back(slice);
  else
    ++content_.dropped;
}

void Timeline::compute(Gpu& gpu, TraceSlice slice) {
  slice.begin = not_before(slice.begin, gpu.compute_until);
  slice.track = gpu.track;
  gpu.compute_until = std::max(gpu.compute_until, slice.end);
  add(slice);
}

void Timeline::on(const PhaseFinished& phase) {
  Group& group = groups_[static_cast<std::size_t>(phase.group)];
  charge(phase, group);
  if (phase.cause == Cause::pipeline) {
    wait_for_group(phase, group);
  } else if (phase.busy.empty()) {
    exchange(phase, group);
  } else {
    if (!phase.summed) begin_meeting(phase, group);
    if (!phase.summed) work(phase, group);
    note_lag(phase, group);
    if (phase.met && (!phase.summed || group.has_streams)) meet(phase, group);
  }
  if (phase.met) group.has_begun = group.has_streams = false;
}

void Timeline::begin_meeting(const PhaseFinished& phase, Group& group) {
  if (group.has_begun) return;
  group.has_begun = true;
  std::fill_n(cursor_.begin() + group.first, group.ranks, phase.at - phase.took);
}

void Timeline::charge(const PhaseFinished& phase, Group& group) {
  const Nanoseconds begin = not_before(to_nanoseconds(phase.at - phase.took), group.charged_until);
  const Nanoseconds end = to_nanoseconds(phase.at);
  if (end <= begin) return;
  const bool goes_on = group.layer.layer == phase.layer && is_same(group.layer.turn, phase.turn) &&
                       begin <= group.charged_until + kSameInstant;
  if (!goes_on) {
    close_layer(group);
    group.layer = {.begin = begin, .kind = SliceKind::layer, .layer = phase.layer, .turn = phase.turn};
  }
  const int gpu = phase.gating_rank >= 0 ? group.first + phase.gating_rank : -1;
  const bool is_moved = phase.busy.empty() && group.moved_at == phase.at;
  add({.begin = begin,
       .end = end,
       .track = phase.group,
       .kind = phase.cause == Cause::pipeline ? SliceKind::wait : SliceKind::charged,
       .cause = phase.cause,
       .layer = phase.layer,
       .turn = phase.turn,
       .gpu = gpu,
       .group = phase.cause == Cause::pipeline ? group_before(phase.group) : -1,
       .link = is_moved ? group.gating_link : -1,
       .summed = phase.summed});
  group.layer.end = group.charged_until = end;
  group.layer.track = phase.group;
}

void Timeline::close_layer(Group& group) {
  if (group.layer.layer >= 0) add(group.layer);
  group.layer = {};
}

void Timeline::work(const PhaseFinished& phase, const Group& group) {
  counters_->release(phase.group, phase.cause, [&](int gpu) -> std::pair<Seconds, Seconds> {
    const int rank = gpu - group.first;
    if (gpu < 0 || rank < 0 || rank >= group.ranks) return {phase.at - phase.took, phase.at};
    const Seconds begin = cursor_[static_cast<std::size_t>(gpu)];
    return {begin, begin + Seconds{phase.busy[static_cast<std::size_t>(rank)]}};
  });
  for (Gpu& gpu : chosen_of(group)) {
    const Seconds begin = cursor_[static_cast<std::size_t>(gpu.gpu)];
    const Seconds end = begin + Seconds{phase.busy[static_cast<std::size_t>(gpu.gpu - group.first)]};
    const bool communicates = is_communication(phase.cause);
    const TraceSlice slice{.begin = to_nanoseconds(begin),
                           .end = to_nanoseconds(end),
                           .track = gpu.track + 1,
                           .kind = communicates ? SliceKind::exchange : SliceKind::work,
                           .cause = phase.cause,
                           .layer = phase.layer,
                           .turn = phase.turn};
    if (communicates)
      add(slice);
    else
      compute(gpu, slice);
  }
  for (int rank = 0; rank < group.ranks; ++rank)
    cursor_[static_cast<std::size_t>(group.first + rank)] += Seconds{phase.busy[static_cast<std::size_t>(rank)]};
}

void Timeline::note_lag(const PhaseFinished& phase, const Group& group) {
  for (Gpu& gpu : chosen_of(group)) {
    const Seconds lag = phase.took - Seconds{phase.busy[static_cast<std::size_t>(gpu.gpu - group.first)]};
    if (lag <= gpu.lag) continue;
    gpu.lag = lag;
    gpu.lagging = phase.cause;
  }
}

/// Ranks that are done wait for the last one.
void Timeline::meet(const PhaseFinished& phase, const Group& group) {
  const int last = group.first + phase.gating_rank;
  for (Gpu& gpu : chosen_of(group)) {
    const Nanoseconds since = to_nanoseconds(cursor_[static_cast<std::size_t>(gpu.gpu)]);
    if (gpu.gpu != last && to_nanoseconds(phase.at) - since > 1)
      compute(gpu, {.begin = since,
                    .end = to_nanoseconds(phase.at),
                    .kind = SliceKind::wait,
                    .cause = gpu.lagging,
                    .layer = phase.layer,
                    .turn = phase.turn,
                    .gpu = last});
    gpu.lag = Seconds{};
    gpu.lagging = Cause::other;
  }
}

void Timeline::exchange(const PhaseFinished& phase, const Group& group) {
  for (const Gpu& gpu : chosen_of(group))
    add({.begin = to_nanoseconds(phase.at - phase.took),
         .end = to_nanoseconds(phase.at),
         .track = gpu.track + 1,
         .kind = SliceKind::exchange,
         .cause = phase.cause,
         .layer = phase.layer,
         .turn = phase.turn,
         .link = group.moved_at == phase.at ? group.gating_link : -1});
}

/// That a group without work waits for; the first waits for the last, which gives microbatches back.
int Timeline::group_before(int group) const {
  const int groups = static_cast<int>(groups_.size());
  return (group + groups - 1) % groups;
}

void Timeline::wait_for_group(const PhaseFinished& phase, const Group& group) {
  for (Gpu& gpu : chosen_of(group))
    compute(gpu, {.begin = to_nanoseconds(phase.at - phase.took),
                  .end = to_nanoseconds(phase.at),
                  .kind = SliceKind::wait,
                  .cause = phase.cause,
                  .turn = phase.turn,
                  .group = group_before(phase.group)});
}

void Timeline::on(const StreamWorked& worked) {
  Group& group = groups_[static_cast<std::size_t>(worked.group)];
  const bool is_hidden = worked.kind == StreamWorked::Kind::hidden;
  for (Gpu& gpu : chosen_of(group)) {
    const auto rank = static_cast<std::size_t>(gpu.gpu - group.first);
    compute(gpu, {.begin = to_nanoseconds(worked.origin + worked.begin[rank]),
                  .end = to_nanoseconds(worked.origin + worked.end[rank]),
                  .kind = is_hidden                                 ? SliceKind::hidden
                          : worked.kind == StreamWorked::Kind::wait ? SliceKind::wait
                                                                    : SliceKind::work,
                  .cause = worked.cause,
                  .layer = worked.layer,
                  .turn = worked.turn,
                  .half = worked.half});
    if (!is_hidden) cursor_[static_cast<std::size_t>(gpu.gpu)] = worked.origin + worked.end[rank];
  }
  group.has_streams = group.has_streams || !is_hidden;
}

void Timeline::on(const BytesMoved& moved) {
  switch (moved.pace) {
    case Pace::together: {
      Group& group = groups_[static_cast<std::size_t>(moved.group)];
      group.moved_at = moved.at;
      group.gating_link = moved.gating_link;
      counters_->add(moved.link_bytes, moved.at - moved.took, moved.at);
      return;
    }
    case Pace::apart:
      counters_->hold(moved.group, moved.cause, moved.link_bytes);
      return;
    case Pace::beside:
      counters_->add(moved.link_bytes, moved.at - moved.took, moved.at);
      transfer(moved, moved.group, moved.to_group);
      if (moved.to_group >= 0) transfer(moved, moved.to_group, moved.to_group);
  }
}

void Timeline::transfer(const BytesMoved& moved, int group, int to_group) {
  for (const Gpu& gpu : chosen_of(groups_[static_cast<std::size_t>(group)]))
    add({.begin = to_nanoseconds(moved.at - moved.took),
         .end = to_nanoseconds(moved.at),
         .track = gpu.track + 1,
         .kind = SliceKind::transfer,
         .cause = moved.cause,
         .layer = moved.layer,
         .turn = moved.turn,
         .half = moved.half,
         .group = to_group});
}

void Timeline::on(const StepFinished& step) {
  const bool is_alone = groups_.size() == 1;
  Group& group = groups_.front();
  if (is_alone) close_layer(group);
  const Nanoseconds begin = not_before(to_nanoseconds(step.at - step.took), step_until_);
  step_until_ = is_alone ? not_before(to_nanoseconds(step.at), group.charged_until) : to_nanoseconds(step.at);
  if (is_alone) group.charged_until = step_until_;
  add({.begin = begin,
       .end = step_until_,
       .track = is_alone ? 0 : static_cast<int>(groups_.size()),
       .kind = SliceKind::step,
       .turn = {step.step, 0}});
  run_end_ = step.at;
  is_over_ = to_nanoseconds(step.at - step.took) >= end_;  // a step later, as stages may be behind
  if (first_step_ < Seconds{}) first_step_ = step.at - step.took;
  if (++steps_ != kTraceSteps || has_window_) return;
  end_ = step_until_;
  counters_->keep_between(begin_, end_);
}

}  // namespace moesim
