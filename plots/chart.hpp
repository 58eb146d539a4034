#pragma once
// What a chart shows, before anybody draws it. plots/README.md describes its JSON.

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace moesim {

/// A number of a chart in the chart's unit; nothing where it is undefined.
using ChartValue = std::optional<double>;

struct ChartLimit {
  std::string name;
  double value = 0;  ///< in the unit of the axis
};

struct ChartSeries {
  std::string name;
  std::vector<ChartValue> values;  ///< [categories]
};

/// Horizontal bars, cut into series.
struct StackedChart {
  std::string unit;
  std::vector<std::string> categories;
  std::vector<ChartSeries> series;
  std::optional<ChartLimit> limit;
};

struct HeatmapChart {
  std::string unit, row_label, column_label;
  std::vector<std::string> rows, columns;
  struct View {
    std::string name;
    std::vector<ChartValue> values;  ///< [rows * columns], row by row
  };
  std::vector<View> views;
  bool sortable = false;  ///< each row may be sorted, largest first
};

struct ChartAxis {
  std::string label, unit;
};

/// High y and low x are better.
struct ParetoChart {
  ChartAxis x, y;
  struct Point {
    std::string label;
    double x = 0, y = 0;
    bool on_front = false;  ///< no other point is as good in one and better in the other
  };
  std::vector<Point> points;
  std::optional<ChartLimit> limit;  ///< of x
};

struct TableChart {
  enum class Better { none, high, low };
  struct Column {
    std::string name, unit;  ///< unit: empty for texts
    Better better = Better::none;
  };
  using Cell = std::variant<std::monostate, double, std::string>;
  std::vector<Column> columns;  ///< the first names the row
  std::vector<std::vector<Cell>> rows;
};

struct DrawingChart {
  std::string svg;
};

struct Chart {
  std::string id, title, caption;
  std::string note;  ///< what was left out, empty: nothing
  std::variant<StackedChart, HeatmapChart, ParetoChart, TableChart, DrawingChart> body;
};

}  // namespace moesim
