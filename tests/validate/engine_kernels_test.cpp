// Scenarios of rows take measured kernels of their GPU and engine where these ship, and never others.

#include "sim/validate/engine_kernels.hpp"

#include "models/kernels/published/kernel_model.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

std::string with_kernels(KernelsOf choice, const std::string& gpu, const std::string& engine) {
  WeightedSteps steps{gpu, engine, {{"model: x\n", 1}}};
  EngineKernels{choice}.add_to(steps);
  return steps.parts[0].scenario;
}

}  // namespace

TEST_CASE("A row of an engine without measured kernels keeps the roofline", "[validate]") {
  CHECK(with_kernels(KernelsOf::engine, "h100-sxm", "no-such-engine") == "model: x\n");
  CHECK(with_kernels(KernelsOf::engine, "no-such-gpu", "trtllm") == "model: x\n");
  CHECK(with_kernels(KernelsOf::engine, "h100-sxm", "") == "model: x\n");
}

TEST_CASE("Every shipped profile serves the rows of its GPU and engines unless the roofline is asked for",
          "[validate]") {
  for (const std::string& gpu : shipped_kernel_models())
    for (const EngineModel& engine : load_kernel_model(gpu).engines) {
      INFO(gpu << " " << engine.name);
      CHECK(with_kernels(KernelsOf::engine, gpu, engine.name) ==
            "model: x\nkernels: {profile: " + gpu + ", engine: " + engine.name + ", fallback: roofline}\n");
      CHECK(with_kernels(KernelsOf::roofline, gpu, engine.name) == "model: x\n");
    }
}
