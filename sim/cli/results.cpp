#include "sim/cli/results.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "models/units/error.hpp"
#include "plots/topology_drawing.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/metrics/shell_word.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/metrics/tables.hpp"
#include "sim/remedies.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

/// The number that a folder name such as "0007-quickstart" starts with, 0 for other names.
int number_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  int number = 0;
  const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), number);
  return status == std::errc{} && end != name.data() + name.size() && *end == '-' ? number : 0;
}

/// Two runs that start together must not share a numbered folder: creating it claims it.
fs::path claim_numbered_folder(const std::string& scenario) {
  std::error_code failure;
  fs::create_directories("out", failure);
  if (failure) throw RunError{fmt::format("cannot create the folder out: {}", failure.message())};
  int number = 0;
  for (const auto& entry : fs::directory_iterator{"out"}) number = std::max(number, number_of(entry.path()));
  for (;;) {
    const fs::path folder = fs::path{"out"} / fmt::format("{:04}-{}", ++number, scenario);
    if (fs::create_directory(folder, failure)) return folder;
    if (failure) throw RunError{fmt::format("cannot create {}: {}", folder.string(), failure.message())};
  }
}

std::string link_drawing(const Scenario& scenario, const Summary& summary) {
  LinkShading shading{{}, "share of the time that links are busy"};
  for (const LinkUse& use : summary.links) shading.share.push_back(use.busy_share);
  return topology_svg(Topology{scenario.cluster}, &shading);
}

std::string run_json(const RunFacts& facts) {
  const nlohmann::ordered_json json{
      {"command", facts.command}, {"finished_utc", now_in_utc()}, {"wall_s", facts.wall.value()}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

fs::path choose_result_folder(const fs::path& named, const std::string& scenario, bool force) {
  if (named.empty()) return claim_numbered_folder(scenario);
  std::error_code failure;
  if (!fs::exists(named, failure)) return named;
  if (!fs::is_directory(named, failure))
    throw InputError{"--out", fmt::format("'{}', which is a file", named.string()), "a new or empty folder"};
  if (!fs::is_empty(named, failure) && !force)
    throw InputError{"--out", fmt::format("'{}', which is not empty", named.string()),
                     "a new or empty folder, or --force to replace the results in it"};
  return named;
}

std::string run_command_text(const std::string& scenario, const std::vector<Override>& set) {
  return "moesim run " + shell_word(scenario) + as_options(set);
}

void write_results(const fs::path& folder, const Scenario& scenario, const Summary& summary, const RunFacts& facts) {
  const std::vector<std::pair<std::string, std::string>> files{
      {"requests.csv", requests_csv()},
      {"steps.csv", steps_csv(summary)},
      {"experts.csv", experts_csv(summary)},
      {"gpus.csv", gpus_csv(summary)},
      {"links.csv", links_csv(summary)},
      {"topology.svg", link_drawing(scenario, summary)},
      {"scenario.resolved.yaml", resolved_yaml(scenario)},
      {"run.json", run_json(facts)},
      {"summary.json", summary_json(summary)},  // last: a folder with a summary is complete
  };
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw RunError{fmt::format("cannot create {}: {}", folder.string(), failure.message())};
  fs::remove(folder / "summary.json", failure);  // while files are being replaced the folder is not a result
  std::size_t written = 0;
  try {
    for (; written < files.size(); ++written)
      write_file_atomically(folder / files[written].first, files[written].second, AtLink::replace);
  } catch (...) {
    for (std::size_t i = 0; i < written; ++i) fs::remove(folder / files[i].first, failure);
    if (fs::is_empty(folder, failure)) fs::remove(folder, failure);
    throw;
  }
}

}  // namespace moesim
