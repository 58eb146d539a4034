#include "models/kernels/published/grid_table.hpp"

#include "models/kernels/published/curve_scale.hpp"

namespace moesim {

KernelTable grid_table(KernelTable table, const MeasuredGrid& points) {
  const int alignment = table.operation == KernelOperation::gemm ? best_alignment(points) : 1;
  const Neighbours neighbours{points, alignment};
  for (const auto& [at, sizes] : points) {
    Curve curve{at, {}, {}, 1, alignment};
    for (const auto& [size, measured] : sizes) {
      curve.size.push_back(size);
      curve.microseconds.push_back(on_scale(measured > 0 ? measured : neighbours.told(at, size)));
    }
    table.curves.push_back(std::move(curve));
  }
  return table;
}

}  // namespace moesim
