#include "models/routing/layer_numbers.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {

std::string ranges_text(const std::set<int>& numbers) {
  std::string text;
  for (auto first = numbers.begin(); first != numbers.end();) {
    auto last = first;
    while (std::next(last) != numbers.end() && *std::next(last) == *last + 1) ++last;
    text += text.empty() ? "" : ", ";
    text += *first == *last ? fmt::format("{}", *first) : fmt::format("{} to {}", *first, *last);
    first = std::next(last);
  }
  return text;
}

std::vector<int> match_layers(const std::set<int>& found, const Architecture& model, const std::string& where,
                              const std::string& what) {
  std::set<int> indices, ordinals;
  for (int l = 0; l < static_cast<int>(model.moe_layer.size()); ++l)
    if (model.moe_layer[static_cast<std::size_t>(l)]) {
      ordinals.insert(static_cast<int>(indices.size()));
      indices.insert(l);
    }
  if (found != indices && found != ordinals) {
    std::string expected = fmt::format("all {} MoE layers of {}: {}", indices.size(), model.name, ranges_text(indices));
    if (indices != ordinals) expected += fmt::format(" (or counted without dense layers: {})", ranges_text(ordinals));
    std::set<int> missing;
    const auto& nearer = !found.empty() && *found.begin() == 0 ? ordinals : indices;
    std::ranges::set_difference(nearer, found, std::inserter(missing, missing.end()));
    std::string text = fmt::format("{} for layers {}", what, found.empty() ? "none" : ranges_text(found));
    if (!missing.empty()) text += fmt::format(", none for {}", ranges_text(missing));
    throw InputError{where, text, expected};
  }
  std::vector<int> moe_layer_of(static_cast<std::size_t>(*found.rbegin()) + 1, -1);
  int moe_layer = 0;
  for (const int number : found) moe_layer_of[static_cast<std::size_t>(number)] = moe_layer++;
  return moe_layer_of;
}

}  // namespace moesim
