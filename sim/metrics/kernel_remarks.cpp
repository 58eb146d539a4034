#include "sim/metrics/kernel_remarks.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace moesim {

std::vector<std::string> kernel_remarks(const std::vector<KernelUse>& uses) {
  constexpr double kWorthSaying = 0.05;
  struct Part {
    Seconds time;
    double sigma = 0;
  };
  Seconds all;
  std::map<std::pair<std::string, std::string>, Part> parts;
  std::map<std::string, Seconds> lent;  // by op class, kernel and engine
  for (const KernelUse& use : uses) {
    all += use.time;
    if (!use.lender.empty()) lent[fmt::format("{}: {} of {}", use.op_class, use.kernel, use.lender)] += use.time;
    if (use.regime != "outside" && use.regime != "fallback" && use.regime != "doubtful" &&
        use.regime != "other experts")
      continue;
    Part& part = parts[{use.op_class, use.regime}];
    part.time += use.time;
    part.sigma = std::max(part.sigma, use.sigma);
  }
  std::vector<std::string> lines;
  for (const auto& [key, part] : parts) {
    const double share = part.time / all;
    if (share < kWorthSaying) continue;
    const auto& [op_class, regime] = key;
    lines.push_back(fmt::format(
        "{}: {:.0f} % of the kernel time {}", op_class, 100 * share,
        regime == "outside" ? fmt::format("lies beyond the measured tables, whose last rate is carried on "
                                          "(± {:.0f} %, and more where the kernel is another there)",
                                          100 * part.sigma)
        : regime == "other experts"
            ? fmt::format(
                  "is that of a model with as wide experts, but another number of them or another top-k, as the "
                  "profile has no other (± {:.0f} %)",
                  100 * part.sigma)
        : regime == "doubtful" ? "rests on a table that the profile calls doubtful: two times and more what is "
                                 "usual on this GPU (moesim profile show)"
                               : "is the roofline's: the profile has none, and kernels.fallback allows it"));
  }
  for (const auto& [what, time] : lent)
    if (time / all >= kWorthSaying)
      lines.push_back(
          fmt::format("{} stands in ({:.0f} % of the kernel time): the engine's own measured times are "
                      "doubtful on this GPU (moesim profile show)",
                      what, 100 * (time / all)));
  return lines;
}

}  // namespace moesim
