#pragma once
// The signals that end a process (SIGINT, SIGTERM, SIGHUP), met where it suits. What the caller ignores (as nohup does)
// stays ignored.

#include <filesystem>
#include <string>

#include <signal.h>

namespace moesim {

/// Holds them back while it lives, to be looked for. Threads that start later hold them back too. Nothing is delivered
/// in between, which code that oneDNN generates needs: it keeps values where the frame of a handler goes (seen with
/// 2.6.3 on AVX2: a corrupt heap).
class SignalWatch {
public:
  SignalWatch();
  ~SignalWatch();  ///< what came and was not asked for takes its course
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// The first that came, 0: none.
  int caught();
  /// For poll: readable when one came.
  int descriptor() const { return descriptor_; }
  /// Holds nothing back any more, as a forked child must not.
  void restore() const;

private:
  sigset_t ending_{}, before_{};
  int descriptor_ = -1, caught_ = 0;
};

/// While it lives, signals that end a process wait: what is being written gets whole.
class HoldSignals {
public:
  HoldSignals();
  ~HoldSignals();
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;

private:
  sigset_t before_{};
};

/// While it lives, a signal that ends this process first says the words on stderr and takes the folder away, if it is
/// empty. Processes that it forks end silently. One at a time.
class LastWords {
public:
  explicit LastWords(const std::string& words);
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

  void say(const std::string& words, const std::filesystem::path& folder = {});
  /// Once more, where a library has taken a signal for itself.
  void listen() const;
};

/// As the shell expects of an interrupted program: the signal takes its course, last words first.
[[noreturn]] void end_by_signal(int number);

}  // namespace moesim
