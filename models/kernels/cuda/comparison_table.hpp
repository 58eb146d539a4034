#pragma once
// What time_experts printed as a table for people: our kernels against NVIDIA's libraries and the device's own copy.

#include <iosfwd>
#include <string>

namespace moesim::cuda {

/// `lines`: the JSON lines of time_experts, as far as they go. Markdown: the ceilings, then for each GEMM, histogram
/// and weight format our fastest kernel with its share of the copy rate (weights read) and of the largest product rate,
/// and its time over that of each library. Last, the project's targets and whether this run meets them. Throws
/// std::runtime_error (line number) for what time_experts does not print.
std::string comparison_table(std::istream& lines);

}  // namespace moesim::cuda
