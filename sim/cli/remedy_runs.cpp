#include "sim/cli/remedy_runs.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/cli/compare_workers.hpp"
#include "sim/remedies.hpp"
#include "sim/simulate.hpp"

namespace moesim {
namespace {

using Json = nlohmann::json;
using Set = std::vector<Override>;

std::string as_answer(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The first choice of every hotspot, then what may help instead.
std::vector<Set> different_remedies(const Scenario& scenario, int most) {
  std::vector<Set> sets;
  const auto add = [&](const Set& set) {
    if (!set.empty() && std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
  };
  const std::vector<Hotspot> hotspots = simulate(scenario, 0).hotspots;
  for (const Hotspot& spot : hotspots) add(spot.set);
  for (const Hotspot& spot : hotspots)
    for (const Set& other : spot.other_sets) add(other);
  if (sets.size() > static_cast<std::size_t>(most)) sets.resize(static_cast<std::size_t>(most));
  return sets;
}

/// A worker's answer: the different remedies, worst hotspot first. None of a run that is refused: the run itself says
/// why.
std::string remedies_of(const std::filesystem::path& file, const std::vector<Override>& overrides, int most) {
  try {
    return as_answer(different_remedies(load_scenario(file, overrides), most));
  } catch (const Infeasible&) {
    return as_answer(Json::array());
  } catch (const InputError&) {
    return as_answer(Json::array());
  }
}

/// A worker's answer: {step_s} or {refusal}.
std::string step_of(const std::filesystem::path& file, const std::vector<Override>& overrides) {
  try {
    return as_answer({{"step_s", simulate(load_scenario(file, overrides), 0).step.mean.value()}});
  } catch (const Infeasible& error) {
    return as_answer({{"refusal", error.what()}});
  } catch (const InputError& error) {
    return as_answer({{"refusal", error.what()}});
  }
}

RemedyRun read_answer(const Set& set, const WorkerResult& result) {
  if (!result.failure.empty()) return {set, std::nullopt, "the rerun failed: " + result.failure, true};
  const Json answer = Json::parse(result.answer);
  if (answer.contains("refusal")) return {set, std::nullopt, answer["refusal"], false};
  return {set, Seconds{answer["step_s"].get<double>()}, "", false};
}

std::string note_of(Seconds before, Seconds after) {
  if (before == after) return fmt::format("step {} as before: no gain", human(after));
  const double change = 100 * (after / before - 1);
  return fmt::format("step {} instead of {}, {:.2g} % {}", human(after), human(before), std::abs(change),
                     change < 0 ? "shorter" : "longer");
}

}  // namespace

std::vector<RemedyRun> run_remedies(const std::filesystem::path& file, const std::vector<Override>& overrides, int most,
                                    const Progress& progress) {
  // The caller's process must not simulate yet: SimGrid does so once, and these are its forks.
  const auto first = [&](std::size_t) { return remedies_of(file, overrides, most); };
  const std::vector<WorkerResult> learned = run_workers(1, 1, first, progress_on_terminal(true));
  if (!learned.front().failure.empty()) throw RunError{"hotspots for --remedies: " + learned.front().failure};
  const auto sets = Json::parse(learned.front().answer).get<std::vector<Set>>();
  const auto work = [&](std::size_t i) {
    std::vector<Override> all = overrides;
    all.insert(all.end(), sets[i].begin(), sets[i].end());
    return step_of(file, all);
  };
  const std::vector<WorkerResult> results = run_workers(sets.size(), 0, work, progress);
  std::vector<RemedyRun> runs;
  for (std::size_t i = 0; i < sets.size(); ++i) runs.push_back(read_answer(sets[i], results[i]));
  return runs;
}

void add_gains(const std::vector<RemedyRun>& runs, Summary& summary) {
  const auto found = [&](const RemedyRun& run) {
    return run.step ? note_of(summary.step.mean, *run.step) : run.failure;
  };
  for (Hotspot& spot : summary.hotspots) {
    const auto& others = spot.other_sets;
    for (const RemedyRun& run : runs) {  // those of others come later
      if (run.set == spot.set) {
        if (run.step) spot.gain = summary.step.mean - *run.step;
        spot.gain_note = found(run);
      } else if (!spot.gain_note.empty() && std::find(others.begin(), others.end(), run.set) != others.end()) {
        spot.gain_note += fmt::format("; with{} instead: {}", as_options(run.set), found(run));
      }
    }
  }
}

}  // namespace moesim
