#pragma once
// Files number layers as the model does, or count MoE layers only.

#include <set>
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

/// MoE layer (0 .. MoE layers - 1) of every layer number that a file uses, -1 for none: [largest number + 1].
/// The file's numbers must be exactly the model's MoE layer indices, or exactly 0 .. MoE layers - 1.
/// Throws InputError at `where` naming the layers found and those missing; `what` is "rows" or "token ...".
std::vector<int> match_layers(const std::set<int>& found, const Architecture& model, const std::string& where,
                              const std::string& what);

/// {1, 2, 3, 7} -> "1 to 3, 7".
std::string ranges_text(const std::set<int>& numbers);

}  // namespace moesim
