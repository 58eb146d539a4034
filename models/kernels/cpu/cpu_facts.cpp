#include "models/kernels/cpu/cpu_facts.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

namespace moesim {
namespace {

/// The first line of a file, "" without one.
std::string first_line(const char* file) {
  std::ifstream in{file};
  std::string line;
  std::getline(in, line);
  return line;
}

/// What follows "key  : " in a file of such lines, "" without that key.
std::string value_of(const char* file, const std::string& key) {
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto start = line.find_first_not_of(" \t", line.find(':') + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return {};
}

}  // namespace

std::string processor_name() {
  const std::string name = value_of("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown processor" : name;
}

Bytes machine_memory() {
  return Bytes{static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE))};
}

Bytes free_memory() {
  constexpr double kKiB = 1024;
  std::istringstream available{value_of("/proc/meminfo", "MemAvailable")};
  double amount = 0;
  return available >> amount ? Bytes{amount * kKiB} : 0.5 * machine_memory();
}

std::vector<std::string> cpu_notes() {
  std::vector<std::string> notes;
  const std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  const std::string clock = value_of("/proc/cpuinfo", "cpu MHz"), load = first_line("/proc/loadavg");
  notes.push_back(governor.empty() ? "clock governor unknown (a virtual machine shows none)"
                                   : "clock governor " + governor);
  if (!clock.empty()) notes.push_back(fmt::format("clock {} MHz before the measurements", clock));
  if (!load.empty()) notes.push_back(fmt::format("load {} before the measurements", load.substr(0, load.find(' '))));
  return notes;
}

/// From sysfs, "32768K": what one core sees. sysconf adds up what all sockets and virtual machines of the host have.
Bytes last_level_cache() {
  constexpr double kKiB = 1024, kMiB = kKiB * 1024;
  Bytes largest;
  for (const int level : {0, 1, 2, 3, 4}) {
    std::istringstream size{first_line(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", level).c_str())};
    double amount = 0;
    char unit = ' ';
    if (size >> amount >> unit) largest = std::max(largest, Bytes{amount * (unit == 'M' ? kMiB : kKiB)});
  }
  return largest;
}

}  // namespace moesim
