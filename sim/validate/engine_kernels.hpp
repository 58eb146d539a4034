#pragma once
// Which measured kernels a measured system had.

#include <set>
#include <string>

#include "sim/validate/measured_case.hpp"

namespace moesim {

enum class KernelsOf {
  engine,   ///< those of the row's GPU and engine where they ship, else the roofline
  roofline  ///< never measured ones
};

/// Adds the kernels of their GPU and engine to scenarios: a section `kernels` where a profile of the GPU has the engine
/// (for what it lacks, the roofline), nothing else. Profiles are read once.
class EngineKernels {
public:
  explicit EngineKernels(KernelsOf choice);

  void add_to(WeightedSteps& steps) const;

private:
  /// "gpu engine" for all that ships.
  std::set<std::string> shipped_;
};

}  // namespace moesim
