#include "models/kernels/published/doubts.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "models/kernels/profile_interpolation.hpp"
#include "models/kernels/published/kernel_ceiling.hpp"

namespace moesim {
namespace {

/// Of launches, so that the ceiling is what the work takes.
constexpr double kLongFloors = 10;
constexpr double kSlow = 2;
constexpr std::size_t kFewTables = 3;  ///< to say what is usual

/// A table's long times over the GPU's ceiling.
std::vector<double> over_ceiling(const KernelTable& table, const Gpu& gpu) {
  if (is_experts(table.operation) || bits_per_element(table.format) < 8) return {};
  const KernelCeiling ceiling{gpu, table};
  std::vector<double> over;
  for (const Curve& curve : table.curves)
    for (std::size_t i = 0; i < curve.size.size(); ++i) {
      const double expected = ceiling.microseconds(curve.at, curve.size[i]);
      if (expected >= kLongFloors * ceiling.floor()) over.push_back(curve.microseconds[i] / expected);
    }
  return over;
}

}  // namespace

std::vector<std::string> doubts(const KernelModel& model, const Gpu& gpu) {
  std::map<KernelOperation, std::vector<double>> usual;
  std::map<std::pair<std::string, KernelOperation>, std::vector<double>> medians;
  for (const EngineModel& engine : model.engines)
    for (const KernelTable& table : engine.tables) {
      const std::vector<double> over = over_ceiling(table, gpu);
      if (over.empty()) continue;
      usual[table.operation].push_back(quantile(over, 0.5));
      medians[{engine.name, table.operation}].push_back(quantile(over, 0.5));
    }
  std::vector<std::string> lines;
  for (auto& [of, tables] : medians) {
    const auto& all = usual[of.second];
    if (all.size() < kFewTables) continue;
    const double typical = quantile(all, 0.5);
    std::sort(tables.begin(), tables.end());
    const auto slow = std::lower_bound(tables.begin(), tables.end(), kSlow * typical);
    if (slow == tables.end()) continue;
    lines.push_back(fmt::format(
        "doubtful: {} {}, {} of {} tables: long ones take {:.1f} to {:.1f} times the roofline, where {:.1f} is usual",
        of.first, name_of(of.second), tables.end() - slow, tables.size(), *slow, tables.back(), typical));
  }
  return lines;
}

}  // namespace moesim
