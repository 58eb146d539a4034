#pragma once
// What a scenario says that is taken in a way its author may not expect: no error, and no silence.

#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace moesim {

/// A fabric without nodes to join, a node larger than is built.
std::vector<std::string> cluster_remarks(const ClusterSpec& cluster);

/// These, and weights in a format that the GPU cannot multiply.
std::vector<std::string> remarks_on(const Scenario& scenario);

/// Appends that another rule than DeepEP's own is a what-if, which its kernels do not run.
void remark_on_copies(AllToAll all_to_all, CopyRule copies, std::vector<std::string>& remarks);

}  // namespace moesim
