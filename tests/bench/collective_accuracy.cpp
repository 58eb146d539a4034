// Errors of the collective models against the open measured cases: every case, then n, median, mean, worst and bias per
// group.
//
//   MOESIM_SHARED=../shared ./collective_accuracy [C08]
//
// error = predicted / measured - 1. bias is the mean signed error: below zero, the model is too fast.

#include <map>

#include <fmt/core.h>

#include "models/units/error.hpp"
#include "tests/bench/collective_cases.hpp"
#include "tests/shared_data.hpp"

namespace {

using namespace moesim::bench;

void print_cases(const std::vector<CollectiveCase>& cases) {
  fmt::print("{:<5}{:<42}{:<46}{:>12}{:>12}{:>9}\n", "case", "group", "what", "predicted", "measured", "error");
  std::string source;
  for (const CollectiveCase& one : cases) {
    if (one.source != source) fmt::print("from {}\n", source = one.source);
    fmt::print("{:<5}{:<42}{:<46}{:>9.1f} us{:>9.1f} us{:>+7.1f} %\n", one.id, one.group, one.what,
               one.predicted.value() * 1e6, one.measured.value() * 1e6, 100 * one.error());
  }
}

void print_group(const std::string& name, const std::vector<CollectiveCase>& cases) {
  double bias = 0;
  for (const CollectiveCase& one : cases) bias += one.error() / static_cast<double>(cases.size());
  fmt::print("{:<50}{:>5}{:>10.1f}{:>10.1f}{:>10.1f}{:>+10.1f}\n", name, cases.size(), 100 * median_error(cases),
             100 * mean_error(cases), 100 * worst_error(cases), 100 * bias);
}

void print_groups(const std::vector<CollectiveCase>& cases) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<CollectiveCase>> groups;
  for (const CollectiveCase& one : cases) {
    const std::string name = one.id + " " + one.group;
    if (groups[name].empty()) order.push_back(name);
    groups[name].push_back(one);
    groups[one.expert_parallel ? "all expert-parallel cases" : "all NCCL cases in a node"].push_back(one);
  }
  fmt::print("\n{:<50}{:>5}{:>10}{:>10}{:>10}{:>10}\n", "group", "n", "median %", "mean %", "worst %", "bias %");
  for (const std::string& name : order) print_group(name, groups[name]);
  for (const char* name : {"all expert-parallel cases", "all NCCL cases in a node"})
    if (!groups[name].empty()) print_group(name, groups[name]);
}

}  // namespace

int main(int count, char** arguments) try {
  std::vector<CollectiveCase> cases = collective_cases(moesim::testing::shared_folder());
  if (cases.empty()) {
    fmt::print(stderr, "collective_accuracy: no measured file below {}; set MOESIM_SHARED\n",
               moesim::testing::shared_folder().string());
    return 2;
  }
  if (count > 1) std::erase_if(cases, [&](const CollectiveCase& one) { return one.id != arguments[1]; });
  print_cases(cases);
  print_groups(cases);
  return 0;
} catch (const moesim::InputError& error) {
  fmt::print(stderr, "collective_accuracy: {}\n", error.what());
  return 2;
}
