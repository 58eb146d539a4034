#include "models/kernels/published/doubts.hpp"

#include <algorithm>
#include <map>
#include <set>

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

/// Tables of an operation that both engines have for a format and dimensions.
std::size_t shared_tables(const EngineModel& own, const EngineModel& other, KernelOperation operation) {
  using Of = std::pair<NumberFormat, std::vector<int>>;
  const auto all_of = [&](const EngineModel& engine) {
    std::set<Of> made;
    for (const KernelTable& table : engine.tables)
      if (table.operation == operation) made.insert({table.format, table.dimensions});
    return made;
  };
  const std::set<Of> wanted = all_of(own), there = all_of(other);
  return static_cast<std::size_t>(
      std::count_if(wanted.begin(), wanted.end(), [&](const Of& of) { return there.contains(of); }));
}

/// "2.1 to 4.5", or "6.4" where that is all.
std::string range(double low, double high) {
  const std::string from = fmt::format("{:.1f}", low), to = fmt::format("{:.1f}", high);
  return from == to ? from : from + " to " + to;
}

}  // namespace

std::vector<Doubt> doubts(const KernelModel& model, const Gpu& gpu) {
  std::map<KernelOperation, std::vector<double>> usual;
  std::map<std::pair<std::string, KernelOperation>, std::vector<double>> medians;
  for (const EngineModel& engine : model.engines)
    for (const KernelTable& table : engine.tables) {
      const std::vector<double> over = over_ceiling(table, gpu);
      if (over.empty()) continue;
      usual[table.operation].push_back(quantile(over, 0.5));
      medians[{engine.name, table.operation}].push_back(quantile(over, 0.5));
    }
  std::vector<Doubt> found;
  for (auto& [of, tables] : medians) {
    const auto& all = usual[of.second];
    if (all.size() < kFewTables) continue;
    const double typical = quantile(all, 0.5);
    std::sort(tables.begin(), tables.end());
    const auto slow = std::lower_bound(tables.begin(), tables.end(), kSlow * typical);
    if (slow == tables.end()) continue;
    found.push_back(
        {of.first, of.second, slow == tables.begin(), kSlow * typical,
         fmt::format("doubtful: {} {}, {} of {} tables: long ones take {} times the roofline, where {:.1f} is usual",
                     of.first, name_of(of.second), tables.end() - slow, tables.size(), range(*slow, tables.back()),
                     typical)});
  }
  return found;
}

void note_doubts(KernelModel& model, const Gpu& gpu) {
  const std::vector<Doubt> found = doubts(model, gpu);
  for (const Doubt& doubt : found) {
    model.origin.notes.push_back(doubt.line);
    const auto own =
        std::find_if(model.engines.begin(), model.engines.end(), [&](const auto& e) { return e.name == doubt.engine; });
    for (KernelTable& table : own->tables)
      if (table.operation == doubt.operation)
        if (const std::vector<double> over = over_ceiling(table, gpu); !over.empty())
          table.doubtful = quantile(over, 0.5) >= doubt.from;
    if (!doubt.all) continue;
    const EngineModel* lender = nullptr;
    std::size_t most = 0;
    for (const EngineModel& other : model.engines) {
      const bool doubted = std::any_of(found.begin(), found.end(), [&](const Doubt& of) {
        return of.engine == other.name && of.operation == doubt.operation;
      });
      const std::size_t shared = doubted ? 0 : shared_tables(*own, other, doubt.operation);
      if (shared <= most) continue;
      most = shared;
      lender = &other;
    }
    if (!lender) continue;
    own->stand_ins[doubt.operation] = lender->name;
    model.origin.notes.back() += fmt::format("; those of {} stand in where it has the shape", lender->name);
  }
}

}  // namespace moesim
