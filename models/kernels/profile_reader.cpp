#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "models/hardware/catalogue_json.hpp"
#include "models/kernels/profile.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "moesim kernel profile";
constexpr double kMostSeconds = 1e6, kMostBytes = 1e15, kMostRate = 1e19;

/// An object of the file whose keys were checked, with the kinds of values that a catalogue does not have.
class Object {
public:
  Object(const json& object, const std::string& where, const std::vector<std::string>& keys)
      : json_{object}, checked_{object, where, keys} {}

  std::string where(const std::string& key) const { return checked_.where(key); }
  std::string text(const std::string& key) const { return checked_.text(key); }
  int count(const std::string& key) const { return checked_.count(key); }
  double number(const std::string& key, double least, double most) const { return checked_.number(key, least, most); }

  bool flag(const std::string& key) const {
    if (!json_.at(key).is_boolean()) refuse(key, "true or false");
    return json_.at(key).get<bool>();
  }
  std::uint64_t seed(const std::string& key) const {
    if (!json_.at(key).is_number_unsigned()) refuse(key, "a whole number of at least 0");
    return json_.at(key).get<std::uint64_t>();
  }
  const json& list(const std::string& key) const {
    if (!json_.at(key).is_array()) refuse(key, "a list");
    return json_.at(key);
  }
  const json& any(const std::string& key) const { return json_.at(key); }

  /// The element whose name the text is.
  template <class Enum>
  Enum one_of(const std::string& key, Enum last) const {
    const std::string found = text(key);
    std::vector<std::string> names;
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      names.emplace_back(name_of(static_cast<Enum>(i)));
      if (names.back() == found) return static_cast<Enum>(i);
    }
    throw InputError{where(key), found, fmt::format("one of {}", fmt::join(names, ", ")), nearest(found, names)};
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const {
    throw InputError{where(key), json_.at(key).dump().substr(0, 60), expected};
  }

private:
  const json& json_;
  CatalogueObject checked_;
};

template <class Part>
std::vector<Part> parts(const Object& object, const std::string& key,
                        const std::function<Part(const json&, const std::string&)>& make) {
  std::vector<Part> made;
  for (const json& part : object.list(key))
    made.push_back(make(part, fmt::format("{}[{}]", object.where(key), made.size())));
  return made;
}

FormatRate gemm_rate(const json& part, const std::string& where) {
  const Object object{part, where, {"format", "kernel", "flop_per_s"}};
  return {object.one_of("format", kLastKernelFormat), FlopsPerSecond{object.number("flop_per_s", 1, kMostRate)},
          object.text("kernel")};
}

ProfileDevice device(const json& part, const std::string& where) {
  const Object object{
      part,
      where,
      {"kind", "name", "processors", "memory_bytes", "last_level_cache_bytes", "copy_bytes_per_s", "gemm"}};
  return {object.one_of("kind", DeviceKind::cpu),
          object.text("name"),
          object.count("processors"),
          Bytes{object.number("memory_bytes", 1, kMostBytes)},
          Bytes{object.number("last_level_cache_bytes", 0, kMostBytes)},
          BytesPerSecond{object.number("copy_bytes_per_s", 1, kMostRate)},
          parts<FormatRate>(object, "gemm", gemm_rate)};
}

LibraryVersion library(const json& part, const std::string& where) {
  const Object object{part, where, {"name", "version"}};
  return {object.text("name"), object.text("version")};
}

std::string note(const json& part, const std::string& where) {
  if (!part.is_string()) throw InputError{where, part.dump().substr(0, 60), "a text"};
  return part.get<std::string>();
}

ProfileProvenance provenance(const json& part, const std::string& where) {
  const Object object{
      part, where, {"source", "measured_at", "program_version", "libraries", "notes", "seed", "budget_s"}};
  if (object.text("source") != "measured") object.refuse("source", "measured");
  return {object.text("measured_at"),
          object.text("program_version"),
          parts<LibraryVersion>(object, "libraries", library),
          parts<std::string>(object, "notes", note),
          object.seed("seed"),
          Seconds{object.number("budget_s", 0, kMostSeconds)}};
}

std::vector<std::int32_t> rows(const Object& object, int experts) {
  constexpr int kMostRows = 100'000'000;
  std::vector<std::int32_t> rows;
  for (const json& count : object.list("rows")) {
    if (!count.is_number_integer() || count < 0 || count > kMostRows)
      object.refuse("rows", fmt::format("whole numbers from 0 to {}", kMostRows));
    rows.push_back(count.get<std::int32_t>());
  }
  if (rows.size() != static_cast<std::size_t>(experts))
    throw InputError{object.where("rows"), fmt::format("{} counts", rows.size()),
                     fmt::format("one for each of {} experts", experts)};
  if (std::all_of(rows.begin(), rows.end(), [](std::int32_t count) { return count == 0; }))
    object.refuse("rows", "a row for at least one expert");
  return rows;
}

Seconds seconds(const Object& object, const std::string& key) {
  return Seconds{object.number(key, 1e-9, kMostSeconds)};
}

template <class Point>
void set_times(const Object& object, Point& point) {
  point.repetitions = object.count("repetitions");
  point.median = seconds(object, "median_s");
  point.p10 = seconds(object, "p10_s");
  point.p90 = seconds(object, "p90_s");
  point.unstable = object.flag("unstable");
  if (point.p10 <= point.median && point.median <= point.p90) return;
  throw InputError{object.where("median_s"), fmt::format("{:g}", point.median.value()),
                   fmt::format("a time from p10_s = {:g} to p90_s = {:g}", point.p10.value(), point.p90.value())};
}

ProfilePoint point(const json& part, const std::string& where) {
  const Object object{part,
                      where,
                      {"kernel", "hidden", "intermediate", "experts", "format", "histogram", "exponent", "rows",
                       "repetitions", "median_s", "p10_s", "p90_s", "warm_median_s", "held_out", "unstable"}};
  ProfilePoint point;
  point.kernel = object.text("kernel");
  point.shape = {object.count("hidden"), object.count("intermediate"), object.count("experts"),
                 object.one_of("format", kLastKernelFormat)};
  point.histogram = {object.one_of("histogram", HistogramKind::recorded), object.number("exponent", 0, 20),
                     rows(object, point.shape.experts)};
  set_times(object, point);
  if (!object.any("warm_median_s").is_null()) point.warm = seconds(object, "warm_median_s");
  point.held_out = object.flag("held_out");
  return point;
}

std::map<std::string, std::int64_t> sizes(const Object& object) {
  constexpr std::int64_t kMost = 1'000'000'000'000;
  const json& found = object.any("sizes");
  if (!found.is_object() || found.empty()) object.refuse("sizes", "an object of whole numbers");
  std::map<std::string, std::int64_t> sizes;
  for (const auto& [name, size] : found.items()) {
    if (!size.is_number_integer() || size < 1 || size > kMost) object.refuse("sizes", "an object of whole numbers");
    sizes.emplace(name, size.get<std::int64_t>());
  }
  return sizes;
}

OperationPoint operation(const json& part, const std::string& where) {
  constexpr double kMostWork = 1e18;
  const Object object{part,
                      where,
                      {"operation", "kernel", "format", "sizes", "bytes", "flop", "repetitions", "median_s", "p10_s",
                       "p90_s", "unstable"}};
  OperationPoint point;
  point.operation = object.text("operation");
  point.kernel = object.text("kernel");
  point.format = object.one_of("format", kLastKernelFormat);
  point.sizes = sizes(object);
  point.moved = Bytes{object.number("bytes", 0, kMostBytes)};
  point.work = Flops{object.number("flop", 0, kMostWork)};
  set_times(object, point);
  return point;
}

HoldOutError hold_out(const json& part, const std::string& where) {
  const Object object{
      part,
      where,
      {"histograms", "points", "median_error", "p90_error", "mean_only_median_error", "mean_only_p90_error"}};
  constexpr double kMost = 1e9;
  if (object.text("histograms") != "all") object.one_of("histograms", HistogramKind::recorded);
  return {object.text("histograms"),
          object.count("points"),
          object.number("median_error", 0, kMost),
          object.number("p90_error", 0, kMost),
          object.number("mean_only_median_error", 0, kMost),
          object.number("mean_only_p90_error", 0, kMost)};
}

std::optional<Drift> drift(const json& part, const std::string& where) {
  if (part.is_null()) return std::nullopt;
  const Object object{part, where, {"anchors", "worst", "limit"}};
  object.number("limit", kDriftLimit, kDriftLimit);
  return Drift{object.count("anchors"), object.number("worst", 0, 1e9)};
}

/// Which document it is, before its keys are judged: what another program or version wrote is not a misspelt profile.
void check_format(const json& document, const std::string& origin) {
  const std::string expected = "a kernel profile of moesim calibrate";
  if (!document.is_object() || !document.contains("format") || document["format"] != kFormat)
    throw InputError{origin, fmt::format("no \"format\": \"{}\"", kFormat), expected};
  if (!document.contains("version") || document["version"] != kProfileVersion)
    throw InputError{origin + ": version", document.contains("version") ? document["version"].dump() : "none",
                     fmt::format("{} (calibrate again with this moesim)", kProfileVersion)};
}

}  // namespace

Profile parse_profile(const std::string& text, const std::string& origin) {
  const json document = parse_catalogue_json(text, origin);
  check_format(document, origin);
  const Object file{document,
                    origin + ": ",
                    {"format", "version", "complete", "planned", "device", "provenance", "drift", "hold_out", "points",
                     "operations"}};
  Profile profile;
  profile.complete = file.flag("complete");
  profile.planned = file.count("planned");
  profile.device = device(file.any("device"), file.where("device"));
  profile.provenance = provenance(file.any("provenance"), file.where("provenance"));
  profile.drift = drift(file.any("drift"), file.where("drift"));
  profile.hold_out = parts<HoldOutError>(file, "hold_out", hold_out);
  profile.points = parts<ProfilePoint>(file, "points", point);
  if (profile.points.empty()) file.refuse("points", "at least one point");
  profile.operations = parts<OperationPoint>(file, "operations", operation);
  const std::size_t measured = profile.points.size() + profile.operations.size();
  if (profile.complete && measured < static_cast<std::size_t>(profile.planned))
    throw InputError{file.where("points"), fmt::format("{} points", measured),
                     fmt::format("the {} planned ones of a complete profile", profile.planned)};
  return profile;
}

Profile load_profile(const std::filesystem::path& file) {
  return parse_profile(read_text_file(file), file.string());
}

}  // namespace moesim
