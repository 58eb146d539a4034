// Keys that the queries of a layer see: the whole context, a sliding window, or a chunk.

#include <algorithm>
#include <cmath>

#include "models/llm/ops.hpp"

namespace moesim {
namespace {

/// Query rows that read K and V from HBM together: 8 tiles of 128 rows run close enough to meet in L2 [assumed].
constexpr double kRowsPerCacheRead = 8 * 128;

double triangle(double n) {
  return n * (n + 1) / 2;
}

/// Sum over positions i < n of min(i + 1, w).
double sliding_pairs(double n, double window) {
  return n <= window ? triangle(n) : triangle(window) + (n - window) * window;
}

/// Sum over positions i < n of i mod w + 1.
double chunked_pairs(double n, double chunk) {
  const double whole = std::floor(n / chunk);
  return whole * triangle(chunk) + triangle(n - whole * chunk);
}

/// Entries that the queries at positions [first, last) see together.
double seen_together(const AttentionSpec& a, double first, double last) {
  const double window = a.window;
  const double oldest = a.chunked ? std::floor(first / window) * window : std::max(0.0, first + 1 - window);
  return last - oldest;
}

}  // namespace

double attended_pairs(const Architecture& model, Reach reach, const RankBatch& batch) {
  const double n = batch.new_tokens, p = batch.context;
  if (reach == Reach::full) return n * p + triangle(n);
  const double window = model.attention.window;
  if (model.attention.chunked) return chunked_pairs(p + n, window) - chunked_pairs(p, window);
  return sliding_pairs(p + n, window) - sliding_pairs(p, window);
}

double cache_entries_read(const Architecture& model, Reach reach, const RankBatch& batch) {
  const double n = batch.new_tokens, p = batch.context;
  const double groups = batch.phase == Phase::decode ? 1 : std::max(1.0, std::ceil(n / kRowsPerCacheRead));
  // Rows up to g groups read p + g rows of the cache, the last group p + n.
  if (reach == Reach::full) return groups * p + kRowsPerCacheRead * groups * (groups - 1) / 2 + n;
  double entries = 0;
  for (double first = 0; first < groups; ++first) {
    const double from = first * kRowsPerCacheRead, to = first + 1 < groups ? from + kRowsPerCacheRead : n;
    entries += seen_together(model.attention, p + from, p + to);
  }
  return entries;
}

}  // namespace moesim
