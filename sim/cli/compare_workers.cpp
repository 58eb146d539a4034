#include "sim/cli/compare_workers.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/cli/signals.hpp"

namespace moesim {
namespace {

constexpr char kAnswer = 'a', kFailure = 'f';

void write_all(int pipe, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(pipe, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(1);  // the parent is gone
    done += static_cast<std::size_t>(written);
  }
}

/// The child's whole life. It leaves by _exit: the parent's buffers and exit handlers are not its own.
[[noreturn]] void live_as_worker(int pipe, const std::function<std::string()>& work) {
  std::string said;
  try {
    said = kAnswer + work();
  } catch (const std::exception& error) {
    said = std::string{kFailure} + error.what();
  } catch (...) {
    said = std::string{kFailure} + "an exception of unknown type";
  }
  write_all(pipe, said);
  ::_exit(0);
}

int usable_cores() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostJobs);
}

struct Worker {
  std::size_t run;
  pid_t process;
  std::string said;
};

class Pool {
public:
  Pool(std::size_t count, const std::function<std::string(std::size_t)>& work) : results_(count), work_{work} {}

  std::size_t running() const { return workers_.size(); }
  std::vector<WorkerResult> take_results() { return std::move(results_); }

  /// False: the system gives no process, which the run's result then says.
  bool start(std::size_t run) {
    int ends[2];
    if (::pipe(ends) != 0) return refuse(run, "no pipe");
    std::fflush(nullptr);  // what is still buffered would be written twice
    const pid_t parent = ::getpid(), child = ::fork();
    if (child < 0) {
      ::close(ends[0]);
      ::close(ends[1]);
      return refuse(run, "no process");
    }
    if (child == 0) {
      ::close(ends[0]);
      ::setpgid(0, 0);  // with what it forks itself, so that both can be ended
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      watch_.restore();
      if (::getppid() != parent) ::_exit(1);
      live_as_worker(ends[1], [&] { return work_(run); });
    }
    ::setpgid(child, child);
    ::close(ends[1]);
    workers_.emplace(ends[0], Worker{run, child, {}});
    return true;
  }

  /// The signal that came, 0: none.
  int caught() { return watch_.caught(); }

  /// Waits until a worker says something or ends, or a signal comes; returns how many ended.
  std::size_t step() {
    std::vector<pollfd> pipes;
    for (const auto& [pipe, worker] : workers_) pipes.push_back({pipe, POLLIN, 0});
    pipes.push_back({watch_.descriptor(), POLLIN, 0});
    const int ready = ::poll(pipes.data(), pipes.size(), -1);
    pipes.pop_back();
    std::size_t ended = 0;
    for (const pollfd& pipe : pipes)
      if (ready > 0 && pipe.revents != 0 && !listen(pipe.fd)) {
        finish(pipe.fd);
        ++ended;
      }
    return ended;
  }

  void end_all() {
    for (const auto& [pipe, worker] : workers_) ::kill(-worker.process, SIGTERM);
    while (!workers_.empty()) finish(workers_.begin()->first);
  }

private:
  bool refuse(std::size_t run, const char* what) {
    results_[run].failure = fmt::format("{}: {}", what, std::strerror(errno));
    return false;
  }

  /// False at the end of what it says.
  bool listen(int pipe) {
    char block[65536];
    const ssize_t got = ::read(pipe, block, sizeof block);
    if (got > 0) workers_.at(pipe).said.append(block, static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && errno == EINTR);
  }

  void finish(int pipe) {
    const Worker worker = std::move(workers_.at(pipe));
    workers_.erase(pipe);
    ::close(pipe);
    int status = 0;
    while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
    }
    WorkerResult& result = results_[worker.run];
    if (WIFSIGNALED(status))
      result.failure = fmt::format("died of signal {}", WTERMSIG(status));
    else if (worker.said.empty())
      result.failure = "ended without an answer";
    else
      (worker.said[0] == kAnswer ? result.answer : result.failure) = worker.said.substr(1);
  }

  std::vector<WorkerResult> results_;
  const std::function<std::string(std::size_t)>& work_;
  std::map<int, Worker> workers_;  ///< by the pipe that they talk through
  SignalWatch watch_;
};

}  // namespace

std::vector<WorkerResult> run_workers(std::size_t count, int jobs, const std::function<std::string(std::size_t)>& work,
                                      const Progress& progress) {
  Pool pool{count, work};
  const auto most = static_cast<std::size_t>(jobs > 0 ? jobs : usable_cores());
  std::size_t next = 0, done = 0;
  while (done < count) {
    while (next < count && pool.running() < most && pool.caught() == 0)
      if (!pool.start(next++)) ++done;
    if (pool.running() > 0) done += pool.step();
    if (const int signal = pool.caught()) {
      pool.end_all();
      throw Interrupted{signal, done};
    }
    progress(done, count);
  }
  return pool.take_results();
}

Progress progress_on_terminal(bool quiet) {
  if (quiet || ::isatty(STDERR_FILENO) == 0) return [](std::size_t, std::size_t) {};
  return [](std::size_t done, std::size_t all) {
    fmt::print(stderr, "\r{}", done < all ? fmt::format("{} of {} runs", done, all) : "\x1b[K");
    std::fflush(stderr);
  };
}

}  // namespace moesim
