#include "sim/cli/backend.hpp"

#include "models/kernels/cpu/cpu_backend.hpp"

namespace moesim {

std::unique_ptr<ExpertBackend> make_backend(const std::string& name) {
  if (name == "cuda") throw BackendMissing{"this moesim has no CUDA backend; --backend cpu measures the processors"};
  return make_cpu_backend();  // auto too: nothing else is there
}

}  // namespace moesim
