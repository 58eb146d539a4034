#pragma once
// Work in a forked process, because SimGrid simulates once per process.

#include <functional>
#include <string>
#include <vector>

namespace moesim {

/// Runs `work` in a forked child, which ends when this process does, and returns the numbers it returned.
/// Throws RunError with "WHAT: MESSAGE" when the work throws, when the child dies, or when the system refuses to fork.
std::vector<double> run_forked(const std::string& what, const std::function<std::vector<double>()>& work);

}  // namespace moesim
