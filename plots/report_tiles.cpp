#include "plots/report_tiles.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "models/units/text.hpp"
#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

enum class Verdict { good, bad, neutral };

Json tile(const std::string& label, const std::string& value, const std::string& detail,
          Verdict verdict = Verdict::neutral) {
  constexpr std::array kNames{"good", "bad", "neutral"};
  return {{"label", label},
          {"value", value},
          {"detail", detail},
          {"verdict", kNames.at(static_cast<std::size_t>(verdict))}};
}

Json throughput(const Summary& summary) {
  const double rate = rate_per_gpu(summary);
  return tile(summary.output_tokens_per_s ? "Output per GPU" : "Input per GPU", rate_words(rate) + " tok/s",
              rate_words(rate * summary.gpus) + " tok/s in all");
}

Json slo(const Summary::SloVerdict& verdict) {
  std::string name = verdict.name;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  const std::string limit = "limit " + human(verdict.limit);
  if (!verdict.reached) return tile(name, "not judged", limit);
  return tile(name + " p99", human(*verdict.reached), limit + (verdict.met ? ": met" : ": missed"),
              verdict.met ? Verdict::good : Verdict::bad);
}

Json memory(const MemoryFit& fit) {
  return tile("Memory per GPU", fmt::format("{:.1f} GiB", gibibytes(fit.needed)),
              fmt::format("of {:.1f} GiB usable: {}", gibibytes(fit.capacity), fit.fits ? "fits" : "does not fit"),
              fit.fits ? Verdict::good : Verdict::bad);
}

Json tiles_of_run(const ReportRun& run) {
  Json tiles = Json::array();
  if (!run.summary) return Json::array({tile("Result", run.status, run.reason, Verdict::bad)});
  const Summary& of = *run.summary;
  tiles.push_back(throughput(of));
  const std::string known =
      of.uncertainty ? fmt::format("; ± {:.0f} % by kernel times alone", 100 * of.uncertainty->sigma) : std::string{};
  tiles.push_back(tile("Step", human(of.step.mean), "p99 " + human(of.step.p99) + known));
  for (const auto& verdict : of.slo) tiles.push_back(slo(verdict));
  tiles.push_back(memory(of.memory));
  const ImbalanceCost& cost = of.imbalance_cost;
  tiles.push_back(tile("Uneven load costs", fmt::format("{:.1f} %", 100 * cost.total()),
                       fmt::format("of the step: experts {:.1f}, links {:.1f}, batches {:.1f}, slow GPUs {:.1f} %",
                                   100 * cost.experts, 100 * cost.links, 100 * cost.batches, 100 * cost.slow_gpus)));
  if (of.usd_per_million_output_tokens)
    tiles.push_back(tile("Cost", fmt::format("{:.3g} USD", *of.usd_per_million_output_tokens),
                         fmt::format("per million output tokens, at {:.4g} USD an hour", *of.usd_per_hour)));
  return tiles;
}

bool meets_all(const Summary& summary) {
  return std::all_of(summary.slo.begin(), summary.slo.end(), [](const auto& verdict) { return verdict.met; });
}

Json tiles_of_comparison(const std::vector<ReportRun>& runs) {
  Json tiles = Json::array();
  const ReportRun* best = best_run(runs);
  const auto done =
      std::count_if(runs.begin(), runs.end(), [](const ReportRun& run) { return run.summary.has_value(); });
  if (best != nullptr) {
    tiles.push_back(tile("Best run", best->label, best->arithmetic));
    tiles.push_back(throughput(*best->summary));
    if (const ReportRun& first = first_run(runs); first.summary && best != &first)
      tiles.push_back(tile("Best to first",
                           fmt::format("{:.2f} x", rate_per_gpu(*best->summary) / rate_per_gpu(*first.summary)),
                           "first: " + first.label));
    for (const auto& verdict : best->summary->slo) tiles.push_back(slo(verdict));
  }
  const auto met = std::count_if(runs.begin(), runs.end(), [](const ReportRun& run) {
    return run.summary && !run.summary->slo.empty() && meets_all(*run.summary);
  });
  const bool any_slo = std::any_of(runs.begin(), runs.end(),
                                   [](const ReportRun& run) { return run.summary && !run.summary->slo.empty(); });
  if (any_slo) tiles.push_back(tile("Meet every SLO", fmt::format("{} of {} runs", met, runs.size()), ""));
  tiles.push_back(
      tile("Done", fmt::format("{} of {} runs", done, runs.size()),
           done == static_cast<std::ptrdiff_t>(runs.size()) ? "" : "the table says why the others are not"));
  return tiles;
}

}  // namespace

Json report_tiles(const std::vector<ReportRun>& runs) {
  return runs.size() == 1 ? tiles_of_run(runs.front()) : tiles_of_comparison(runs);
}

}  // namespace moesim
