#include "sim/metrics/summary_reader.hpp"

#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "models/units/error.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/metrics/tables_reader.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

/// A value of summary.json that knows its place, for errors.
class Value {
public:
  Value(const Json& json, std::string place) : json_{json}, place_{std::move(place)} {}

  Value operator[](const std::string& key) const {
    if (!json_.is_object() || !json_.contains(key)) fail(fmt::format("no key '{}'", key), "a whole summary of a run");
    return {json_[key], fmt::format("{}{}{}", place_, place_.back() == ':' ? " " : ".", key)};
  }
  template <class Visit>
  void each(const Visit& visit) const {
    if (!json_.is_array()) fail(shown(), "a list");
    for (std::size_t i = 0; i < json_.size(); ++i) visit(Value{json_[i], fmt::format("{}[{}]", place_, i)});
  }
  template <class Visit>
  void each_member(const Visit& visit) const {
    if (!json_.is_object()) fail(shown(), "an object");
    for (const auto& [key, value] : json_.items()) visit(key, Value{value, fmt::format("{}.{}", place_, key)});
  }
  bool is_null() const { return json_.is_null(); }
  double number() const {
    if (!json_.is_number()) fail(shown(), "a number");
    return json_.get<double>();
  }
  long long whole() const {
    if (!json_.is_number_integer()) fail(shown(), "a whole number");
    return json_.get<long long>();
  }
  bool truth() const {
    if (!json_.is_boolean()) fail(shown(), "true or false");
    return json_.get<bool>();
  }
  std::string text() const {
    if (!json_.is_string()) fail(shown(), "a text");
    return json_.get<std::string>();
  }
  Seconds milliseconds() const { return Seconds{number() * 1e-3}; }
  std::optional<double> optional_number() const { return is_null() ? std::nullopt : std::optional{number()}; }
  const std::string& place() const { return place_; }

private:
  std::string shown() const { return json_.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40); }
  [[noreturn]] void fail(const std::string& found, const std::string& expected) const {
    throw InputError{place_.back() == ':' ? place_.substr(0, place_.size() - 1) : place_, found, expected};
  }

  const Json& json_;
  std::string place_;
};

/// A pipe would never end.
void require_file(const fs::path& file) {
  std::error_code failure;
  if (fs::is_regular_file(file, failure)) return;
  throw InputError{file.string(), fs::exists(file, failure) ? "what is no regular file" : "no such file",
                   "a whole result folder of moesim run"};
}

Json parse(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw InputError{file.string(), fmt::format("damaged JSON at byte {} of {}", error.byte, text.size()),
                     "a summary as moesim run writes it"};
  } catch (const Json::exception&) {
    throw InputError{file.string(), "a number beyond all bounds", "a summary as moesim run writes it"};
  }
}

std::optional<Percentiles> percentiles(const Value& of) {
  if (of["mean"].is_null()) return std::nullopt;
  return Percentiles{of["mean"].milliseconds(), of["p50"].milliseconds(), of["p90"].milliseconds(),
                     of["p99"].milliseconds()};
}

std::optional<MeanMax> mean_max(const Value& of) {
  if (of["mean"].is_null()) return std::nullopt;
  return MeanMax{of["mean"].number(), of["max"].number()};
}

void read_speed(const Value& json, Summary& summary) {
  const Value rates = json["throughput"], latency = json["latency"];
  summary.output_tokens_per_s = rates["output_tokens_per_s"].optional_number();
  summary.input_tokens_per_s = rates["input_tokens_per_s"].optional_number();
  summary.total_tokens_per_s = rates["total_tokens_per_s"].number();
  summary.ttft = percentiles(latency["ttft_ms"]);
  summary.tpot = percentiles(latency["tpot_ms"]);
  summary.itl = percentiles(latency["itl_ms"]);
  summary.e2e = percentiles(latency["e2e_ms"]);
  const Value step = json["step"];
  summary.step = {step["mean_ms"].milliseconds(), step["p50_ms"].milliseconds(), step["p90_ms"].milliseconds(),
                  step["p99_ms"].milliseconds()};
}

void read_balance(const Value& json, Summary& summary) {
  const Value imbalance = json["imbalance"], cost = imbalance["cost"];
  summary.expert_imbalance = mean_max(imbalance["expert"]).value_or(MeanMax{});
  summary.gpu_imbalance = mean_max(imbalance["gpu"]).value_or(MeanMax{});
  summary.nic_imbalance = mean_max(imbalance["nic"]);
  summary.imbalance_cost = {cost["experts"].number(), cost["links"].number(), cost["batches"].number(),
                            cost["slow_gpus"].number()};
  for (int cause = 0; cause < kCauses; ++cause)
    summary.critical_path[static_cast<std::size_t>(cause)] =
        json["critical_path"][std::string{name_of(static_cast<Cause>(cause))}].number();
}

/// The value of a closed set that has this name; the last one of the set ends the search.
template <class Enum>
Enum named(const Value& of, Enum last) {
  std::vector<std::string> known;
  for (int value = 0; value <= static_cast<int>(last); ++value) {
    known.emplace_back(name_of(static_cast<Enum>(value)));
    if (of.text() == known.back()) return static_cast<Enum>(value);
  }
  throw InputError{of.place(), of.text(), fmt::format("one of {}", fmt::join(known, ", ")), nearest(of.text(), known)};
}

void read_hotspots(const Value& list, Summary& summary) {
  list.each([&](const Value& item) {
    Hotspot spot;
    spot.kind = named(item["kind"], Hotspot::Kind::stage);
    spot.cause = named(item["cause"], Hotspot::Cause::uneven_pools);
    spot.id = item["id"].text();
    if (!item["layer"].is_null()) spot.layer = static_cast<int>(item["layer"].whole());
    spot.share_of_time = item["share_of_time"].number();
    spot.reason = item["reason"].text();
    spot.remedy = item["remedy"].text();
    if (const Value set = item["set"]; !set.is_null())
      set.each([&](const Value& one) { spot.set.emplace_back(one["key"].text(), one["value"].text()); });
    if (!item["gain_ms"].is_null()) spot.gain = item["gain_ms"].milliseconds();
    if (!item["gain_note"].is_null()) spot.gain_note = item["gain_note"].text();
    summary.hotspots.push_back(std::move(spot));
  });
}

void read_memory(const Value& json, MemoryFit& fit) {
  fit.needed = Bytes{json["per_gpu_max_bytes"].number()};
  fit.capacity = Bytes{json["capacity_bytes"].number()};
  fit.device = Bytes{json["device_bytes"].number()};
  fit.offloaded = Bytes{json["offloaded_bytes"].number()};
  fit.fits = json["fits"].truth();
  fit.kv_tokens_capacity = json["kv_tokens_capacity_per_gpu"].whole();
  json["detail"].each([&](const Value& line) {
    fit.lines.push_back(
        {line["name"].text(), line["group"].text(), Bytes{line["bytes"].number()}, line["formula"].text()});
  });
}

void read_verdicts(const Value& list, Summary& summary) {
  list.each([&](const Value& item) {
    std::optional<Seconds> reached;
    if (!item["reached_ms"].is_null()) reached = item["reached_ms"].milliseconds();
    summary.slo.push_back(
        {item["name"].text(), item["limit_ms"].milliseconds(), reached, reached && item["met"].truth()});
  });
}

std::optional<SampleError> sample_error(const Value& of) {
  if (of.is_null()) return std::nullopt;
  return SampleError{of["mean"].number(), of["worst"].number(), of["ci95"].optional_number()};
}

std::optional<Audit> audit(const Value& of) {
  if (of.is_null()) return std::nullopt;
  return Audit{
      static_cast<int>(of["sampled"].whole()),   sample_error(of["sampling"]),  sample_error(of["sharing"]),
      static_cast<int>(of["escalated"].whole()), sample_error(of["staggered"]), of["bracket"].optional_number()};
}

void read_provenance(const Value& json, Summary& summary) {
  const Value provenance = json["provenance"];
  summary.version = provenance["version"].text();
  summary.scenario_hash = provenance["scenario_hash"].text();
  summary.seed = static_cast<std::uint64_t>(provenance["seed"].number());
  summary.simgrid = provenance["simgrid"].text();
  summary.kernel_source = provenance["kernel_source"].text();
  json["chosen"].each_member([&](const std::string& key, const Value& took) { summary.chosen[key] = took.text(); });
  json["notes"].each([&](const Value& note) { summary.notes.push_back(note.text()); });
}

void read_json(const Value& json, const std::string& version, Summary& summary) {
  if (const Value found = json["provenance"]["version"]; found.text() != version)
    throw InputError{found.place(), found.text(),
                     fmt::format("results of this moesim {}; run its scenario.resolved.yaml again", version)};
  summary.scenario_name = json["scenario"].text();
  summary.question = json["question"].text();
  summary.headline = json["deployment"].text();
  summary.gpus = static_cast<int>(json["gpus"].whole());
  summary.nodes = static_cast<int>(json["nodes"].whole());
  read_speed(json, summary);
  read_balance(json, summary);
  read_hotspots(json["hotspots"], summary);
  read_memory(json["memory"], summary.memory);
  read_verdicts(json["slo"], summary);
  summary.quality_penalty = json["quality_penalty"].optional_number();
  summary.audit = audit(json["audit"]);
  summary.tokens_conserved = json["invariants"]["tokens_conserved"].truth();
  summary.bytes_conserved = json["invariants"]["bytes_conserved"].truth();
  summary.usd_per_hour = json["cost"]["usd_per_hour"].optional_number();
  summary.usd_per_million_output_tokens = json["cost"]["usd_per_million_output_tokens"].optional_number();
  read_provenance(json, summary);
}

}  // namespace

/// Tables of another run beside the summary.
void check_rows(const fs::path& file, std::size_t found, std::size_t expected, const char* what) {
  if (found != expected)
    throw InputError{file.string(), fmt::format("{} rows", found),
                     fmt::format("{}, the {} of summary.json beside it", expected, what)};
}

Summary read_summary(const fs::path& folder, const std::string& version) {
  const fs::path file = folder / "summary.json";
  for (const char* name : {"summary.json", "steps.csv", "gpus.csv", "experts.csv", "links.csv"})
    require_file(folder / name);
  const Json json = parse(file);
  Summary summary;
  read_json(Value{json, file.string() + ":"}, version, summary);
  read_steps((folder / "steps.csv").string(), summary);
  read_gpus((folder / "gpus.csv").string(), summary);
  read_experts((folder / "experts.csv").string(), summary);
  read_links((folder / "links.csv").string(), summary);
  const Value whole{json, file.string() + ":"};
  check_rows(folder / "gpus.csv", summary.gpu_table.size(), static_cast<std::size_t>(summary.gpus), "GPUs");
  check_rows(folder / "steps.csv", summary.steps.size(), static_cast<std::size_t>(whole["step"]["count"].whole()),
             "steps");
  return summary;
}

}  // namespace moesim
