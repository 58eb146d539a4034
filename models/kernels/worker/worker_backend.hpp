#pragma once
// A device whose kernels run in a worker program: README.md beside this says what the two say to each other.

#include <memory>
#include <string>
#include <vector>

#include "models/kernels/expert_backend.hpp"

namespace moesim {

/// What a worker may need for one answer: the choice of tiles for a large shape, on a slow device.
inline constexpr Seconds kWorkerPatience{120};

/// Starts `command` (program and arguments) and asks it what its device is.
///
/// Throws BackendMissing when it finds no device (status 77), RunError when it cannot be started or does not speak as
/// it should. Every later call throws RunError when the worker dies, answers rubbish, or takes longer than `patience`:
/// the backend is of no use then. Out of memory on the device is std::bad_alloc, and the worker lives on.
std::unique_ptr<ExpertBackend> make_worker_backend(const std::vector<std::string>& command,
                                                   Seconds patience = kWorkerPatience);

}  // namespace moesim
