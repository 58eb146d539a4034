#pragma once
// What `moesim profile` prints of a profile, for people and as JSON.

#include <string>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// What a hold-out error has to keep to, and whether it does. Bounds are those of the project's own contract.
struct ErrorVerdict {
  ModelError error;
  double most_median = 0, most_p90 = 0;  ///< 0: not bounded
  double least_gain = 0;                 ///< baseline's median over the model's; 0: not bounded
  bool kept = true;

  bool is_bounded() const { return most_median > 0 || most_p90 > 0 || least_gain > 0; }
};
std::vector<ErrorVerdict> judge(const EngineModel& engine);

/// Over all engines and collectives: errors that have a bound, and those of them that do not keep to it.
struct BoundCount {
  int bounded = 0, missed = 0;
};
BoundCount count_bounds(const KernelModel& model);

std::string profile_json(const KernelModel& model);
std::string check_json(const KernelModel& model);
std::string profile_text_for_people(const KernelModel& model);
std::string check_text(const KernelModel& model);

}  // namespace moesim
