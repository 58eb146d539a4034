#pragma once
// Experts on the processors of this machine.

#include <memory>

#include "models/kernels/expert_backend.hpp"

namespace moesim {

/// Through oneDNN. OMP_NUM_THREADS says how many threads. Throws BackendMissing when this build has no oneDNN.
std::unique_ptr<ExpertBackend> make_cpu_backend();

}  // namespace moesim
