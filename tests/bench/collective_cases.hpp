#pragma once
// What the collective models say about measured collectives, case by case (ids of the accuracy notes).

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim::bench {

struct CollectiveCase {
  std::string id;     ///< "C08"
  std::string group;  ///< "DeepEP low latency, H100"
  std::string what;   ///< "dispatch EP16, 128 tokens"
  Seconds predicted, measured;
  std::string source;            ///< file below the shared folder
  bool expert_parallel = false;  ///< dispatch or combine, or an all-to-all over nodes; else the vendor's collectives

  double error() const { return predicted / measured - 1; }
};

/// All open cases whose file is there, in the order of their ids. Every prediction takes the way of a simulation: the
/// catalogue's parameters, uniform routing as bytes per link of the topology, the fluid time.
/// Throws InputError for a file that does not read.
std::vector<CollectiveCase> collective_cases(const std::filesystem::path& shared);

/// Of |error|; 0 for none.
double median_error(const std::vector<CollectiveCase>& cases);
double mean_error(const std::vector<CollectiveCase>& cases);
double worst_error(const std::vector<CollectiveCase>& cases);

}  // namespace moesim::bench
