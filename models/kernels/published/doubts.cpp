#include "models/kernels/published/doubts.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "models/kernels/profile_interpolation.hpp"
#include "models/kernels/published/kernel_ceiling.hpp"

namespace moesim {
namespace {

/// At the peak; shorter times are measured within some microseconds.
constexpr double kLongMicroseconds = 20;
/// Of launches, so that the ceiling is what the work takes.
constexpr double kLongFloors = 10;
/// Clocks boost by less.
constexpr double kSlack = 0.95;
constexpr double kMostImpossible = 0.25, kSlow = 2;
constexpr std::size_t kFewTables = 3;  ///< to say what is usual

/// What a table's long times are over the GPU's ceiling (the median), and how many of them cannot be.
struct Judgement {
  double over_ceiling = 0;
  double impossible = 0;
};

/// Nothing for a table without long times.
std::optional<Judgement> judged(const KernelTable& table, const Gpu& gpu) {
  const KernelCeiling ceiling{gpu, table};
  std::vector<double> over;
  double at_peak = 0, impossible = 0;
  for (const Curve& curve : table.curves)
    for (std::size_t i = 0; i < curve.size.size(); ++i) {
      const double least = ceiling.arithmetic(curve.at, curve.size[i]), us = curve.microseconds[i];
      const double expected = ceiling.microseconds(curve.at, curve.size[i]);
      if (expected >= kLongFloors * ceiling.floor()) over.push_back(us / expected);
      if (least < kLongMicroseconds) continue;
      ++at_peak;
      if (us < kSlack * least) ++impossible;
    }
  if (over.empty()) return std::nullopt;
  return Judgement{quantile(over, 0.5), at_peak > 0 ? impossible / at_peak : 0};
}

/// Peaks below 8 bits are not in the catalogue.
bool known_peak(const KernelTable& table) {
  return !is_experts(table.operation) && bits_per_element(table.format) >= 8;
}

struct Range {
  int tables = 0;
  double least = 1e300, most = 0;
  void add(double value) {
    ++tables;
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

}  // namespace

std::vector<std::string> doubts(const KernelModel& model, const Gpu& gpu) {
  std::map<KernelOperation, std::vector<double>> usual;
  std::map<std::pair<std::string, KernelOperation>, std::vector<Judgement>> tables;
  for (const EngineModel& engine : model.engines)
    for (const KernelTable& table : engine.tables) {
      const auto found = known_peak(table) ? judged(table, gpu) : std::nullopt;
      if (!found) continue;
      usual[table.operation].push_back(found->over_ceiling);
      tables[{engine.name, table.operation}].push_back(*found);
    }
  std::vector<std::string> lines;
  for (const auto& [of, all] : tables) {
    const auto& others = usual[of.second];
    const double typical = quantile(others, 0.5);
    Range impossible, slow;
    for (const Judgement& table : all) {
      if (table.impossible > kMostImpossible) impossible.add(100 * table.impossible);
      if (others.size() >= kFewTables && table.over_ceiling >= kSlow * typical) slow.add(table.over_ceiling);
    }
    const std::string what = fmt::format("doubtful: {} {}, ", of.first, name_of(of.second));
    if (impossible.tables > 0)
      lines.push_back(what + fmt::format("{} of {} tables: {:.0f} to {:.0f} % of the longer times are shorter than the "
                                         "GPU's peak allows",
                                         impossible.tables, all.size(), impossible.least, impossible.most));
    if (slow.tables > 0)
      lines.push_back(what + fmt::format("{} of {} tables: long ones take {:.1f} to {:.1f} times the roofline, where "
                                         "{:.1f} is usual",
                                         slow.tables, all.size(), slow.least, slow.most, typical));
  }
  return lines;
}

}  // namespace moesim
