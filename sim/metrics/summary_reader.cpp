#include "sim/metrics/summary_reader.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "sim/metrics/json_value.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/metrics/tables_reader.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

using Value = JsonValue;

/// The 50th, 90th and 99th cannot be in another order.
Percentiles ordered(const Value& mean, const Value& p50, const Value& p90, const Value& p99) {
  if (p90.amount() < p50.amount()) p90.refuse("at least p50");
  if (p99.amount() < p90.amount()) p99.refuse("at least p90");
  return {mean.milliseconds(), p50.milliseconds(), p90.milliseconds(), p99.milliseconds()};
}

std::optional<Percentiles> percentiles(const Value& of) {
  if (of["mean"].is_null()) return std::nullopt;
  return ordered(of["mean"], of["p50"], of["p90"], of["p99"]);
}

std::optional<double> amount_or_none(const Value& of) {
  return of.is_null() ? std::nullopt : std::optional{of.amount()};
}

/// Of the fullest over the mean one.
std::optional<MeanMax> mean_max(const Value& of) {
  if (of["mean"].is_null()) return std::nullopt;
  return MeanMax{of["mean"].at_least(1), of["max"].at_least(of["mean"].number())};
}

void read_speed(const Value& json, Summary& summary) {
  const Value rates = json["throughput"], latency = json["latency"], step = json["step"];
  summary.output_tokens_per_s = amount_or_none(rates["output_tokens_per_s"]);
  summary.input_tokens_per_s = amount_or_none(rates["input_tokens_per_s"]);
  summary.total_tokens_per_s = rates["total_tokens_per_s"].amount();
  summary.ttft = percentiles(latency["ttft_ms"]);
  summary.tpot = percentiles(latency["tpot_ms"]);
  summary.itl = percentiles(latency["itl_ms"]);
  summary.e2e = percentiles(latency["e2e_ms"]);
  summary.step = ordered(step["mean_ms"], step["p50_ms"], step["p90_ms"], step["p99_ms"]);
}

void read_balance(const Value& json, Summary& summary) {
  const Value imbalance = json["imbalance"], cost = imbalance["cost"], path = json["critical_path"];
  summary.expert_imbalance = mean_max(imbalance["expert"]);
  summary.gpu_imbalance = mean_max(imbalance["gpu"]);
  summary.nic_imbalance = mean_max(imbalance["nic"]);
  summary.imbalance_cost = {cost["experts"].share(), cost["links"].share(), cost["batches"].share(),
                            cost["slow_gpus"].share()};
  double sum = 0;
  for (int cause = 0; cause < kCauses; ++cause)
    sum += summary.critical_path[static_cast<std::size_t>(cause)] =
        path[std::string{name_of(static_cast<Cause>(cause))}].share();
  constexpr double kRounding = 1e-6;
  if (std::abs(sum - 1) > kRounding) path.refuse("shares that sum to 1");
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
    if (!item["layer"].is_null()) spot.layer = item["layer"].count(-1);
    spot.share_of_time = item["share_of_time"].share();
    spot.reason = item["reason"].text();
    spot.remedy = item["remedy"].text();
    if (const Value set = item["set"]; !set.is_null())
      set.each([&](const Value& one) { spot.set.emplace_back(one["key"].text(), one["value"].text()); });
    if (!item["gain_ms"].is_null()) spot.gain = Seconds{item["gain_ms"].number() * 1e-3};  // below 0: a loss
    spot.gain_note = item["gain_note"].text_or_empty();
    summary.hotspots.push_back(std::move(spot));
  });
}

void read_memory(const Value& json, MemoryFit& fit) {
  fit.needed = json["per_gpu_max_bytes"].bytes();
  fit.capacity = json["capacity_bytes"].bytes();
  fit.device = json["device_bytes"].bytes();
  fit.offloaded = json["offloaded_bytes"].bytes();
  fit.fits = json["fits"].truth();
  if (fit.fits != (fit.needed <= fit.capacity)) json["fits"].refuse("what the bytes beside it say");
  fit.kv_tokens_capacity = static_cast<long long>(json["kv_tokens_capacity_per_gpu"].natural());
  json["detail"].each([&](const Value& line) {
    fit.lines.push_back({line["name"].text(), line["group"].text(), line["bytes"].bytes(), line["formula"].text()});
  });
}

void read_verdicts(const Value& list, Summary& summary) {
  list.each([&](const Value& item) {
    Summary::SloVerdict verdict{item["name"].text(), item["limit_ms"].milliseconds(), std::nullopt, false};
    if (!item["reached_ms"].is_null()) {
      verdict.reached = item["reached_ms"].milliseconds();
      verdict.met = item["met"].truth();
      if (verdict.met != (*verdict.reached <= verdict.limit)) item["met"].refuse("what the times beside it say");
    }
    summary.slo.push_back(std::move(verdict));
  });
}

std::optional<SampleError> sample_error(const Value& of) {
  if (of.is_null()) return std::nullopt;
  return SampleError{of["mean"].at_least(-1), of["worst"].at_least(-1), amount_or_none(of["ci95"])};  // of a time
}

std::optional<Audit> audit(const Value& of) {
  if (of.is_null()) return std::nullopt;
  return Audit{of["sampled"].count(1),   sample_error(of["sampling"]),  sample_error(of["sharing"]),
               of["escalated"].count(0), sample_error(of["staggered"]), amount_or_none(of["bracket"])};
}

void read_provenance(const Value& json, Summary& summary) {
  const Value provenance = json["provenance"];
  summary.version = provenance["version"].text();
  summary.scenario_hash = provenance["scenario_hash"].text();
  summary.seed = provenance["seed"].natural();
  summary.simgrid = provenance["simgrid"].text();
  summary.kernel_source = provenance["kernel_source"].text();
  if (!provenance["profile"].is_null()) summary.profile = provenance["profile"].text();
  json["chosen"].each_member([&](const std::string& key, const Value& took) { summary.chosen[key] = took.text(); });
  json["notes"].each([&](const Value& note) { summary.notes.push_back(note.text()); });
}

void read_kernels(const Value& json, Summary& summary) {
  json["kernels"].each([&](const Value& item) {
    summary.kernels.push_back({item["op_class"].text(), named(item["cause"], Cause::other), item["source"].text(),
                               item["kernel"].text_or_empty(), item["regime"].text_or_empty(),
                               item["sigma"].is_null() ? 0 : item["sigma"].amount(), item["time_ms"].milliseconds(),
                               item["stand_in"].text_or_empty()});
  });
  const Value uncertainty = json["uncertainty"];
  if (uncertainty.is_null()) return;
  const Value rate = uncertainty["output_tokens_per_s"];
  summary.uncertainty = Uncertainty{uncertainty["sigma"].amount(),
                                    uncertainty["most_from"].text(),
                                    uncertainty["step_ms"]["p10"].milliseconds(),
                                    uncertainty["step_ms"]["p90"].milliseconds(),
                                    amount_or_none(rate["p10"]),
                                    amount_or_none(rate["p90"])};
}

void read_json(const Value& json, const std::string& version, Summary& summary) {
  if (const Value found = json["provenance"]["version"]; found.text() != version)
    throw InputError{found.place(), found.text(),
                     fmt::format("results of this moesim {}; run its scenario.resolved.yaml again", version)};
  summary.scenario_name = json["scenario"].text();
  summary.question = json["question"].text();
  summary.headline = json["deployment"].text();
  summary.model = json["model"].text();
  summary.gpu = json["gpu"].text();
  summary.gpus = json["gpus"].count(1);
  summary.nodes = json["nodes"].count(1);
  summary.cluster_gpus = json["cluster_gpus"].count(summary.gpus);
  if (const Value each = json["gpus_per_node"]; !each.is_null()) summary.gpus_per_node = each.count(1);
  read_speed(json, summary);
  read_balance(json, summary);
  read_hotspots(json["hotspots"], summary);
  read_memory(json["memory"], summary.memory);
  read_verdicts(json["slo"], summary);
  summary.quality_penalty = amount_or_none(json["quality_penalty"]);
  summary.audit = audit(json["audit"]);
  summary.tokens_conserved = json["invariants"]["tokens_conserved"].truth();
  summary.bytes_conserved = json["invariants"]["bytes_conserved"].truth();
  summary.usd_per_hour = amount_or_none(json["cost"]["usd_per_hour"]);
  summary.usd_per_million_output_tokens = amount_or_none(json["cost"]["usd_per_million_output_tokens"]);
  read_provenance(json, summary);
  read_kernels(json, summary);
}

/// Tables of another run beside the summary.
void check_rows(const fs::path& file, std::size_t found, int expected, const char* what) {
  if (found != static_cast<std::size_t>(expected))
    throw InputError{file.string(), fmt::format("{} rows", found),
                     fmt::format("{}, the {} of summary.json beside it", expected, what)};
}

/// Within what the table rounds.
void check_sums(const Value& json, const Summary& summary) {
  double seconds = 0, tokens = 0;
  for (const StepRow& row : summary.steps) {
    seconds += row.took.value();
    tokens += static_cast<double>(row.tokens);
  }
  constexpr double kRounding = 1e-3;
  const auto is = [](double found, double expected) {
    return std::abs(found - expected) <= kRounding * expected + 1e-9;
  };
  const Value mean = json["step"]["mean_ms"], rate = json["throughput"]["total_tokens_per_s"];
  const double count = static_cast<double>(summary.steps.size());
  if (!is(mean.number() * count, seconds * 1e3)) mean.refuse("the mean of steps.csv beside it");
  if (!is(rate.number() * seconds, tokens)) rate.refuse("the tokens over the time of steps.csv beside it");
}

}  // namespace

Summary read_summary(const fs::path& folder, const std::string& version) {
  const fs::path file = folder / "summary.json";
  for (const char* name : {"summary.json", "steps.csv", "gpus.csv", "experts.csv", "links.csv"})
    require_results(folder / name);
  const nlohmann::json parsed = parse_results(file);
  const Value json{parsed, file.string()};
  Summary summary;
  read_json(json, version, summary);
  read_steps((folder / "steps.csv").string(), summary);
  read_gpus((folder / "gpus.csv").string(), summary);
  read_experts((folder / "experts.csv").string(), summary);
  read_links((folder / "links.csv").string(), summary);
  check_rows(folder / "gpus.csv", summary.gpu_table.size(), summary.gpus, "GPUs");
  check_rows(folder / "steps.csv", summary.steps.size(), json["step"]["count"].count(1), "steps");
  check_sums(json, summary);
  return summary;
}

}  // namespace moesim
