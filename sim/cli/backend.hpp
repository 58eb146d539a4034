#pragma once
// Backends by the names that options use.

#include <memory>
#include <string>

#include "models/kernels/expert_backend.hpp"

namespace moesim {

/// "cpu", "cuda", or "auto" for what this build and machine have. Throws BackendMissing.
std::unique_ptr<ExpertBackend> make_backend(const std::string& name);

}  // namespace moesim
