#pragma once
// What no kernel can beat on a GPU, which tells damaged and mislabelled rows of measured tables.

#include "models/hardware/gpu.hpp"
#include "models/kernels/published/measured_points.hpp"

namespace moesim {

/// Microseconds that a balanced point needs at the data sheet's peaks, without launches; of each the smallest share
/// that is believed [assumed]: 0.8 of its FLOPs' time, since clocks and data sheets are round numbers, and 0.5 of the
/// time of its bytes through HBM, since part of them may lie in a cache. A wrong unit or shape leaves less.
/// Throws std::invalid_argument for a collective.
double least_microseconds(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point);

/// Skewed points are never judged: how many experts had rows is not stored.
bool is_impossible(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point);

}  // namespace moesim
