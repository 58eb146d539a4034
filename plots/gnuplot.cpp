#include "plots/gnuplot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "plots/palette.hpp"

namespace moesim {
namespace {

constexpr int kWidth = 1100, kLeastHeight = 420, kMostHeight = 2400;
constexpr double kBarPixels = 26;
constexpr std::size_t kMostTicks = 40;  // labels on an axis

/// A text for gnuplot: in single quotes nothing but the quote itself means anything.
std::string quoted(const std::string& text) {
  std::string safe = "'";
  for (const char c : text) {
    const bool is_control = static_cast<unsigned char>(c) < ' ';
    safe += c == '\'' ? std::string{"''"} : std::string{is_control ? ' ' : c};
  }
  return safe + "'";
}

/// Long names would leave no room for the chart. Cuts between characters of UTF-8.
std::string shortened(const std::string& text, std::size_t most = 44) {
  if (text.size() <= most) return text;
  std::size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}

std::string number(const ChartValue& value) {
  return value && std::isfinite(*value) ? fmt::format("{:.6g}", *value) : "NaN";
}

/// "('a' 0, 'b' 1)", every n-th where there are many.
std::string ticks(const std::vector<std::string>& labels) {
  const std::size_t step = (labels.size() + kMostTicks - 1) / kMostTicks;
  std::string text;
  for (std::size_t i = 0; i < labels.size(); i += step)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", quoted(shortened(labels[i])), i);
  return "(" + text + ")";
}

std::string begin(const Chart& chart, PictureFormat format, const std::string& output, double height) {
  const int pixels = std::clamp(static_cast<int>(height), kLeastHeight, kMostHeight);
  std::string text =
      format == PictureFormat::svg
          ? fmt::format("set terminal svg size {},{} noenhanced font 'sans,13' background '#ffffff'\n", kWidth, pixels)
          : fmt::format("set terminal pngcairo size {},{} noenhanced font 'sans,11'\n", kWidth, pixels);
  text += fmt::format("set output {}\nset title {}\n", quoted(output), quoted(chart.title));
  return text + "set border 3 lc rgb '#737b88'\nset tics nomirror\nset key outside right top noenhanced\n";
}

/// Causes have the colours of the page (report/theme.js).
constexpr std::array<std::pair<std::string_view, const char*>, 11> kCauseColours{{{"attention", "#0072B2"},
                                                                                  {"tp collective", "#56B4E9"},
                                                                                  {"dispatch", "#E69F00"},
                                                                                  {"offload", "#CC79A7"},
                                                                                  {"experts", "#009E73"},
                                                                                  {"combine", "#D55E00"},
                                                                                  {"dense", "#F0E442"},
                                                                                  {"pipeline", "#8C6D4F"},
                                                                                  {"host", "#6B7280"},
                                                                                  {"other", "#A9B0BB"},
                                                                                  {"wait", "#D5D9DF"}}};

/// Of other series Okabe and Ito's eight by their place, then black and a pale grey.
const char* series_colour(std::size_t series, std::string_view name) {
  for (const auto& [cause, colour] : kCauseColours)
    if (cause == name) return colour;
  constexpr std::array<std::size_t, 8> kOrder{4, 0, 2, 5, 3, 7, 1, 6};
  if (series >= kOrder.size()) return series % 2 == 0 ? "#111111" : "#C8CDD5";
  return kOkabeIto.at(kOrder.at(series)).fill;
}

struct Bars {
  const StackedChart& chart;

  /// low, high and category of every part that is not zero.
  std::string block(std::size_t series, std::vector<double>& ends) const {
    std::string text = fmt::format("$s{} << EOD\n", series);
    for (std::size_t i = 0; i < chart.categories.size(); ++i) {
      const double value = chart.series[series].values[i].value_or(0), low = ends[i];
      ends[i] += value;
      fmt::format_to(std::back_inserter(text), "{:.6g} {:.6g} {}\n", low, ends[i], i);
    }
    return text + "EOD\n";
  }
};

std::string body(const StackedChart& chart) {
  std::vector<double> ends(chart.categories.size());
  std::string text, plot;
  const Bars bars{chart};
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    text += bars.block(s, ends);
    plot += fmt::format("{}$s{} using 1:3:1:2:($3-0.4):($3+0.4) with boxxyerror fs solid noborder lc rgb '{}' title {}",
                        plot.empty() ? "plot " : ", ", s, series_colour(s, chart.series[s].name),
                        quoted(chart.series[s].name));
  }
  if (chart.limit) {
    text += fmt::format("$limit << EOD\n{0:.6g} -0.5\n{0:.6g} {1}.5\nEOD\n", chart.limit->value,
                        chart.categories.size() - 1);
    plot += fmt::format(", $limit using 1:2 with lines lw 2 dt 2 lc rgb '#111111' title {}", quoted(chart.limit->name));
  }
  return text + fmt::format("set yrange [{}.5:-0.5]\nset xrange [0:*]\nset ytics {}\nset xlabel {}\n{}\n",
                            chart.categories.size() - 1, ticks(chart.categories), quoted(chart.unit), plot);
}

/// What 99 of 100 values do not exceed: one hot cell must not darken all others.
double high_end(std::vector<ChartValue> values) {
  std::erase_if(values, [](const ChartValue& value) { return !value; });
  if (values.empty()) return 1;
  std::sort(values.begin(), values.end());
  const double high = *values[(values.size() - 1) * 99 / 100];
  return high > 0 ? high : 1;
}

std::string body(const HeatmapChart& chart, const std::string& title) {
  std::string text =
      "set palette defined (0 '#440154', 1 '#414487', 2 '#2a788e', 3 '#22a884', 4 '#7ad151', 5 '#fde725')\n"
      "unset key\nset border 0\n";
  text += fmt::format("set multiplot layout {},1\n", chart.views.size());
  text += fmt::format("set xlabel {}\nset ylabel {}\nset cblabel {}\nset xtics {} rotate by -90\nset ytics {}\n",
                      quoted(chart.column_label), quoted(chart.row_label), quoted(chart.unit), ticks(chart.columns),
                      ticks(chart.rows));
  text += fmt::format("set xrange [-0.5:{0}.5]\nset yrange [{1}.5:-0.5]\n", chart.columns.size() - 1,
                      chart.rows.size() - 1);
  double high = 0;  // one scale, so that views compare
  for (const auto& view : chart.views) high = std::max(high, high_end(view.values));
  for (const auto& view : chart.views) {
    text += fmt::format("$m << EOD\n");
    for (std::size_t i = 0; i < view.values.size(); ++i)
      text += number(view.values[i]) + ((i + 1) % chart.columns.size() == 0 ? "\n" : " ");
    text += fmt::format("EOD\nset cbrange [0:{:.6g}]\nset title {}\nplot $m matrix with image\n", high,
                        quoted(chart.views.size() > 1 ? title + ": " + view.name : title));
  }
  return text + "unset multiplot\n";
}

std::string body(const ParetoChart& chart) {
  std::vector<const ParetoChart::Point*> front;
  std::string text = "$points << EOD\n";
  int nth = 0;
  for (const auto& point : chart.points) {
    fmt::format_to(std::back_inserter(text), "{:.6g} {:.6g} {}\n", point.x, point.y, ++nth);
    if (point.on_front) front.push_back(&point);
  }
  std::sort(front.begin(), front.end(), [](const auto* a, const auto* b) { return a->x < b->x; });
  text += "EOD\n$front << EOD\n";
  for (const auto* point : front) fmt::format_to(std::back_inserter(text), "{:.6g} {:.6g}\n", point->x, point->y);
  text += "EOD\n";
  nth = 0;
  for (const auto& point : chart.points)
    text += fmt::format("set label {} {} at {:.6g},{:.6g} offset 0.8,0.5 noenhanced\n", ++nth,
                        quoted(shortened(point.label, 32)), point.x, point.y);
  const auto axis = [](const ChartAxis& of) { return quoted(of.label + " (" + of.unit + ")"); };
  text += fmt::format("set xlabel {}\nset ylabel {}\nset offsets graph 0.05, graph 0.25, graph 0.1, graph 0.05\n",
                      axis(chart.x), axis(chart.y));
  if (chart.limit)
    text += fmt::format("set arrow from {0:.6g},graph 0 to {0:.6g},graph 1 nohead dt 2 lc rgb '#111111'\n",
                        chart.limit->value);
  text +=
      "plot $points using 1:2 with points pt 7 ps 1.2 lc rgb '#0072B2' title 'runs', "
      "$front using 1:2 with steps lw 2 lc rgb '#D55E00' title 'Pareto front'";
  if (chart.limit) text += fmt::format(", NaN with lines dt 2 lc rgb '#111111' title {}", quoted(chart.limit->name));
  return text + "\n";
}

}  // namespace

bool can_draw(const Chart& chart) {
  const auto* bars = std::get_if<StackedChart>(&chart.body);
  if (bars != nullptr) return !bars->categories.empty() && !bars->series.empty();
  return std::holds_alternative<HeatmapChart>(chart.body) || std::holds_alternative<ParetoChart>(chart.body);
}

std::optional<std::string> gnuplot_script(const Chart& chart, PictureFormat format, const std::string& output) {
  if (!can_draw(chart)) return std::nullopt;
  if (const auto* bars = std::get_if<StackedChart>(&chart.body))
    return begin(chart, format, output, 150 + kBarPixels * static_cast<double>(bars->categories.size())) + body(*bars);
  if (const auto* map = std::get_if<HeatmapChart>(&chart.body))
    return begin(chart, format, output, 640.0 * static_cast<double>(map->views.size())) + body(*map, chart.title);
  return begin(chart, format, output, 640) + body(std::get<ParetoChart>(chart.body));
}

}  // namespace moesim
