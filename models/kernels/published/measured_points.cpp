#include "models/kernels/published/measured_points.hpp"

#include <algorithm>

namespace moesim {

void count_points(const MeasuredPoints& points, EngineModel& engine) {
  for (KernelTable& table : engine.tables) {
    const auto of = points.find({table.operation, table.kernel, table.format, table.dimensions});
    if (of == points.end()) continue;
    table.points = static_cast<int>(std::count_if(of->second.begin(), of->second.end(),
                                                  [](const MeasuredPoint& point) { return point.skew == 0; }));
  }
}

}  // namespace moesim
