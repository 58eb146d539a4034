#include "tests/browser/debugging_pipe.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace moesim::testing {
namespace {

constexpr int kPatienceMs = 30'000;
constexpr int kFirstFreeFd = 16;  // above 3 and 4, which the browser reads and writes

struct Pipe {
  int read_end, write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error{std::string{"pipe: "} + std::strerror(errno)};
  const Pipe moved{::fcntl(ends[0], F_DUPFD_CLOEXEC, kFirstFreeFd), ::fcntl(ends[1], F_DUPFD_CLOEXEC, kFirstFreeFd)};
  ::close(ends[0]);
  ::close(ends[1]);
  return moved;
}

/// The sandbox needs rights that containers lack; the pages are our own files. The other switches keep the browser from
/// calling home, and hidden scroll bars make widths the same everywhere.
std::vector<std::string> browser_arguments(const std::string& program, const std::string& profile) {
  return {program,
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-quic",
          "--disable-dev-shm-usage",
          "--no-first-run",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--disable-extensions",
          "--hide-scrollbars",
          "--lang=en",
          "--remote-debugging-pipe",
          "--user-data-dir=" + profile,
          "about:blank"};
}

}  // namespace

DebuggingPipe::DebuggingPipe(const std::string& program) {
  const Pipe commands = make_pipe(), answers = make_pipe();
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, commands.read_end, 3);
  ::posix_spawn_file_actions_adddup2(&files, answers.write_end, 4);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, folder_.path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // to end its processes with it
  auto arguments = browser_arguments(program, folder_.path("profile"));
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const int error = ::posix_spawnp(&browser_, program.c_str(), &files, &attributes, pointers.data(), ::environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  ::close(commands.read_end);
  ::close(answers.write_end);
  to_browser_ = commands.write_end;
  from_browser_ = answers.read_end;
  if (error != 0) throw std::runtime_error{program + ": " + std::strerror(error)};
}

DebuggingPipe::~DebuggingPipe() {
  ::close(to_browser_);
  ::close(from_browser_);
  if (browser_ <= 0) return;
  ::kill(-browser_, SIGKILL);
  ::waitpid(browser_, nullptr, 0);
}

void DebuggingPipe::send(const std::string& message) {
  const char* at = message.c_str();  // with the NUL that ends it
  for (std::size_t left = message.size() + 1; left > 0;) {
    const ssize_t wrote = ::write(to_browser_, at, left);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) give_up("it no longer listens");
    at += wrote;
    left -= static_cast<std::size_t>(wrote);
  }
}

std::string DebuggingPipe::receive() {
  for (;;) {
    const auto end = received_.find('\0');
    if (end != std::string::npos) {
      std::string message = received_.substr(0, end);
      received_.erase(0, end + 1);
      return message;
    }
    pollfd waiting{from_browser_, POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMs) <= 0) give_up("no answer within 30 s");
    char buffer[1 << 16];
    const ssize_t got = ::read(from_browser_, buffer, sizeof buffer);
    if (got <= 0) give_up("it ended");
    received_.append(buffer, static_cast<std::size_t>(got));
  }
}

void DebuggingPipe::give_up(const std::string& why) const {
  std::ifstream log{folder_.path("log")};
  const std::string said{std::istreambuf_iterator<char>{log}, {}};
  throw std::runtime_error{"the browser: " + why +
                           "; it said: " + said.substr(said.size() - std::min<std::size_t>(said.size(), 1000))};
}

}  // namespace moesim::testing
