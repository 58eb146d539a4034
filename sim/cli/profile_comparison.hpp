#pragma once
// What `moesim profile compare` prints.

#include <string>

#include "models/kernels/published/model_comparison.hpp"

namespace moesim {

/// One document by scenarios/schema/profile_compare.schema.json, indented.
std::string profile_comparison_json(const KernelModel& a, const KernelModel& b, const ModelComparison& comparison);

/// A line for each operation; `shapes`: one for each shape, too.
std::string profile_comparison_text(const KernelModel& a, const KernelModel& b, const ModelComparison& comparison,
                                    bool shapes);

}  // namespace moesim
