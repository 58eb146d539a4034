#pragma once
// A Chrome trace as a viewer reads it, with exact nanoseconds.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace moesim::testing {

struct ReadSlice {
  std::int64_t begin, end;  ///< ns
  std::string track, name, kind;
  nlohmann::json args;
};

struct ReadTrace {
  explicit ReadTrace(const std::string& json);

  std::vector<std::string> tracks;                                                       ///< in the order of the file
  std::vector<ReadSlice> slices;                                                         ///< in the order of the file
  std::map<std::string, std::vector<std::pair<std::int64_t, nlohmann::json>>> counters;  ///< name -> (ns, series)
  nlohmann::json other;

  std::vector<ReadSlice> on(const std::string& track) const;
  /// Slices that begin inside another one of their track and end after it: what Perfetto cannot show. On tracks of GPUs
  /// also those that are inside another one.
  std::vector<std::string> overlaps() const;
  double largest_counter() const;
};

}  // namespace moesim::testing
