#pragma once
// Another program that answers lines with lines, and every way in which it may not.

#include <string>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

class WorkerProcess {
public:
  /// `command`: program, looked up in PATH unless it has a slash, and arguments. Throws RunError when no process can be
  /// made; a program that is not there shows with the first answer.
  explicit WorkerProcess(const std::vector<std::string>& command);
  /// Closes its input, which tells it to end, and kills it when it does not within two seconds.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  /// Writes a line.
  void tell(const std::string& line);
  /// The next line it writes, without its end.
  ///
  /// Throws BackendMissing (with the last line of its errors) when it ended with status 77, and RunError when it ended
  /// otherwise, wrote a line beyond 16 MiB, or wrote none in `patience` or in two seconds
  /// after a signal that ends programs came and is held back, after which it is killed.
  std::string hear(Seconds patience);

private:
  [[noreturn]] void fail_ended();
  std::string last_error() const;
  /// Waits for its end; a killed one ends at once. Status of waitpid.
  int end(bool kill);

  std::string name_;
  int process_ = -1, socket_ = -1, errors_ = -1;
  std::string heard_;  ///< past the last whole line
};

}  // namespace moesim
