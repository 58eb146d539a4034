#include "plots/trace.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view name_of(SliceKind kind) {
  static constexpr std::string_view names[] = {"step",   "layer",    "charged",  "work",
                                               "hidden", "exchange", "transfer", "wait"};
  return names[static_cast<std::size_t>(kind)];
}

/// Microseconds, exact to the nanosecond: "1234.567".
struct Microseconds {
  Nanoseconds time;
};

std::string text(Microseconds at) {
  return fmt::format("{}.{:03}", at.time / 1000, at.time % 1000);
}

/// A slice or a counter value; those of one instant as Perfetto wants them, the outer slice first.
struct Item {
  Nanoseconds at;
  bool is_point;
  std::size_t index;
};

class Writer {
public:
  Writer(const TraceContent& content, const Topology& topology, const std::vector<std::string>& groups)
      : content_{content}, groups_{groups} {
    for (const Vertex& vertex : topology.vertices()) vertices_.push_back(quoted(vertex.name));
    for (const Link& link : topology.links()) links_.push_back(quoted(link.name));
  }

  std::string take() {
    json_ += "\n]";
    return std::move(json_);
  }

  /// A thread's number must differ from every process's.
  int thread(int track) const { return static_cast<int>(content_.processes.size()) + 1 + track; }

  void names() {
    for (std::size_t p = 0; p < content_.processes.size(); ++p) {
      meta("process_name", static_cast<int>(p), -1, "name", quoted(content_.processes[p]));
      meta("process_sort_index", static_cast<int>(p), -1, "sort_index", std::to_string(p));
    }
    for (std::size_t t = 0; t < content_.tracks.size(); ++t) {
      const TraceTrack& track = content_.tracks[t];
      meta("thread_name", track.process, static_cast<int>(t), "name", quoted(track.name));
      meta("thread_sort_index", track.process, static_cast<int>(t), "sort_index", std::to_string(t));
    }
  }

  void slice(const TraceSlice& slice) {
    begin_event();
    const TraceTrack& track = content_.tracks[static_cast<std::size_t>(slice.track)];
    format(R"({{"ph":"X","name":"{}","cat":"{}","pid":{},"tid":{},"ts":{},"dur":{},"args":{{)", name(slice),
           name_of(slice.kind), track.process + 1, thread(slice.track), text(Microseconds{slice.begin}),
           text(Microseconds{slice.end - slice.begin}));
    arguments(slice);
    json_ += "}}";
  }

  void point(const CounterPoint& point) {
    begin_event();
    const TraceCounter& counter = content_.counters[static_cast<std::size_t>(point.counter)];
    format(R"({{"ph":"C","name":{},"pid":{},"ts":{},"args":{{)", quoted(counter.name), counter.process + 1,
           text(Microseconds{point.at}));
    for (std::size_t s = 0; s < counter.series.size(); ++s)
      format(R"({}"{}":{:.4f})", s > 0 ? "," : "", counter.series[s], point.values[s]);
    json_ += "}}";
  }

private:
  template <typename... Values>
  void format(fmt::format_string<Values...> pattern, Values&&... values) {
    fmt::format_to(std::back_inserter(json_), pattern, std::forward<Values>(values)...);
  }

  void begin_event() {
    json_ += is_first_ ? "\n" : ",\n";
    is_first_ = false;
  }

  void meta(std::string_view what, int process, int track, std::string_view key, const std::string& value) {
    begin_event();
    format(R"({{"ph":"M","name":"{}","pid":{})", what, process + 1);
    if (track >= 0) format(R"(,"tid":{})", thread(track));
    format(R"(,"args":{{"{}":{}}}}})", key, value);
  }

  std::string name(const TraceSlice& slice) const {
    switch (slice.kind) {
      case SliceKind::step:
        return fmt::format("step {}", slice.turn.step);
      case SliceKind::layer:
        return fmt::format("layer {}", slice.layer);
      case SliceKind::wait:
        return "wait";
      default:
        return std::string{moesim::name_of(slice.cause)};
    }
  }

  void arguments(const TraceSlice& slice) {
    format(R"("step":{})", slice.turn.step);
    if (slice.kind == SliceKind::step) return;
    format(R"(,"microbatch":{})", slice.turn.microbatch);
    if (slice.layer >= 0) format(R"(,"layer":{})", slice.layer);
    if (slice.kind == SliceKind::layer) return;
    format(R"(,"cause":"{}")", moesim::name_of(slice.cause));
    if (slice.half >= 0) format(R"(,"half":{})", slice.half);
    const bool waits = slice.kind == SliceKind::wait;
    if (slice.gpu >= 0)
      format(R"(,"{}":{})", waits ? "waits_for" : "gated_by", vertices_[static_cast<std::size_t>(slice.gpu)]);
    if (slice.link >= 0) format(R"(,"gated_by":{})", links_[static_cast<std::size_t>(slice.link)]);
    if (slice.group >= 0)
      format(R"(,"{}":{})", waits ? "waits_for" : "to", quoted(groups_[static_cast<std::size_t>(slice.group)]));
    if (waits && slice.gpu < 0 && slice.group < 0) format(R"(,"waits_for":"{}")", moesim::name_of(slice.cause));
    if (slice.summed) format(R"(,"summed":true)");
  }

  const TraceContent& content_;
  const std::vector<std::string>& groups_;
  std::vector<std::string> vertices_, links_;  ///< names as JSON
  std::string json_ = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  bool is_first_ = true;
};

std::vector<Item> in_order(const TraceContent& content) {
  std::vector<Item> items;
  items.reserve(content.slices.size() + content.points.size());
  for (std::size_t i = 0; i < content.slices.size(); ++i) items.push_back({content.slices[i].begin, false, i});
  for (std::size_t i = 0; i < content.points.size(); ++i) items.push_back({content.points[i].at, true, i});
  const auto key = [&](const Item& item) {
    if (item.is_point) return std::tuple{item.at, 0, Nanoseconds{0}, item.index};
    const TraceSlice& slice = content.slices[item.index];
    return std::tuple{item.at, 1 + static_cast<int>(slice.kind), slice.begin - slice.end, item.index};
  };
  std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) { return key(a) < key(b); });
  return items;
}

double microseconds(Nanoseconds time) {
  return static_cast<double>(time) / 1000;
}

Json other_data(const TraceContent& content, const TraceOrigin& origin, const Trace& trace) {
  return {{"generator", "moesim " + origin.version},
          {"scenario", origin.scenario},
          {"scenario_hash", origin.scenario_hash},
          {"seed", origin.seed},
          {"window_us", {microseconds(content.begin), microseconds(content.end)}},
          {"ranks", content.ranks},
          {"events", trace.events},
          {"dropped_events", trace.dropped},
          {"complete_until_us", microseconds(to_nanoseconds(trace.complete_until))},
          {"notes", content.notes}};
}

Seconds seconds(Nanoseconds time) {
  return Seconds{static_cast<double>(time) * 1e-9};
}

}  // namespace

Nanoseconds to_nanoseconds(Seconds time) {
  return std::llround(time.value() * 1e9);
}

Trace write_trace(TraceContent content, const Topology& topology, const std::vector<std::string>& groups,
                  const TraceOrigin& origin, std::size_t cap) {
  const std::vector<Item> items = in_order(content);
  const std::size_t kept = std::min(cap, items.size());
  Trace trace;
  trace.events = static_cast<std::int64_t>(kept);
  trace.dropped = content.dropped + static_cast<std::int64_t>(items.size() - kept);
  trace.begin = seconds(content.begin);
  trace.end = seconds(content.end);
  trace.complete_until = trace.end;
  if (trace.dropped > 0 && !items.empty()) trace.complete_until = seconds(items[std::min(kept, items.size() - 1)].at);
  trace.notes = content.notes;

  Writer writer{content, topology, groups};
  writer.names();
  for (std::size_t i = 0; i < kept; ++i)
    if (items[i].is_point)
      writer.point(content.points[items[i].index]);
    else
      writer.slice(content.slices[items[i].index]);
  trace.json = writer.take() + ",\n\"otherData\":" +
               other_data(content, origin, trace).dump(-1, ' ', false, Json::error_handler_t::replace) + "}\n";
  return trace;
}

}  // namespace moesim
