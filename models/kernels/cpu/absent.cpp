// In place of the CPU backend where oneDNN was not found.

#include "models/kernels/cpu/cpu_backend.hpp"

namespace moesim {

std::unique_ptr<ExpertBackend> make_cpu_backend() {
  throw BackendMissing{
      "the CPU backend is not built: it needs oneDNN (apt-get install libdnnl-dev, then build again; cmake finds it)"};
}

}  // namespace moesim
