#include "sim/serving/expert_fetch.hpp"

#include <algorithm>

#include "models/llm/parameters.hpp"

namespace moesim {

ExpertFetch::ExpertFetch(const Scenario& scenario, const Deployment& plan)
    : placement_ranks_{static_cast<std::size_t>(plan.placement.ranks)},
      slots_per_rank_{static_cast<std::size_t>(plan.placement.slots_per_rank)},
      bandwidth_{scenario.experts.offload.bandwidth} {
  const auto& hit_rate = scenario.experts.offload.hit_rate;
  for (int l = 0; l < plan.placement.layers; ++l)
    for (const int expert : plan.placement.layer(l)) {
      const bool stays = plan.resident[miss_.size()];
      miss_.push_back(hit_rate ? 1 - *hit_rate : stays ? 0 : 1);
      bytes_.push_back(
          expert < 0 ? 0
                     : expert_bytes(scenario.model, plan.formats->of(l, expert), plan.layout.spec.expert_tp).value());
    }
}

Fetched ExpertFetch::operator()(int moe_layer, std::span<const std::int32_t> rows_per_slot,
                                std::span<double> seconds) const {
  Fetched fetched;
  const std::size_t width = seconds.size() / placement_ranks_;
  const std::size_t first = static_cast<std::size_t>(moe_layer) * rows_per_slot.size();
  for (std::size_t p = 0; p < placement_ranks_; ++p) {
    Bytes bytes;
    for (std::size_t s = p * slots_per_rank_; s < (p + 1) * slots_per_rank_; ++s) {
      if (rows_per_slot[s] == 0) continue;
      ++fetched.wanted;
      fetched.missed += miss_[first + s];
      bytes += Bytes{miss_[first + s] * bytes_[first + s]};
    }
    std::fill_n(seconds.begin() + static_cast<std::ptrdiff_t>(p * width), width, (bytes / bandwidth_).value());
    fetched.bytes += static_cast<double>(width) * bytes;
  }
  return fetched;
}

}  // namespace moesim
