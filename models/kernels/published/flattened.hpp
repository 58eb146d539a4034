#pragma once
// What curves that never fall make of measured times that do.

#include "models/kernels/published/measured_points.hpp"

namespace moesim {

/// Times below that of a smaller size or above that of a larger one, which their curve tells more than 1 % otherwise.
struct Flattened {
  int points = 0;
  double most = 0;  ///< largest |curve / measured - 1| of them
  // Where that is:
  KernelOperation operation = KernelOperation::gemm;
  int line = 0;                   ///< MeasuredPoint's
  double measured = 0, told = 0;  ///< microseconds

  void add(const Flattened& other);
};

/// Of the balanced points of an engine's or library's tables; of equal sizes the median is the measured time. Tables of
/// many points keep those that fall, and so have none.
Flattened flattened(const MeasuredPoints& points, const EngineModel& engine);

}  // namespace moesim
