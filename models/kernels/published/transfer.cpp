#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "models/kernels/published/kernel_ceiling.hpp"
#include "models/kernels/published/measured_times.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

struct Pair {
  std::string_view from, to;
  double sigma, p90;
  std::string_view evidence;
};

/// H100 to H200 and to B200: what carrying MoE blocks over by the ratio of rooflines missed on both GPUs' tables
/// (aiconfigurator 095f58a), when this was designed; not judged again with the ceilings used here. The others are
/// stated from the nearest of these.
constexpr std::string_view kSameChip = "same chip, other links or memory: not judged, stated";
constexpr std::string_view kJudgedHere = "an earlier, simpler form was judged on the tables of both GPUs";
constexpr std::string_view kLike = "not judged: stated as for H100 to B200 or wider";
constexpr std::array<Pair, 10> kPairs{{
    {"h100-sxm", "h800-sxm", 0.03, 0.06, kSameChip},
    {"h100-sxm", "h200-sxm", 0.12, 0.26, kJudgedHere},
    {"h100-sxm", "h20-sxm", 0.40, 0.80, kLike},
    {"h100-sxm", "b200-sxm", 0.25, 0.60, kJudgedHere},
    {"h100-sxm", "gb200-nvl72", 0.25, 0.60, kLike},
    {"h100-sxm", "a100-sxm", 0.40, 0.80, kLike},
    {"h100-sxm", "a100-pcie", 0.40, 0.80, kLike},
    {"b200-sxm", "gb200-nvl72", 0.12, 0.26, kSameChip},
    {"b200-sxm", "gb300-nvl72", 0.25, 0.60, kLike},
    {"b200-sxm", "h100-sxm", 0.25, 0.60, kJudgedHere},
}};

void carry(KernelTable& table, const Gpu& from, const Gpu& to) {
  const KernelCeiling old_ceiling{from, table}, new_ceiling{to, table};
  table.per_token =
      table.per_token * (from.memory_efficiency * from.memory_bandwidth) / (to.memory_efficiency * to.memory_bandwidth);
  for (Curve& curve : table.curves) {
    double before = 0;  // as it was measured
    for (std::size_t i = 0; i < curve.size.size(); ++i) {
      const double old_work = old_ceiling.microseconds(curve.at, curve.size[i]) - old_ceiling.floor();
      const double new_work = new_ceiling.microseconds(curve.at, curve.size[i]) - new_ceiling.floor();
      const double measured = curve.microseconds[i];
      const double launch = std::min(old_ceiling.floor(), 0.9 * measured);
      curve.microseconds[i] = launch + (measured - launch) * new_work / old_work;
      if (i > 0 && measured >= before)  // a longer time is never made a shorter one
        curve.microseconds[i] = std::max(curve.microseconds[i], curve.microseconds[i - 1]);
      before = measured;
    }
  }
}

}  // namespace

TransferError transfer_error(const std::string& from, const std::string& to) {
  for (const Pair& pair : kPairs)
    if (pair.from == from && pair.to == to) return {pair.sigma, pair.p90, std::string{pair.evidence}};
  std::string others;
  for (const Pair& pair : kPairs)
    if (pair.to == to) others += fmt::format(" or {}", pair.from);
  throw InputError{"kernels.profile", fmt::format("times of {} for {}", from, to),
                   fmt::format("a profile of {}{}", to,
                               others.empty() ? ", as none are known to carry over to it, or roofline" : others)};
}

KernelModel transferred(KernelModel made, const Gpu& from, const Gpu& to) {
  made.gpu = to.name;
  for (EngineModel& engine : made.engines)
    for (KernelTable& table : engine.tables) carry(table, from, to);
  if (!made.collectives.empty())
    made.origin.notes.push_back("collectives are not carried over: other links; the catalogue's parameters time them");
  made.collectives.clear();
  return made;
}

}  // namespace moesim
