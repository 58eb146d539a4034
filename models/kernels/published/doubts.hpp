#pragma once
// Measured tables that are hard to believe.

#include <string>
#include <vector>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// Tables of one engine and operation that are hard to believe.
struct Doubt {
  std::string engine;
  KernelOperation operation = KernelOperation::gemm;
  bool all = false;  ///< every table that could be looked at
  double from = 0;   ///< times the ceiling that a table's median must reach to be doubtful
  std::string line;  ///< for people
};

/// Engines and operations with tables that take twice as long over the GPU's ceiling as the median table
/// of that operation does, in the median of what is long: kernels that the engine itself would hardly choose, or a
/// collector that called them as the engine does not. Experts, collectives and weights below 8 bits, whose peaks are
/// not in the catalogue, are not looked at. `gpu` is the model's.
std::vector<Doubt> doubts(const KernelModel& model, const Gpu& gpu);

/// Marks the doubtful tables, and notes the doubts in the model's origin. Where all tables of an engine's operation are
/// doubtful, the undoubted engine with the most tables for the same formats and dimensions stands in, if there is one.
void note_doubts(KernelModel& model, const Gpu& gpu);

}  // namespace moesim
