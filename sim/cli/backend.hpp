#pragma once
// Backends by the names that options use.

#include <memory>
#include <string>

#include "models/kernels/expert_backend.hpp"

namespace moesim {

inline constexpr const char* kWorkerHelp =
    "Program that owns the GPU (left out: moesim-cuda-worker beside this moesim, of the build preset cuda)";

/// "cpu", "cuda", or "auto" for a GPU where this build and machine have one, else the processors. `worker`: the program
/// that runs CUDA kernels; empty: where the build and the installation put it.
/// Throws BackendMissing, and what make_worker_backend throws.
std::unique_ptr<ExpertBackend> make_backend(const std::string& name, const std::string& worker);

}  // namespace moesim
