#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/kernels/profile.hpp"

namespace moesim {
namespace {

using nlohmann::ordered_json;

ordered_json json_of(const ProfileDevice& device) {
  ordered_json rates = ordered_json::array();
  for (const FormatRate& rate : device.gemm)
    rates.push_back({{"format", name_of(rate.format)}, {"kernel", rate.kernel}, {"flop_per_s", rate.rate.value()}});
  return {{"kind", name_of(device.kind)},
          {"name", device.name},
          {"processors", device.processors},
          {"memory_bytes", device.memory.value()},
          {"last_level_cache_bytes", device.last_level_cache.value()},
          {"copy_bytes_per_s", device.copy.value()},
          {"gemm", rates}};
}

ordered_json json_of(const ProfileProvenance& provenance) {
  ordered_json libraries = ordered_json::array();
  for (const LibraryVersion& library : provenance.libraries)
    libraries.push_back({{"name", library.name}, {"version", library.version}});
  return {{"source", "measured"},
          {"measured_at", provenance.measured_at},
          {"program_version", provenance.program_version},
          {"libraries", libraries},
          {"notes", provenance.notes},
          {"seed", provenance.seed},
          {"budget_s", provenance.budget.value()}};
}

ordered_json json_of(const ProfilePoint& point) {
  return {{"kernel", point.kernel},
          {"hidden", point.shape.hidden},
          {"intermediate", point.shape.intermediate},
          {"experts", point.shape.experts},
          {"format", name_of(point.shape.format)},
          {"histogram", name_of(point.histogram.kind)},
          {"exponent", point.histogram.exponent},
          {"rows", point.histogram.rows},
          {"repetitions", point.repetitions},
          {"median_s", point.median.value()},
          {"p10_s", point.p10.value()},
          {"p90_s", point.p90.value()},
          {"warm_median_s", point.warm ? ordered_json(point.warm->value()) : ordered_json()},
          {"held_out", point.held_out},
          {"unstable", point.unstable}};
}

ordered_json json_of(const OperationPoint& point) {
  ordered_json sizes = ordered_json::object();
  for (const auto& [name, size] : point.sizes) sizes[name] = size;
  return {{"operation", point.operation},     {"kernel", point.kernel},
          {"format", name_of(point.format)},  {"sizes", sizes},
          {"bytes", point.moved.value()},     {"flop", point.work.value()},
          {"repetitions", point.repetitions}, {"median_s", point.median.value()},
          {"p10_s", point.p10.value()},       {"p90_s", point.p90.value()},
          {"unstable", point.unstable}};
}

ordered_json json_of(const HoldOutError& error) {
  return {{"histograms", error.histograms},
          {"points", error.points},
          {"median_error", error.median},
          {"p90_error", error.p90},
          {"mean_only_median_error", error.mean_only_median},
          {"mean_only_p90_error", error.mean_only_p90}};
}

ordered_json json_of(const std::optional<Drift>& drift) {
  if (!drift) return {};
  return {{"anchors", drift->anchors}, {"worst", drift->worst}, {"limit", kDriftLimit}};
}

/// One line per element, so that files of thousands of points can be read and compared by line.
template <class Part>
std::string lines_of(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) text += fmt::format("{}\n    {}", text.empty() ? "" : ",", json_of(part).dump());
  return text.empty() ? "[]" : "[" + text + "\n  ]";
}

}  // namespace

std::string profile_text(const Profile& profile) {
  return fmt::format(
      "{{\n  \"format\": \"moesim kernel profile\",\n  \"version\": {},\n  \"complete\": {},\n  \"planned\": {},\n"
      "  \"device\": {},\n  \"provenance\": {},\n  \"drift\": {},\n  \"hold_out\": {},\n  \"points\": {},\n"
      "  \"operations\": {}\n}}\n",
      kProfileVersion, profile.complete, profile.planned, json_of(profile.device).dump(),
      json_of(profile.provenance).dump(), json_of(profile.drift).dump(), lines_of(profile.hold_out),
      lines_of(profile.points), lines_of(profile.operations));
}

}  // namespace moesim
