#include "sim/cli/compare_table.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/cli/compare_columns.hpp"
#include "sim/cli/terminal.hpp"
#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

/// The texts of all runs that have one.
std::set<std::string> texts_of(const Comparison& comparison, const Column& column) {
  std::set<std::string> texts;
  for (const ComparedRun& run : comparison.runs) texts.insert(printable(column.of(run).text));
  texts.erase(kNothing);
  return texts;
}

std::string heading_text(const Comparison& comparison, const std::vector<std::string>& same) {
  std::string text =
      fmt::format("{} {}run{}", comparison.runs.size(), comparison.phase == Phase::decode ? "decode " : "prefill ",
                  comparison.runs.size() == 1 ? "" : "s");
  if (const ComparedRun* best = best_of(comparison))
    text += fmt::format(", best {} with {} {} tok/s per GPU", folder_of(*best),
                        rate_words(best->figures->tokens_per_s_per_gpu),
                        comparison.phase == Phase::decode ? "output" : "input");
  text += "\n";
  if (!same.empty()) text += fmt::format("the same in all: {}\n", fmt::join(same, " · "));
  if (comparison.plan.keys.empty() && !comparison.differing.empty())
    text += fmt::format("they differ in {}\n", fmt::join(comparison.differing, ", "));
  return text;
}

using Lines = std::vector<std::vector<std::string>>;

/// Code points.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::vector<std::size_t> widths_of(const Lines& lines) {
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  return widths;
}

Lines lines_of(const Comparison& comparison, const std::vector<Column>& shown) {
  Lines lines(1);
  for (const Column& column : shown) lines[0].push_back(printable(column.heading));
  for (const ComparedRun& run : comparison.runs) {
    lines.emplace_back();
    for (const Column& column : shown) lines.back().push_back(printable(column.of(run).text));
  }
  return lines;
}

constexpr std::size_t kGap = 2;

/// Takes columns out until a terminal holds the rest, what is missed least first. Returns a line that names them.
std::string fit_into(std::size_t width, const Comparison& comparison, std::vector<Column>& shown) {
  std::string left_out;
  for (const char* name :
       {"layout", "kernels", "bound_by", "gpu_load", "to_first", "gpus", "gpu", "model", "slo", "memory"}) {
    const std::vector<std::size_t> widths = widths_of(lines_of(comparison, shown));
    if (std::accumulate(widths.begin(), widths.end(), kGap * widths.size()) <= width) break;
    const auto column = std::find_if(shown.begin(), shown.end(), [&](const Column& of) { return of.name == name; });
    if (column == shown.end()) continue;
    left_out += fmt::format("{}{}", left_out.empty() ? "" : ", ", column->heading);
    shown.erase(column);
  }
  return left_out.empty() ? "" : fmt::format("  left out, see compare.csv: {}\n", left_out);
}

std::string aligned(const Lines& lines, const std::vector<Column>& shown) {
  const std::vector<std::size_t> widths = widths_of(lines);
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string padding(widths[i] - width_of(line[i]), ' ');
      row += std::string(kGap, ' ') + (shown[i].right ? padding + line[i] : line[i] + padding);
    }
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string reasons(const Comparison& comparison) {
  std::string text;
  for (const ComparedRun& run : comparison.runs) {
    if (run.status == RunStatus::done) continue;
    text += fmt::format("  {} {}: {}\n", folder_of(run), name_of(run.status), printable(run.reason));
    for (const std::string& remedy : run.remedies) text += fmt::format("    remedy: {}\n", printable(remedy));
  }
  return text;
}

/// What the runs' kernel times rest on beyond measurements, each once with the runs that it is said of.
std::string warnings(const Comparison& comparison, const Column& run_name) {
  std::vector<std::pair<std::string, std::vector<std::string>>> runs_of;
  for (const ComparedRun& run : comparison.runs) {
    if (!run.figures) continue;
    for (const std::string& warning : run.figures->warnings) {
      auto same = std::find_if(runs_of.begin(), runs_of.end(), [&](const auto& of) { return of.first == warning; });
      if (same == runs_of.end()) same = runs_of.insert(same, {warning, {}});
      same->second.push_back(run_name.of(run).text);
    }
  }
  constexpr std::size_t kShown = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, runs_of.size()); ++i)
    text += fmt::format("  warning for {}: {}\n", fmt::join(runs_of[i].second, ", "), printable(runs_of[i].first));
  if (runs_of.size() > kShown) text += fmt::format("  ... {} more warnings in compare.json\n", runs_of.size() - kShown);
  return text;
}

}  // namespace

std::string comparison_text(const Comparison& comparison, std::optional<std::size_t> width) {
  const std::vector<Column> all = columns(comparison);
  std::vector<Column> shown{run_column(texts_of(comparison, all[0]).size() == 1)};
  std::vector<std::string> same;
  for (const Column& column : all) {
    const std::set<std::string> texts = texts_of(comparison, column);
    if (column.always || (texts.size() > 1 && column.name != "scenario"))
      shown.push_back(column);
    else if (texts.size() == 1)
      same.push_back(column.name != "kernels"       ? *texts.begin()
                     : *texts.begin() == "roofline" ? "kernels roofline: estimates, no measured profile"
                                                    : "kernels " + *texts.begin());
  }
  const std::string left_out = width ? fit_into(*width, comparison, shown) : "";
  return heading_text(comparison, same) + "\n" + aligned(lines_of(comparison, shown), shown) + left_out +
         warnings(comparison, shown.front()) + reasons(comparison);
}

}  // namespace moesim
