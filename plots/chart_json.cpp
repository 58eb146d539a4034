#include "plots/chart_json.hpp"

#include <charconv>

#include <fmt/format.h>

namespace moesim {
namespace {

/// To four significant digits: what a screen shows, and half the size.
Json rounded(double value) {
  return Json::parse(fmt::format("{:.4g}", value), nullptr, false);
}

Json values(const std::vector<ChartValue>& of) {
  Json list = Json::array();
  for (const ChartValue& value : of) list.push_back(value ? rounded(*value) : Json(nullptr));
  return list;
}

Json limit(const std::optional<ChartLimit>& of) {
  return of ? Json{{"name", of->name}, {"value", rounded(of->value)}} : Json(nullptr);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

void add(Json& json, const StackedChart& chart) {
  json["kind"] = "stacked";
  json["unit"] = chart.unit;
  json["categories"] = chart.categories;
  json["series"] = Json::array();
  for (const ChartSeries& series : chart.series)
    json["series"].push_back({{"name", series.name}, {"values", values(series.values)}});
  json["limit"] = limit(chart.limit);
}

void add(Json& json, const HeatmapChart& chart) {
  json["kind"] = "heatmap";
  json["unit"] = chart.unit;
  json["row_label"] = chart.row_label;
  json["column_label"] = chart.column_label;
  json["rows"] = chart.rows;
  json["columns"] = chart.columns;
  json["views"] = Json::array();
  for (const auto& view : chart.views) json["views"].push_back({{"name", view.name}, {"values", values(view.values)}});
  json["sortable"] = chart.sortable;
}

void add(Json& json, const ParetoChart& chart) {
  json["kind"] = "pareto";
  json["x"] = {{"label", chart.x.label}, {"unit", chart.x.unit}};
  json["y"] = {{"label", chart.y.label}, {"unit", chart.y.unit}};
  json["points"] = Json::array();
  for (const auto& point : chart.points)
    json["points"].push_back(
        {{"label", point.label}, {"x", rounded(point.x)}, {"y", rounded(point.y)}, {"on_front", point.on_front}});
  json["limit"] = limit(chart.limit);
}

Json cell(const TableChart::Cell& of) {
  if (const auto* number = std::get_if<double>(&of)) return rounded(*number);
  if (const auto* text = std::get_if<std::string>(&of)) return *text;
  return nullptr;
}

Json better(TableChart::Better of) {
  if (of == TableChart::Better::none) return nullptr;
  return of == TableChart::Better::high ? "high" : "low";
}

void add(Json& json, const TableChart& chart) {
  json["kind"] = "table";
  json["columns"] = Json::array();
  for (const auto& column : chart.columns)
    json["columns"].push_back(
        {{"name", column.name}, {"unit", text_or_null(column.unit)}, {"better", better(column.better)}});
  json["rows"] = Json::array();
  for (const auto& row : chart.rows) {
    Json cells = Json::array();
    for (const auto& item : row) cells.push_back(cell(item));
    json["rows"].push_back(std::move(cells));
  }
}

void add(Json& json, const DrawingChart& chart) {
  json["kind"] = "drawing";
  json["svg"] = chart.svg;
}

}  // namespace

Json chart_json(const Chart& chart, const std::string& command) {
  Json json{{"id", chart.id},
            {"title", chart.title},
            {"caption", chart.caption},
            {"note", text_or_null(chart.note)},
            {"command", command}};
  std::visit([&](const auto& body) { add(json, body); }, chart.body);
  return json;
}

}  // namespace moesim
