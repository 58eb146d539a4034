#include "models/kernels/worker/worker_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/kernels/expert_backend.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

constexpr std::size_t kLongestLine = 16u << 20;

/// In the child: the socket is its input and output. Does not return.
[[noreturn]] void become(const std::vector<std::string>& command, int socket, int errors, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a kernel that hangs would not see the end of its input
  if (::getppid() != parent) ::_exit(1);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));  // NOLINT
  arguments.push_back(nullptr);
  ::dup2(socket, STDIN_FILENO);
  ::dup2(socket, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::execvp(arguments.front(), arguments.data());
  const std::string why = fmt::format("cannot be started: {}\n", std::strerror(errno));
  if (::write(STDERR_FILENO, why.data(), why.size()) < 0) ::_exit(126);
  ::_exit(127);
}

/// Whether a signal that ends programs came and is held back: whoever does so wants to end when it suits.
bool asked_to_end() {
  sigset_t pending;
  if (::sigpending(&pending) != 0) return false;
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    if (sigismember(&pending, number) == 1) return true;
  return false;
}

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& command) : name_{command.front()} {
  std::array<int, 2> ends{-1, -1};
  errors_ = ::memfd_create("worker errors", MFD_CLOEXEC);
  if (errors_ < 0 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw RunError{fmt::format("cannot talk to {}: {}", name_, std::strerror(errno))};
  socket_ = ends[0];
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) become(command, ends[1], errors_, parent);
  ::close(ends[1]);
  if (process_ < 0) throw RunError{fmt::format("cannot start {}: {}", name_, std::strerror(errno))};
}

WorkerProcess::~WorkerProcess() {
  if (process_ >= 0) end(false);
  if (socket_ >= 0) ::close(socket_);
  ::close(errors_);
}

int WorkerProcess::end(bool kill) {
  constexpr int kTries = 200, kMicroseconds = 10'000;
  ::shutdown(socket_, SHUT_RDWR);
  int status = 0;
  bool ended = false;
  for (int attempt = 0; !kill && !ended && attempt < kTries; ++attempt) {
    ended = ::waitpid(process_, &status, WNOHANG) != 0;
    if (!ended) ::usleep(kMicroseconds);
  }
  if (!ended) {
    ::kill(process_, SIGKILL);
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  process_ = -1;
  return status;
}

std::string WorkerProcess::last_error() const {
  constexpr off_t kMost = 4096;
  const off_t size = ::lseek(errors_, 0, SEEK_END), from = std::max<off_t>(0, size - kMost);
  std::string text(static_cast<std::size_t>(std::max<off_t>(0, size - from)), ' ');
  if (::pread(errors_, text.data(), text.size(), from) < 0) return {};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

void WorkerProcess::fail_ended() {
  const int status = end(false);
  const std::string said = last_error(), why = said.empty() ? "" : ": " + said;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    throw BackendMissing{said.empty() ? name_ + " finds no device" : said};
  if (WIFSIGNALED(status)) throw RunError{fmt::format("{} died of signal {}{}", name_, WTERMSIG(status), why)};
  throw RunError{fmt::format("{} ended with status {}{}", name_, WEXITSTATUS(status), why)};
}

void WorkerProcess::tell(const std::string& line) {
  if (process_ < 0) throw RunError{name_ + " has ended"};
  const std::string text = line + '\n';
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t more = ::send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (more < 0 && errno != EINTR) fail_ended();
    sent += static_cast<std::size_t>(std::max<ssize_t>(0, more));
  }
}

std::string WorkerProcess::hear(Seconds patience) {
  using Clock = std::chrono::steady_clock;
  if (process_ < 0) throw RunError{name_ + " has ended"};
  auto until = Clock::now() + std::chrono::milliseconds{static_cast<std::int64_t>(1e3 * patience.value())};
  for (bool hurried = false;;) {
    if (const auto line_end = heard_.find('\n'); line_end != std::string::npos) {
      std::string line = heard_.substr(0, line_end);
      heard_.erase(0, line_end + 1);
      return line;
    }
    if (heard_.size() > kLongestLine) {
      end(true);
      throw RunError{fmt::format("{} wrote {} bytes without the end of a line", name_, heard_.size())};
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) {
      end(true);
      if (hurried) throw RunError{name_ + " was ended: a signal came"};
      throw RunError{fmt::format("{} gave no answer in {:g} s and was ended", name_, patience.value())};
    }
    constexpr std::int64_t kGlance = 200;  // ms between looks for a signal
    constexpr std::chrono::seconds kGrace{2};
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, kGlance))) == 0) {
      if (hurried || !asked_to_end()) continue;
      hurried = true;
      until = std::min(until, Clock::now() + kGrace);
      continue;
    }
    std::array<char, 65536> part{};
    const ssize_t size = ::recv(socket_, part.data(), part.size(), 0);
    if (size > 0) heard_.append(part.data(), static_cast<std::size_t>(size));
    if (size == 0 || (size < 0 && errno != EINTR)) fail_ended();
  }
}

}  // namespace moesim
