#include "tests/plots/trace_reading.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace moesim::testing {

namespace {

std::int64_t nanoseconds(const nlohmann::json& microseconds) {
  return std::llround(microseconds.get<double>() * 1000);
}

bool is_of_gpu(const std::string& track) {
  return track.find(" compute") != std::string::npos || track.find(" communication") != std::string::npos;
}

}  // namespace

ReadTrace::ReadTrace(const std::string& json) {
  const auto trace = nlohmann::json::parse(json);
  other = trace.at("otherData");
  std::map<std::pair<int, int>, std::string> names;
  for (const auto& event : trace.at("traceEvents")) {
    const std::string phase = event.at("ph");
    if (phase == "M" && event.at("name") == "thread_name") {
      tracks.push_back(event["args"]["name"]);
      names[{event.at("pid"), event.at("tid")}] = tracks.back();
    }
    if (phase == "X")
      slices.push_back({nanoseconds(event.at("ts")), nanoseconds(event.at("ts")) + nanoseconds(event.at("dur")),
                        names.at({event.at("pid"), event.at("tid")}), event.at("name"), event.at("cat"),
                        event.at("args")});
    if (phase == "C") counters[event.at("name")].emplace_back(nanoseconds(event.at("ts")), event.at("args"));
  }
}

std::vector<ReadSlice> ReadTrace::on(const std::string& track) const {
  std::vector<ReadSlice> found;
  std::copy_if(slices.begin(), slices.end(), std::back_inserter(found),
               [&](const ReadSlice& slice) { return slice.track == track; });
  return found;
}

std::vector<std::string> ReadTrace::overlaps() const {
  std::vector<std::string> found;
  std::map<std::string, std::vector<std::int64_t>> open;  // ends, the innermost last
  for (const ReadSlice& slice : slices) {
    auto& ends = open[slice.track];
    while (!ends.empty() && ends.back() <= slice.begin) ends.pop_back();
    if (slice.end <= slice.begin || (!ends.empty() && (slice.end > ends.back() || is_of_gpu(slice.track))))
      found.push_back(fmt::format("{} on {}: {} to {} ns", slice.name, slice.track, slice.begin, slice.end));
    ends.push_back(slice.end);
  }
  return found;
}

double ReadTrace::largest_counter() const {
  double largest = 0;
  for (const auto& [name, points] : counters)
    for (const auto& point : points)
      for (const auto& value : point.second) largest = std::max(largest, value.get<double>());
  return largest;
}

}  // namespace moesim::testing
