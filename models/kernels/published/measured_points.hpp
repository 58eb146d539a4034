#pragma once
// Rows of measured tables, sorted into the tables of a kernel model and fitted.

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// Which table a row belongs to.
struct TableKey {
  KernelOperation operation = KernelOperation::gemm;
  std::string kernel;
  NumberFormat format = NumberFormat::bf16;
  std::vector<int> dimensions;

  auto operator<=>(const TableKey&) const = default;
};

/// One measured time: where, of how much, and under which routing.
struct MeasuredPoint {
  std::vector<double> at;
  double size = 0;
  double microseconds = 0;
  double skew = 0;            ///< exponent of the power law that routing was drawn from; 0: balanced
  int tokens = 0, ranks = 1;  ///< experts: entering the expert-parallel group (0: not said), and its ranks
  int line = 0;               ///< of the file, where that is said
};

using MeasuredPoints = std::map<TableKey, std::vector<MeasuredPoint>>;

class PointStore {
public:
  /// apart : the factor between two times of one point from which they disagree
  explicit PointStore(double apart = 2) : apart_{apart} {}

  /// identity: what was measured, as the row says it. place: names the row in the InputError that tells of the same
  /// identity with times that factor apart.
  void add(const TableKey& key, const MeasuredPoint& point, std::string identity, const std::string& place);
  const MeasuredPoints& points() const { return points_; }

private:
  double apart_;
  MeasuredPoints points_;
  std::unordered_map<std::string, double> known_;  ///< microseconds by identity
};

/// Sets how many balanced points each table rests on.
void count_points(const MeasuredPoints& points, EngineModel& engine);

/// Tables and their errors of one engine.
void fit_engine(const MeasuredPoints& points, const Gpu& gpu, EngineModel& engine);

}  // namespace moesim
