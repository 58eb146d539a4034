#include "sim/cli/trace_options.hpp"

#include <algorithm>
#include <charconv>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "models/units/error.hpp"
#include "models/units/gzip.hpp"
#include "models/units/text.hpp"
#include "sim/cli/atomic_file.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWindow = "--trace-window";
constexpr const char* kRanks = "--trace-ranks";
constexpr const char* kRankList = "ranks as 0-7 or 0,8,16-23";
constexpr int kMostRanks = 1 << 20;  // more than any cluster has GPUs

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 60;
  return text.size() <= kShown ? fmt::format("'{}'", text) : fmt::format("'{}...'", text.substr(0, kShown));
}

std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

TimelineWindow parse_window(const std::string& text) {
  const auto ends = parts_of(text, ':');
  if (ends.size() != 2) throw InputError{kWindow, in_quotes(text), "begin and end with their units, as 10ms:20ms"};
  const TimelineWindow window{parse_seconds(ends[0], kWindow), parse_seconds(ends[1], kWindow)};
  if (to_nanoseconds(window.end) <= to_nanoseconds(window.begin))
    throw InputError{kWindow, in_quotes(text), "an end after the begin, as 10ms:20ms"};
  return window;
}

int parse_rank(std::string_view text, const std::string& whole) {
  int rank = -1;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), rank);
  if (status != std::errc{} || end != text.data() + text.size() || rank < 0 || rank >= kMostRanks)
    throw InputError{kRanks, in_quotes(whole), kRankList};
  return rank;
}

std::vector<int> parse_ranks(const std::string& text) {
  std::vector<int> ranks;
  for (const std::string_view part : parts_of(text, ',')) {
    const auto ends = parts_of(part, '-');
    const int first = parse_rank(ends.front(), text), last = parse_rank(ends.back(), text);
    if (ends.size() > 2 || last < first) throw InputError{kRanks, in_quotes(text), kRankList};
    for (int rank = first; rank <= last; ++rank) ranks.push_back(rank);
  }
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

/// Its folder must be there before the run, or come with the results: a long run should not end in a lost trace.
void check_folder(const fs::path& file, const fs::path& results) {
  const auto absolute = [](const fs::path& path) { return fs::absolute(path / "").lexically_normal(); };
  const fs::path folder = absolute(fs::absolute(file).parent_path());
  std::error_code failure;
  if (!fs::is_directory(folder, failure)) {
    if (!results.empty() && folder == absolute(results)) return;
    throw InputError{"--trace", fmt::format("'{}', whose folder is not there", file.string()),
                     "a file in an existing folder"};
  }
  if (::access(folder.c_str(), W_OK) != 0)
    throw InputError{"--trace", fmt::format("'{}', whose folder cannot be written", file.string()),
                     "a file in a folder with write permission"};
}

void check_file(const std::string& file, const fs::path& results, bool force) {
  if (!file.ends_with(".json") && !file.ends_with(".gz"))
    throw InputError{"--trace", in_quotes(file), "a name that ends in .json, or in .gz for a compressed file"};
  check_outputs({{"--trace", file}}, force);
  check_folder(file, results);
}

}  // namespace

void add_trace_options(CLI::App& command, TraceOptions& options) {
  command.add_option("--trace", options.file,
                     "Write what happened when, for ui.perfetto.dev: name.json, or name.json.gz to compress it");
  command.add_option(
      kWindow, options.window,
      fmt::format("Simulated time to trace, as 10ms:20ms or 2s:2.5s (default: the first {} steps)", kTraceSteps));
  command.add_option(kRanks, options.ranks,
                     "GPUs of the layout to trace, as 0-7 or 0,8,16-23 (default: the first node's, at most 8)");
}

TraceOutput::TraceOutput(const TraceOptions& options, const fs::path& results, bool force) : file_{options.file} {
  for (const auto& [name, value] : {std::pair{kWindow, options.window}, std::pair{kRanks, options.ranks}})
    if (options.file.empty() && !value.empty())
      throw InputError{name, in_quotes(value) + " without --trace", "--trace FILE beside it"};
  if (!options.window.empty()) request_.window = parse_window(options.window);
  if (!options.ranks.empty()) request_.gpus = parse_ranks(options.ranks);
  if (!options.file.empty()) check_file(options.file, results, force);
}

ListenerMaker TraceOutput::listener() {
  if (file_.empty()) return {};
  return [this](const RunShape& shape) -> Listener {
    if (!request_.gpus.empty() && request_.gpus.back() >= shape.gpus())
      throw InputError{kRanks, fmt::format("rank {}", request_.gpus.back()),
                       fmt::format("ranks from 0 to {}, the GPUs of the layout", shape.gpus() - 1)};
    timeline_ = std::make_unique<Timeline>(request_, shape);
    return [this](const Event& event) { (*timeline_)(event); };
  };
}

void TraceOutput::prepare(const Summary& summary) {
  if (!timeline_) return;
  if (request_.window && request_.window->begin >= timeline_->run_end())
    throw InputError{
        kWindow, "a begin at " + human(request_.window->begin),
        fmt::format("one before the run ends at {} (more workload.steps make it longer)", human(timeline_->run_end()))};
  trace_ = timeline_->trace({summary.version, summary.scenario_name, summary.scenario_hash, summary.seed});
  timeline_.reset();
}

void TraceOutput::write() const {
  if (file_.empty()) return;
  write_file_atomically(file_, file_.extension() == ".gz" ? gzipped(trace_.json) : trace_.json);
}

std::string TraceOutput::message() const {
  if (file_.empty()) return {};
  std::string text =
      fmt::format("trace {}: {} events, {} to {} of simulated time; open it in https://ui.perfetto.dev\n",
                  file_.string(), with_commas(trace_.events), human(trace_.begin), human(trace_.end));
  if (trace_.dropped > 0)
    text += fmt::format(
        "  note: the trace stops at {}: {} more events are beyond its limit of {}; ask for a shorter {} "
        "or fewer {}\n",
        human(trace_.complete_until), with_commas(trace_.dropped), with_commas(kTraceCap), kWindow, kRanks);
  for (const std::string& note : trace_.notes) text += fmt::format("  note: {}\n", note);
  return text;
}

}  // namespace moesim
