#pragma once
// Many runs at once, each in a process of its own, because SimGrid simulates once per process.

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace moesim {

/// What a worker left: its answer, or why there is none.
struct WorkerResult {
  std::string answer;
  std::string failure;  ///< "died of signal 9"; empty: it answered
};

/// SIGINT, SIGTERM or SIGHUP came. All workers have ended.
struct Interrupted {
  int signal = 0;
  std::size_t finished = 0;  ///< of the runs
};

using Progress = std::function<void(std::size_t done, std::size_t all)>;

/// "3 of 12 runs" on one line of a terminal on stderr, gone when all are done; says nothing elsewhere, or if `quiet`.
Progress progress_on_terminal(bool quiet);

inline constexpr int kMostJobs = 1024;  ///< processes at once

/// Calls work(0) to work(count - 1), each in a forked process, at most `jobs` at once, or if that is 0 one for each
/// core that this process may use. [count]
///
/// A worker that dies, or whose work throws, says so in its result; the others go on. `progress` hears how many are
/// done. On a signal the workers are ended (SIGTERM, which waits where they hold signals) and Interrupted is thrown.
std::vector<WorkerResult> run_workers(std::size_t count, int jobs, const std::function<std::string(std::size_t)>& work,
                                      const Progress& progress);

}  // namespace moesim
