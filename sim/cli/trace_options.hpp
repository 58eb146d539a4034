#pragma once
// run --trace: what happened when, as a file for a trace viewer.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "plots/timeline.hpp"
#include "sim/cli/command.hpp"
#include "sim/simulate.hpp"

namespace moesim {

struct TraceOptions {
  std::string file, window, ranks;
};

void add_trace_options(CLI::App& command, TraceOptions& options);

/// The trace of one run, if there is to be one.
class TraceOutput {
public:
  /// Refuses what can be refused before the run: options that nobody can read, a file that must not be replaced, one in
  /// a folder that is neither there nor `results`. Throws InputError.
  TraceOutput(const TraceOptions& options, const std::filesystem::path& results, bool force);

  /// What simulate() should let listen; nothing without --trace. Throws InputError at ranks that the layout has not.
  ListenerMaker listener();

  /// Throws InputError for a window after the run's end.
  void prepare(const Summary& summary);
  /// Throws RunError.
  void write() const;

  /// What was written, and what was not: for people, empty without --trace.
  std::string message() const;

private:
  std::filesystem::path file_;
  TimelineRequest request_;
  std::unique_ptr<Timeline> timeline_;
  Trace trace_;
};

}  // namespace moesim
