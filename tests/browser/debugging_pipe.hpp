#pragma once
// The process of a browser and the pipe it listens on.

#include <string>

#include <sys/types.h>

#include "tests/temporary_folder.hpp"

namespace moesim::testing {

class DebuggingPipe {
public:
  /// Starts the program with a new profile. Throws std::runtime_error when it cannot.
  explicit DebuggingPipe(const std::string& program);
  /// Ends the browser and all its processes.
  ~DebuggingPipe();
  DebuggingPipe(const DebuggingPipe&) = delete;
  DebuggingPipe& operator=(const DebuggingPipe&) = delete;

  void send(const std::string& message);
  /// The next message. Throws std::runtime_error, with the end of what the browser said, when none comes within 30 s.
  std::string receive();

private:
  [[noreturn]] void give_up(const std::string& why) const;

  TemporaryFolder folder_{"moesim_browser"};
  std::string received_;
  int to_browser_ = -1, from_browser_ = -1;
  pid_t browser_ = -1;
};

}  // namespace moesim::testing
