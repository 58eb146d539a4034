#pragma once
// Charts as pictures, drawn by gnuplot.

#include <optional>
#include <string>

#include "plots/chart.hpp"

namespace moesim {

enum class PictureFormat { svg, png };

/// Not tables and drawings, nor bars without any.
bool can_draw(const Chart& chart);

/// A gnuplot (5.4 or newer) script that draws the chart into `output`. Nothing for what it cannot draw.
/// Labels are shown as they are: no markup, no commands.
std::optional<std::string> gnuplot_script(const Chart& chart, PictureFormat format, const std::string& output);

}  // namespace moesim
