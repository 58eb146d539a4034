#pragma once
// summary.json: scenarios/schema/summary.schema.json says what every key means.

#include <string>

#include "sim/metrics/summary.hpp"

namespace moesim {

/// Deterministic: the same summary gives the same bytes. Undefined values are null, with a line in notes.
std::string summary_json(const Summary& summary);

/// What is under "uncertainty" and "kernels".
std::string uncertainty_json(const std::optional<Uncertainty>& of);
std::string kernels_json(const Summary& summary);

/// The object under "memory".
std::string memory_json(const MemoryFit& fit);

std::string_view name_of(Cause cause);
std::string words_of(Cause cause);            ///< "tp collective"
double gibibytes(Bytes bytes);                ///< for charts and tables of memory
std::string rate_words(double tokens_per_s);  ///< few tokens a second with three digits, many as whole ones: "4,146"
/// "24 of 32 = 4 nodes x 8": GPUs of the layout, of the cluster, nodes, and GPUs of each if they are alike.
std::string node_arithmetic(int used, int all, int nodes, std::optional<int> per_node);
std::string_view name_of(Hotspot::Kind kind);
std::string_view name_of(Hotspot::Cause cause);

}  // namespace moesim
