// Wall time and memory of whole simulations by cluster size: DeepSeek-V3 decode, 58 MoE layers, one slot row per GPU.
//
//   scaling_bench [steps]     (default 500)
//
// Every size runs in a process of its own, as `moesim run` does. Set-up is what a run of one step takes.

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/simulate.hpp"

namespace {

struct Measured {
  double wall_s = 0;
  double rss_mb = 0;
  bool ok = false;
};

std::string scenario_text(int nodes, int steps) {
  const int gpus = nodes * 8;
  const int slots = gpus * ((256 + gpus - 1) / gpus);
  return fmt::format(
      "model: deepseek-v3\ncluster: {{gpu: h200-sxm, nodes: {}}}\nlayout: {{attention: {{dp: {}}}, experts: {{ep: "
      "{}}}}}\n"
      "placement: {{policy: eplb, redundant: {}}}\nrouting: {{kind: zipf, exponent: 0.6, sampler: aggregate}}\n"
      "workload: {{phase: decode, tokens_per_gpu: 64, context: 2048, steps: {}}}\n",
      nodes, gpus, gpus, slots + (slots > 256 ? 0 : gpus) - 256, steps);
}

/// One simulation in a forked process; its largest resident set comes from the kernel's accounting.
Measured measure(int nodes, int steps) {
  const auto start = std::chrono::steady_clock::now();
  std::fflush(stdout);  // else the child prints it again
  const pid_t child = fork();
  if (child == 0) {
    try {
      moesim::simulate(moesim::parse_scenario(scenario_text(nodes, steps), "bench", "."));
      _exit(0);
    } catch (const std::exception& error) {
      fmt::print(stderr, "{} nodes: {}\n", nodes, error.what());
      _exit(1);
    }
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {wall.count(), static_cast<double>(usage.ru_maxrss) / 1024, status == 0};
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 500;
  fmt::print("{:>6} {:>10} {:>14} {:>18} {:>10} {:>10}\n", "GPUs", "set-up s", "us per step", "us per layer-step",
             "peak MB", "growth");
  double last = 0;
  int last_gpus = 0;
  for (const int nodes : {4, 18, 40, 64, 128}) {
    const Measured one = measure(nodes, 1), many = measure(nodes, steps + 1);
    if (!one.ok || !many.ok) return 1;
    const double step = (many.wall_s - one.wall_s) / steps * 1e6;
    const double exponent = last > 0 ? std::log(step / last) / std::log(static_cast<double>(nodes * 8) / last_gpus) : 0;
    fmt::print("{:>6} {:>10.2f} {:>14.1f} {:>18.2f} {:>10.0f} {:>10}\n", nodes * 8, one.wall_s, step, step / 58,
               many.rss_mb, last > 0 ? fmt::format("N^{:.2f}", exponent) : "");
    last = step;
    last_gpus = nodes * 8;
  }
  return 0;
}
