#pragma once
// The parts of the table, in the order of the schema. A new key is one entry here and one line in load.cpp.

#include "sim/scenario/keys.hpp"

namespace moesim {

std::vector<Key> model_keys();
std::vector<Key> cluster_keys();
std::vector<Key> expert_keys();
std::vector<Key> layout_keys();
std::vector<Key> routing_keys();
std::vector<Key> workload_keys();
std::vector<Key> communication_keys();
std::vector<Key> run_keys();

}  // namespace moesim
