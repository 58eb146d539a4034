#pragma once
// The words of a report, explained.

#include <string>
#include <utility>
#include <vector>

namespace moesim {

/// (term, explanation) pairs.
std::vector<std::pair<std::string, std::string>> glossary();

}  // namespace moesim
