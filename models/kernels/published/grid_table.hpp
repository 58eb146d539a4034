#pragma once
// Tables whose curves hold what was measured, point by point.

#include "models/kernels/published/kernel_model.hpp"
#include "models/kernels/published/neighbours.hpp"

namespace moesim {

/// `table` with a curve for each place, with a knot at each size: what was measured, or else what its neighbours tell.
/// Times are on the scale of packed texts (curve_scale.hpp). Dense products get the alignment that tells them best.
KernelTable grid_table(KernelTable table, const MeasuredGrid& points);

}  // namespace moesim
