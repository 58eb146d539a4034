#pragma once
// A chart as plots/README.md describes it. Only for sources of this folder: it shows the JSON library.

#include <string>

#include <nlohmann/json.hpp>

#include "plots/chart.hpp"

namespace moesim {

using Json = nlohmann::ordered_json;

/// Numbers to four significant digits. `command` draws the chart again.
Json chart_json(const Chart& chart, const std::string& command);

}  // namespace moesim
