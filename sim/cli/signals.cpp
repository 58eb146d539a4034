#include "sim/cli/signals.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

#include <sys/signalfd.h>
#include <unistd.h>

namespace moesim {
namespace {

constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP};

bool is_ignored(int number) {
  struct sigaction action {};
  ::sigaction(number, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kEnding)
    if (!is_ignored(number)) sigaddset(&set, number);
  return set;
}

// What a handler may touch: no memory that is asked for, no lock.
char last_words[512], last_folder[4096];
pid_t speaker = 0;

void speak_and_end(int number) {
  if (::getpid() == speaker) {
    [[maybe_unused]] const ssize_t told = ::write(STDERR_FILENO, last_words, std::strlen(last_words));
    if (last_folder[0] != 0) ::rmdir(last_folder);
  }
  ::raise(number);  // SA_RESETHAND: the default now, when this returns
}

void keep(const std::string& text, char* buffer, std::size_t size) {
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(buffer, text.data(), length);
  buffer[length] = 0;
}

}  // namespace

SignalWatch::SignalWatch() : ending_{ending_signals()} {
  ::sigprocmask(SIG_BLOCK, &ending_, &before_);
  descriptor_ = ::signalfd(-1, &ending_, SFD_CLOEXEC | SFD_NONBLOCK);
}

SignalWatch::~SignalWatch() {
  ::close(descriptor_);
  restore();
}

int SignalWatch::caught() {
  const timespec at_once{};
  if (caught_ == 0) caught_ = std::max(0, ::sigtimedwait(&ending_, nullptr, &at_once));
  return caught_;
}

void SignalWatch::restore() const {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

HoldSignals::HoldSignals() {
  const sigset_t ending = ending_signals();
  ::sigprocmask(SIG_BLOCK, &ending, &before_);
}

HoldSignals::~HoldSignals() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

LastWords::LastWords(const std::string& words) {
  say(words);
  listen();
}

void LastWords::listen() const {
  struct sigaction action {};
  action.sa_handler = speak_and_end;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int number : kEnding)
    if (!is_ignored(number)) ::sigaction(number, &action, nullptr);
}

LastWords::~LastWords() {
  for (const int number : kEnding)
    if (!is_ignored(number)) ::signal(number, SIG_DFL);
}

void LastWords::say(const std::string& words, const std::filesystem::path& folder) {
  const HoldSignals meanwhile;
  keep("moesim: " + words + "\n", last_words, sizeof last_words);
  keep(folder.string(), last_folder, sizeof last_folder);
  speaker = ::getpid();
}

void end_by_signal(int number) {
  ::raise(number);
  ::_exit(128 + number);  // it is ignored, or held back
}

}  // namespace moesim
