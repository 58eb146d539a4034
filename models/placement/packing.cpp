#include "models/placement/packing.hpp"

#include <algorithm>
#include <cassert>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

namespace moesim {
namespace {

/// (sum, index): the heap's top is the emptiest bin, the first of equals.
using EmptiestFirst = std::priority_queue<std::pair<double, int>, std::vector<std::pair<double, int>>, std::greater<>>;

EmptiestFirst empty_bins(int bins) {
  EmptiestFirst heap;
  for (int bin = 0; bin < bins; ++bin) heap.emplace(0.0, bin);
  return heap;
}

std::vector<int> heaviest_first(std::span<const double> weights) {
  std::vector<int> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return weights[a] > weights[b]; });
  return order;
}

}  // namespace

std::vector<int> lpt(std::span<const double> weights, int bins) {
  assert(bins > 0);
  std::vector<int> bin_of(weights.size());
  EmptiestFirst heap = empty_bins(bins);
  for (int item : heaviest_first(weights)) {
    const auto [sum, bin] = heap.top();
    heap.pop();
    bin_of[item] = bin;
    heap.emplace(sum + weights[item], bin);
  }
  return bin_of;
}

std::vector<PackedItem> pack_evenly(std::span<const double> weights, int bins) {
  const int items = static_cast<int>(weights.size());
  assert(bins > 0 && items % bins == 0);
  const int room = items / bins;
  std::vector<PackedItem> packed(items);
  if (room == 1) {
    for (int item = 0; item < items; ++item) packed[item] = {item, 0};
    return packed;
  }
  std::vector<int> held(bins, 0);
  EmptiestFirst heap = empty_bins(bins);
  for (int item : heaviest_first(weights)) {
    const auto [sum, bin] = heap.top();
    heap.pop();
    packed[item] = {bin, held[bin]++};
    if (held[bin] < room) heap.emplace(sum + weights[item], bin);
  }
  return packed;
}

}  // namespace moesim
