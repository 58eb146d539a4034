#include "sim/cli/backend.hpp"

#include <filesystem>

#include <unistd.h>

#include "models/kernels/cpu/cpu_backend.hpp"
#include "models/kernels/worker/worker_backend.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

/// Beside the executable, where the installation puts it, and where the build does.
std::string find_worker() {
  std::error_code failure;
  const fs::path folder = fs::read_symlink("/proc/self/exe", failure).parent_path();
  for (const char* place :
       {"moesim-cuda-worker", "../libexec/moesim/moesim-cuda-worker", "../../models/kernels/cuda/moesim-cuda-worker"})
    if (const fs::path candidate = folder / place; ::access(candidate.c_str(), X_OK) == 0)
      return candidate.lexically_normal();
  throw BackendMissing{
      "no moesim-cuda-worker beside this moesim: build it where nvcc is (cmake --preset cuda), or name it with "
      "--cuda-worker; --backend cpu measures the processors"};
}

std::unique_ptr<ExpertBackend> make_cuda_backend(const std::string& worker) {
  return make_worker_backend({worker.empty() ? find_worker() : worker});
}

}  // namespace

std::unique_ptr<ExpertBackend> make_backend(const std::string& name, const std::string& worker) {
  if (name == "cuda") return make_cuda_backend(worker);
  if (name == "cpu") return make_cpu_backend();
  try {
    return make_cuda_backend(worker);
  } catch (const BackendMissing&) {
    return make_cpu_backend();
  }
}

}  // namespace moesim
