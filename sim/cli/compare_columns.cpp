#include "sim/cli/compare_columns.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/cli/terminal.hpp"
#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

/// A column of finished runs.
std::function<Cell(const ComparedRun&)> figure(std::function<Cell(const RunFigures&)> of) {
  return [of](const ComparedRun& run) { return run.figures ? of(*run.figures) : Cell{kNothing, {}}; };
}

Cell ratio(const std::optional<double>& value) {
  return value ? Cell{fmt::format("{:.2f}", *value), value} : Cell{kNothing, {}};
}

Cell memory(const ComparedRun& run) {
  if (!run.memory) return {kNothing, {}};
  return {fmt::format("{:.1f} of {:.1f} GiB {}", gibibytes(*run.memory), gibibytes(*run.memory_limit),
                      run.status == RunStatus::infeasible ? "no" : "ok"),
          run.memory->value()};
}

Cell step(const ComparedRun& run) {
  if (!run.figures) return {std::string{name_of(run.status)}, {}};
  return {human(run.figures->step), run.figures->step.value()};
}

Cell throughput(const RunFigures& figures) {
  const double rate = figures.tokens_per_s_per_gpu;
  return {rate_words(rate), rate};
}

Cell bound(const RunFigures& figures) {
  return {fmt::format("{} {:.0f} %", words_of(figures.bound.cause), 100 * figures.bound.share), {}};
}

Cell slo(const RunFigures& figures) {
  std::vector<std::string> verdicts;
  for (const auto& item : figures.slo)
    verdicts.push_back(item.name + (!item.reached ? " not judged" : item.met ? " ok" : " missed"));
  return {verdicts.empty() ? kNothing : fmt::format("{}", fmt::join(verdicts, " ")), {}};
}

std::string scenario_name(const ComparedRun& run) {
  return std::filesystem::path{run.plan.file}.stem().string();
}

/// A value of --vary: a number sorts as one.
Cell varied(const ComparedRun& run, const std::string& key) {
  for (const auto& [name, value] : run.plan.varied) {
    if (name != key) continue;
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    return {value, *end == 0 && !value.empty() ? std::optional{number} : std::nullopt};
  }
  return {kNothing, {}};
}

Cell text_or_nothing(const std::string& text) {
  return {text.empty() ? kNothing : text, {}};
}

/// Short where only the last word is needed: "experts.ep" of layout.experts.ep.
std::string short_key(const std::string& key) {
  const std::size_t last = key.rfind('.');
  const std::size_t before = last == std::string::npos || last == 0 ? last : key.rfind('.', last - 1);
  return before == std::string::npos ? key : key.substr(before + 1);
}

/// The column that somebody may have meant: by its name, its heading, the last word of its key, or its name in the
/// JSON.
std::string nearest_column(const std::string& name, const std::vector<Column>& all) {
  std::vector<std::string> words;
  std::map<std::string, std::string> column_of{{"step_ms", "step"},
                                               {"tokens_per_s_per_gpu", "throughput"},
                                               {"ratio_to_first", "to_first"},
                                               {"ratio_to_best", "to_best"},
                                               {"gpu_max_over_mean", "gpu_load"},
                                               {"per_gpu_max_bytes", "memory"},
                                               {"kernel_source", "kernels"},
                                               {"arithmetic", "gpus"}};
  for (const Column& column : all)
    for (const std::string& word : {column.name, column.heading, column.name.substr(column.name.rfind('.') + 1)})
      column_of.emplace(word, column.name);
  for (const auto& [word, column] : column_of) words.push_back(word);
  const std::string word = nearest(name, words);
  return word.empty() ? word : column_of.at(word);
}

}  // namespace

std::string folder_of(const ComparedRun& run) {
  return printable(run.plan.folder);
}

std::vector<Column> columns(const Comparison& comparison) {
  std::vector<Column> all{{"scenario", "scenario", false, false, [](const auto& run) {
                             return Cell{scenario_name(run), {}};
                           }}};
  for (const std::string& key : comparison.plan.keys)
    all.push_back({key, short_key(key), false, true, [key](const auto& run) { return varied(run, key); }, true});
  const std::string rate = comparison.phase == Phase::decode ? "out tok/s/GPU" : "in tok/s/GPU";
  const std::vector<Column> fixed{
      {"model", "model", false, false, [](const auto& run) { return text_or_nothing(run.model); }},
      {"gpu", "GPU", false, false, [](const auto& run) { return text_or_nothing(run.gpu); }},
      {"gpus", "GPUs", false, false,
       [](const auto& run) {
         return run.gpus > 0 ? Cell{run.arithmetic, run.gpus} : Cell{kNothing, {}};
       }},
      {"layout", "layout", false, false, [](const auto& run) { return text_or_nothing(run.layout); }},
      {"memory", "memory", false, true, memory, true},
      {"step", "step", false, true, step, true},
      {"throughput", rate, true, true, figure(throughput), true},
      {"to_first", "/first", true, true, figure([](const auto& of) { return ratio(of.to_first); }), true},
      {"to_best", "/best", true, true, figure([](const auto& of) { return ratio(of.to_best); }), true},
      {"gpu_load", "GPU load", false, true, figure([](const auto& of) { return ratio(of.gpu_load); }), true},
      {"bound_by", "bound by", false, false, figure(bound), true},
      {"slo", "SLO", false, false, figure(slo), true},
      {"kernels", "kernels", false, false, figure([](const auto& of) {
         return of.uncertainty ? Cell{fmt::format("{} ± {:.0f} %", of.kernel_source, 100 * of.uncertainty->sigma),
                                      of.uncertainty->sigma}
                               : Cell{of.kernel_source, {}};
       })},
  };
  all.insert(all.end(), fixed.begin(), fixed.end());
  return all;
}

Column run_column(bool one_scenario) {
  return {"run", "run", false, false, [one_scenario](const ComparedRun& run) {
            const std::string folder = folder_of(run);
            return Cell{one_scenario ? folder.substr(0, folder.find('-')) : folder, {}};
          }};
}

void check_sort_column(const Comparison& comparison, const std::string& name) {
  const std::vector<Column> all = columns(comparison);
  std::vector<std::string> names;
  for (const Column& column : all) names.push_back(column.name);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw InputError{"--sort", "'" + name + "'", fmt::format("one of {}", fmt::join(names, ", ")),
                     nearest_column(name, all)};
}

void sort_runs(Comparison& comparison, const std::string& name) {
  check_sort_column(comparison, name);
  const std::vector<Column> all = columns(comparison);
  const auto column = std::find_if(all.begin(), all.end(), [&](const Column& of) { return of.name == name; });
  const auto before = [&](const ComparedRun& left, const ComparedRun& right) {
    const Cell a = column->of(left), b = column->of(right);
    if (a.number && b.number) return column->high_first ? *a.number > *b.number : *a.number < *b.number;
    if (a.number || b.number) return a.number.has_value();
    if ((a.text == kNothing) != (b.text == kNothing)) return b.text == kNothing;
    return a.text < b.text;
  };
  std::stable_sort(comparison.runs.begin(), comparison.runs.end(), before);
}

}  // namespace moesim
