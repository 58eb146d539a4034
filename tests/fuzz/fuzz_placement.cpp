// Any bytes as recorded loads or as a placement file are taken whole or refused; what is taken can be placed.

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "models/placement/expert_loads.hpp"
#include "models/placement/placement.hpp"
#include "models/units/error.hpp"
#include "tests/fuzz/written_file.hpp"

namespace {

constexpr int kMostExperts = 64;  // so that one input stays fast

void place_loads(const std::string& file) {
  using namespace moesim;
  const ExpertLoads loads = read_expert_loads(file);
  if (loads.experts > kMostExperts || loads.layers() > 8) return;
  if (loads.counts.size() != static_cast<std::size_t>(loads.layers()) * static_cast<std::size_t>(loads.experts))
    std::abort();
  for (const double count : loads.counts)
    if (!std::isfinite(count) || count < 0) std::abort();
  PlacementSpec spec;
  spec.policy = PlacementPolicy::eplb;
  spec.redundant = loads.experts;
  PlacementTarget target;
  target.ranks = 2;
  const Placement placement = place(spec, target, loads.layers(), loads.experts, loads.counts);
  for (int layer = 0; layer < placement.layers; ++layer)
    for (int expert = 0; expert < loads.experts; ++expert)
      if (std::ranges::count(placement.layer(layer), expert) == 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesim;
  const bool json = size > 0 && (data[0] == '[' || data[0] == '{');
  const std::string file = fuzz::written(data, size, json ? ".json" : ".csv");
  try {
    place_loads(file);
  } catch (const InputError&) {
  }
  try {
    const Placement placement = load_placement(file, 2, 1, 4);
    for (int expert = 0; expert < 4; ++expert)
      if (std::ranges::count(placement.layer(0), expert) == 0) std::abort();
  } catch (const InputError&) {
  }
  return 0;
}
