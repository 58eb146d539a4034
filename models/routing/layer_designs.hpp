#pragma once
// One fitted design per layer; layers of equal popularity share it.

#include <algorithm>
#include <memory>
#include <vector>

#include "models/routing/routing.hpp"
#include "models/routing/token_design.hpp"

namespace moesim {

/// make(design) of every layer's design, built once per distinct popularity.
template <class Made>
std::vector<std::shared_ptr<const Made>> for_each_design(const RouterShape& shape, const ExpertPopularity& popularity) {
  std::vector<std::shared_ptr<const Made>> made;
  for (int l = 0; l < popularity.layers; ++l) {
    const auto wanted = popularity.layer(l);
    std::shared_ptr<const Made> same;
    for (int earlier : {0, l - 1})
      if (earlier >= 0 && earlier < l && std::ranges::equal(popularity.layer(earlier), wanted))
        same = made[static_cast<std::size_t>(earlier)];
    made.push_back(same ? same : std::make_shared<const Made>(TokenDesign{shape, wanted}));
  }
  return made;
}

}  // namespace moesim
