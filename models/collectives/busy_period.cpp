#include <algorithm>
#include <stdexcept>

#include "models/collectives/collectives.hpp"

namespace moesim {

Seconds busy_period_bound(std::span<const Flow> flows, std::span<const Seconds> start,
                          std::span<const BytesPerSecond> capacity) {
  std::vector<const Flow*> latest_first;
  for (const Flow& flow : flows) {
    if (flow.src < 0 || static_cast<std::size_t>(flow.src) >= start.size())
      throw std::invalid_argument{"a flow from a GPU without a start"};
    if (flow.bytes.value() > 0 && !flow.links.empty()) latest_first.push_back(&flow);
  }
  const auto begin = [&](const Flow* flow) { return start[static_cast<std::size_t>(flow->src)]; };
  std::stable_sort(latest_first.begin(), latest_first.end(),
                   [&](const Flow* a, const Flow* b) { return begin(a) > begin(b); });

  // Bytes that start no sooner than the flow at hand, by link.
  std::vector<Seconds> still_to_carry(capacity.size());
  Seconds bound;
  for (const Flow* flow : latest_first)
    for (const LinkId link : flow->links) {
      const auto l = static_cast<std::size_t>(link);
      if (l >= capacity.size()) throw std::invalid_argument{"a flow over a link without capacity"};
      still_to_carry[l] += flow->bytes / capacity[l];
      bound = std::max(bound, begin(flow) + still_to_carry[l]);
    }
  return bound;
}

}  // namespace moesim
