#pragma once
// How many tokens each expert of each MoE layer received: the input of every balancing policy.

#include <string>
#include <utility>
#include <vector>

namespace moesim {

struct ExpertLoads {
  std::vector<int> layer_ids;  ///< ascending, as the file numbers them
  int experts = 0;
  std::vector<double> counts;            ///< [layers * experts]
  std::vector<std::string> summed_over;  ///< further columns that differ between rows added up: "domain"

  int layers() const { return static_cast<int>(layer_ids.size()); }
};

/// Read a recording, one of
///   - .csv or .csv.gz with the columns layer, expert and count, in any order. Rows that differ only in further columns
///     (domain, window) are added up, and such a column is named in summed_over;
///   - .csv or .csv.gz with one row per layer and one number per expert, with or without a header; a first column
///     called layer numbers the layers, else they are 0, 1, ...;
///   - .json with one array of numbers per layer.
/// where: keep the rows whose column has this value; only for the first form.
/// Throws InputError with file:line:column: rows of different lengths, a value that is no finite number of 0 or more,
/// an expert missing in a layer, the same layer and expert twice, a filter that keeps nothing.
ExpertLoads read_expert_loads(const std::string& file,
                              const std::vector<std::pair<std::string, std::string>>& where = {});

}  // namespace moesim
