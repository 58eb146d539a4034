#include "plots/report_document.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/units/text.hpp"
#include "plots/chart_json.hpp"
#include "plots/glossary.hpp"
#include "plots/joint_charts.hpp"
#include "plots/report_tiles.hpp"
#include "plots/run_charts.hpp"
#include "sim/metrics/shell_word.hpp"

namespace moesim {
namespace {

constexpr std::size_t kMostBytes = 2'000'000;  // of the document; the page's own code is below 1 MB more

std::string percent(double share) {
  return fmt::format("{:+.2f} %", 100 * share);
}

/// "mean +0.10 %, worst -0.40 %"
std::string error_text(const std::optional<SampleError>& error) {
  return error ? fmt::format("mean {}, worst {}", percent(error->mean), percent(error->worst)) : "-";
}

/// Name and text pairs on what the numbers rest on.
Json facts_of(const ReportRun& run) {
  Json facts = Json::array();
  if (!run.summary) return facts;
  const Summary& summary = *run.summary;
  const auto add = [&](const std::string& name, const std::string& text) {
    facts.push_back(Json::array({name, text}));
  };
  if (!run.command.empty()) add("command", run.command);
  add("kernel times", summary.profile.empty() ? summary.kernel_source : summary.kernel_source + ", " + summary.profile);
  if (const auto& known = summary.uncertainty) {
    add("step by the error of kernel times",
        fmt::format("± {:.0f} % (one sigma), {} to {} (10 to 90 %)", 100 * known->sigma, human(known->step_p10),
                    human(known->step_p90)));
    add("most of that error from", known->most_from);
  }
  for (const auto& [key, took] : summary.chosen) add(key + " (auto)", took);
  if (summary.audit) {
    add("audit: sampled MoE layers",
        std::to_string(summary.audit->sampled) +
            (summary.audit->sampled == 1 ? ": one draw, which may be chance; --audit N looks at more" : ""));
    add("audit: tokens one by one / this run", error_text(summary.audit->sampling));
    add("audit: flows / fluid times", error_text(summary.audit->sharing));
  }
  add("tokens conserved", summary.tokens_conserved ? "yes" : "NO");
  add("bytes conserved", summary.bytes_conserved ? "yes" : "NO");
  add("steps", with_commas(static_cast<long long>(summary.steps.size())));
  add("seed", std::to_string(summary.seed));
  add("scenario hash", summary.scenario_hash);
  add("simgrid", summary.simgrid);
  return facts;
}

Json run_json(const ReportRun& run) {
  return {{"label", run.label},       {"headline", run.summary ? run.summary->headline : run.layout},
          {"status", run.status},     {"reason", run.reason.empty() ? Json(nullptr) : Json(run.reason)},
          {"remedies", run.remedies}, {"charts", Json::array()},
          {"facts", facts_of(run)},   {"notes", run.summary ? Json(run.summary->notes) : Json::array()}};
}

/// Invalid UTF-8 of a name becomes U+FFFD.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// What draws a chart again, in the folder of the report.
std::string command_for(const Chart& chart, const std::string& folder) {
  if (std::holds_alternative<TableChart>(chart.body) || std::holds_alternative<DrawingChart>(chart.body))
    return "moesim report " + shell_word(folder);
  return fmt::format("moesim plot {} --chart {}", shell_word(folder), chart.id);
}

/// The charts of a run, within what is left of the document's size.
Json charts_of(const ReportRun& run, bool is_alone, std::size_t& left) {
  Json list = Json::array();
  if (!run.summary) return list;
  for (const Chart& chart : run_charts(*run.summary, run.drawing)) {
    const std::string folder = is_alone || run.folder.empty() ? "." : run.folder;
    const std::string command = command_for(chart, folder);
    Json json = chart_json(chart, command);
    const std::size_t bytes = text_of(json).size();
    if (bytes > left && bytes > kMostBytes / 100) {
      list.push_back(
          chart_json({chart.id, chart.title, chart.caption,
                      "left out to keep this report small; moesim report " + shell_word(folder) + " shows it",
                      TableChart{{{"chart", "", {}}}, {}}},
                     command));
      continue;
    }
    left -= std::min(left, bytes);
    list.push_back(std::move(json));
  }
  return list;
}

std::string title_of(const std::vector<ReportRun>& runs) {
  if (runs.size() == 1) return runs.front().summary ? runs.front().summary->scenario_name : runs.front().label;
  return fmt::format("Comparison of {} runs", runs.size());
}

/// One question when all runs ask the same.
Json question_of(const std::vector<ReportRun>& runs) {
  std::string question;
  for (const ReportRun& run : runs) {
    if (!run.summary) continue;
    if (!question.empty() && question != run.summary->question) return nullptr;
    question = run.summary->question;
  }
  return question.empty() ? Json(nullptr) : Json(question);
}

std::string subtitle_of(const std::vector<ReportRun>& runs) {
  const ReportRun* best = best_run(runs);
  if (best == nullptr) return "";
  if (runs.size() == 1) return best->summary->headline;
  return "best: " + best->label + " · " + best->summary->headline;
}

}  // namespace

ReportDocument report_document(const std::vector<ReportRun>& runs, const std::vector<std::string>& commands,
                               const std::string& again) {
  Json charts = Json::array(), list = Json::array();
  for (const Chart& chart : joint_charts(runs))
    charts.push_back(chart_json(chart, again.empty() ? command_for(chart, ".") : again));
  std::size_t left = kMostBytes - std::min(kMostBytes, text_of(charts).size());
  for (const ReportRun& run : runs) {
    Json json = run_json(run);
    json["charts"] = charts_of(run, runs.size() == 1, left);
    list.push_back(std::move(json));
  }
  const Json document{{"title", title_of(runs)},       {"subtitle", subtitle_of(runs)},
                      {"question", question_of(runs)}, {"kind", runs.size() == 1 ? "run" : "comparison"},
                      {"version", MOESIM_VERSION},     {"tiles", report_tiles(runs)},
                      {"charts", std::move(charts)},   {"runs", std::move(list)},
                      {"commands", commands},          {"glossary", Json(glossary())}};
  return {title_of(runs), text_of(document)};
}

}  // namespace moesim
