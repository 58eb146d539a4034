#include "sim/validate/engine_kernels.hpp"

#include <fmt/format.h>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {
namespace {

std::string key(const std::string& gpu, const std::string& engine) {
  return gpu + " " + engine;
}

}  // namespace

EngineKernels::EngineKernels(KernelsOf choice) {
  if (choice == KernelsOf::roofline) return;
  for (const std::string& gpu : shipped_kernel_models())
    for (const EngineModel& engine : load_kernel_model(gpu).engines) shipped_.insert(key(gpu, engine.name));
}

void EngineKernels::add_to(WeightedSteps& steps) const {
  if (!shipped_.contains(key(steps.gpu, steps.engine))) return;
  for (WeightedSteps::Part& part : steps.parts)
    part.scenario += fmt::format("kernels: {{profile: {}, engine: {}, fallback: roofline}}\n", steps.gpu, steps.engine);
}

}  // namespace moesim
