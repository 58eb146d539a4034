#pragma once
// Two kernel models side by side: the ratio of their times where both were measured.

#include <string>
#include <utility>
#include <vector>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// Times of B over those of A.
struct RatioSpread {
  int points = 0;
  double median = 0, p10 = 0, p90 = 0;  ///< 0 without points
};

/// What a table is for, whichever kernel: engines call theirs differently.
struct TableShape {
  NumberFormat format = NumberFormat::bf16;
  std::vector<int> dimensions;  ///< as layout_of(operation) says

  auto operator<=>(const TableShape&) const = default;
};

struct ShapeComparison {
  TableShape shape;
  RatioSpread ratio;
};

struct OperationComparison {
  KernelOperation operation = KernelOperation::gemm;
  RatioSpread ratio;                    ///< of all shapes
  std::vector<ShapeComparison> shapes;  ///< of both, also those without a common point
  std::vector<TableShape> only_a, only_b;
};

struct EngineComparison {
  std::string a, b;  ///< "trtllm 1.3.0rc10"
  std::vector<OperationComparison> operations;
};

struct ModelComparison {
  std::vector<EngineComparison> engines, collectives;
  std::vector<std::string> only_a, only_b;  ///< engines and libraries by name
};

/// Engines and libraries of the same name, or one engine of each where `engines` names them. Common points are the
/// knots of both curves at places that both have, where both were measured; of several kernels of a shape the fastest.
/// Throws InputError for engines that are not there, and when nothing is in both.
ModelComparison compare_models(const KernelModel& a, const KernelModel& b,
                               const std::pair<std::string, std::string>& engines = {});

}  // namespace moesim
