#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "sim/cli/compare_table.hpp"
#include "sim/metrics/shell_word.hpp"
#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json optional(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json milliseconds(Seconds value) {
  return value.value() * 1e3;
}

Json memory(const ComparedRun& run) {
  if (!run.memory) return nullptr;
  return {{"per_gpu_max_bytes", run.memory->value()},
          {"capacity_bytes", run.memory_limit->value()},
          {"fits", run.status != RunStatus::infeasible}};
}

Json slo(const RunFigures& figures) {
  Json list = Json::array();
  for (const auto& item : figures.slo)
    list.push_back({{"name", item.name},
                    {"limit_ms", milliseconds(item.limit)},
                    {"reached_ms", item.reached ? milliseconds(*item.reached) : Json(nullptr)},
                    {"met", item.reached ? Json(item.met) : Json(nullptr)}});
  return list;
}

Json figures(const std::optional<RunFigures>& of) {
  if (!of) return nullptr;
  return {{"step_ms", milliseconds(of->step)},
          {"step_p99_ms", milliseconds(of->step_p99)},
          {"tokens_per_s", of->tokens_per_s},
          {"tokens_per_s_per_gpu", of->tokens_per_s_per_gpu},
          {"ratio_to_first", optional(of->to_first)},
          {"ratio_to_best", optional(of->to_best)},
          {"expert_max_over_mean", optional(of->expert_load)},
          {"gpu_max_over_mean", optional(of->gpu_load)},
          {"bound_by", name_of(of->bound.cause)},
          {"bound_by_share", of->bound.share},
          {"slo", slo(*of)},
          {"kernel_source", of->kernel_source},
          {"uncertainty", Json::parse(uncertainty_json(of->uncertainty))},
          {"warnings", of->warnings}};
}

Json pairs(const std::vector<Override>& overrides) {
  Json list = Json::array();
  for (const auto& [key, value] : overrides) list.push_back({{"key", key}, {"value", value}});
  return list;
}

Json row(const ComparedRun& run) {
  const bool loads = !run.model.empty();
  return {{"folder", run.plan.folder},
          {"scenario", run.plan.file},
          {"varied", pairs(run.plan.varied)},
          {"status", name_of(run.status)},
          {"reason", text_or_null(run.reason)},
          {"remedies", run.remedies},
          {"model", text_or_null(run.model)},
          {"gpu", text_or_null(run.gpu)},
          {"gpus", loads ? Json(run.gpus) : Json(nullptr)},
          {"nodes", loads ? Json(run.nodes) : Json(nullptr)},
          {"arithmetic", text_or_null(run.arithmetic)},
          {"layout", text_or_null(run.layout)},
          {"scenario_hash", text_or_null(run.hash)},
          {"memory", memory(run)},
          {"figures", figures(run.figures)}};
}

/// What a spreadsheet would take for a formula; a number is none.
bool is_formula(const std::string& field) {
  if (field.find_first_of("=+-@\t\r") != 0) return false;
  char* end = nullptr;
  std::strtod(field.c_str(), &end);
  return *end != 0 || end == field.c_str();
}

std::string quoted(const std::string& field) {
  const std::string safe = is_formula(field) ? "'" + field : field;
  if (safe.find_first_of("\",\r\n") == std::string::npos) return safe;
  std::string text = "\"";
  for (const char c : safe) text += c == '"' ? std::string{"\"\""} : std::string{c};
  return text + "\"";
}

/// As the field of a CSV: null is empty, a text stands without JSON's quotes.
std::string field(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? quoted(value.get<std::string>()) : value.dump();
}

/// "tpot ok; ttft not judged"
std::string slo_field(const Json& list) {
  std::string text;
  for (const Json& item : list)
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", item["name"].get<std::string>(),
                        item["met"].is_null() ? "not judged"
                        : item["met"] == true ? "ok"
                                              : "missed");
  return text;
}

std::string joined(const Json& texts) {
  return quoted(fmt::format("{}", fmt::join(texts.get<std::vector<std::string>>(), "; ")));
}

constexpr const char* kPlanned[] = {"status", "reason",     "model",  "gpu",          "gpus",
                                    "nodes",  "arithmetic", "layout", "scenario_hash"};
constexpr const char* kMemory[] = {"per_gpu_max_bytes", "capacity_bytes"};
constexpr const char* kFigures[] = {"step_ms",        "step_p99_ms",    "tokens_per_s",         "tokens_per_s_per_gpu",
                                    "ratio_to_first", "ratio_to_best",  "expert_max_over_mean", "gpu_max_over_mean",
                                    "bound_by",       "bound_by_share", "kernel_source"};

std::string csv_line(const Json& run) {
  std::string text = field(run["folder"]) + "," + field(run["scenario"]);
  for (const Json& item : run["varied"]) text += "," + field(item["value"]);
  for (const char* name : kPlanned) text += "," + field(run[name]);
  for (const char* name : kMemory) text += "," + (run["memory"].is_null() ? "" : field(run["memory"][name]));
  const Json& of = run["figures"];
  for (const char* name : kFigures) text += "," + (of.is_null() ? "" : field(of[name]));
  text += "," + (of.is_null() ? "" : slo_field(of["slo"]));
  text += "," + (of.is_null() || of["uncertainty"].is_null() ? "" : field(of["uncertainty"]["sigma"]));
  return text + "," + (of.is_null() ? "" : joined(of["warnings"])) + "\n";
}

}  // namespace

std::string comparison_json(const Comparison& comparison, const std::string& sorted_by) {
  Json runs = Json::array();
  for (const ComparedRun& run : comparison.runs) runs.push_back(row(run));
  const ComparedRun* best = best_of(comparison);
  const std::string sort = sorted_by.empty() ? "" : " --sort " + shell_word(sorted_by);
  const Json document{{"command", comparison.plan.command + sort},
                      {"phase", name_of(comparison.phase)},
                      {"set", pairs(comparison.plan.set)},
                      {"varied_keys", comparison.plan.keys},
                      {"differing_keys", comparison.differing},
                      {"first", comparison.plan.runs.front().folder},
                      {"best", best != nullptr ? Json(best->plan.folder) : Json(nullptr)},
                      {"sorted_by", text_or_null(sorted_by)},
                      {"version", MOESIM_VERSION},
                      {"runs", runs}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string comparison_csv(const Comparison& comparison) {
  std::string text = "folder,scenario";
  for (const std::string& key : comparison.plan.keys) text += "," + quoted(key);
  for (const char* name : kPlanned) text += fmt::format(",{}", name);
  for (const char* name : kMemory) text += fmt::format(",{}", name);
  for (const char* name : kFigures) text += fmt::format(",{}", name);
  text += ",slo,uncertainty_sigma,warnings\n";
  for (const ComparedRun& run : comparison.runs) text += csv_line(row(run));
  return text;
}

}  // namespace moesim
