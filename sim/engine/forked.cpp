#include "sim/engine/forked.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include <fmt/format.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGKILL for prctl is POSIX
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

constexpr char kNumbers = 'n', kFailure = 'f';

void write_all(int pipe, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(pipe, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(1);  // the parent is gone
    data += written;
    size -= static_cast<std::size_t>(written);
  }
}

/// The child's whole life. It leaves by _exit: the parent's buffers and exit handlers are not its own.
[[noreturn]] void live_as_child(int pipe, const std::function<std::vector<double>()>& work) {
  std::string message;
  try {
    const std::vector<double> numbers = work();
    write_all(pipe, &kNumbers, 1);
    write_all(pipe, reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
    ::_exit(0);
  } catch (const std::exception& error) {
    message = error.what();
  } catch (...) {
    message = "an exception of unknown type";
  }
  write_all(pipe, &kFailure, 1);
  write_all(pipe, message.data(), message.size());
  ::_exit(0);
}

std::string read_all(int pipe) {
  std::string all;
  char block[65536];
  for (;;) {
    const ssize_t got = ::read(pipe, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return all;
    all.append(block, static_cast<std::size_t>(got));
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

std::vector<double> run_forked(const std::string& what, const std::function<std::vector<double>()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) throw RunError{fmt::format("{}: no pipe: {}", what, std::strerror(errno))};
  std::fflush(nullptr);  // what is still buffered would be written twice
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) {
    const int why = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    throw RunError{fmt::format("{}: no process: {}", what, std::strerror(why))};
  }
  if (child == 0) {
    // With its parent, however that ends; unlike the signals that end programs, this one cannot be held back.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::close(ends[0]);
    live_as_child(ends[1], work);
  }
  ::close(ends[1]);
  const std::string answer = read_all(ends[0]);
  ::close(ends[0]);
  const int status = wait_for(child);

  if (WIFSIGNALED(status)) throw RunError{fmt::format("{}: died of signal {}", what, WTERMSIG(status))};
  const bool is_numbers = !answer.empty() && answer[0] == kNumbers && (answer.size() - 1) % sizeof(double) == 0;
  const bool is_failure = !answer.empty() && answer[0] == kFailure;
  if (!is_numbers && !is_failure) throw RunError{fmt::format("{}: ended without an answer", what)};
  if (is_failure) throw RunError{fmt::format("{}: {}", what, answer.substr(1))};
  std::vector<double> numbers((answer.size() - 1) / sizeof(double));
  std::memcpy(numbers.data(), answer.data() + 1, numbers.size() * sizeof(double));
  return numbers;
}

}  // namespace moesim
