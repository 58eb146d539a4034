#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/published/import_collectives.hpp"
#include "models/kernels/published/measured_table.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

std::string name_in(const MeasuredRow& row, const char* column) {
  if (row.text(column).empty()) throw InputError{fmt::format("{}: {}", row.place(), column), "nothing", "a name"};
  return std::string{row.text(column)};
}

}  // namespace

Imported import_csv(const std::filesystem::path& file, const ImportRequest& request) {
  const MeasuredTable table{file};
  table.require({"engine", "version", "operation", "kernel", "format", "microseconds"});
  std::map<std::pair<std::string, std::string>, PointStore> engines, libraries;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const MeasuredRow row = table.row(i);
    TableKey key{parse_operation(row.text("operation"), row.place() + ": operation", ""),
                 name_in(row, "kernel"),
                 parse_number_format(row.text("format"), row.place() + ": format"),
                 {}};
    const OperationLayout& layout = layout_of(key.operation);
    for (const std::string_view name : layout.dimensions)
      key.dimensions.push_back(static_cast<int>(row.positive(name)));
    MeasuredPoint point;
    for (const std::string_view name : layout.axes) point.at.push_back(row.positive(name));
    point.size = row.positive(layout.size);
    point.microseconds = row.positive("microseconds");
    auto& stores = is_collective(key.operation) ? libraries : engines;
    stores[{name_in(row, "engine"), name_in(row, "version")}].add(key, point, row.without("microseconds"), row.place());
  }
  if (engines.empty())
    throw InputError{file.string(), libraries.empty() ? "no row" : "collectives alone",
                     libraries.empty() ? "a measured time in each row" : "kernels of an engine, too"};
  const auto or_else = [](const std::string& given, const char* standard) { return given.empty() ? standard : given; };
  Imported imported;
  KernelModel& model = imported.model;
  if (request.gpu == "auto" && request.device.empty())
    throw InputError{"--gpu", "auto for a CSV file, which names no device",
                     "the name of its entry in `moesim list gpus`"};
  const Gpu gpu = find_gpu(request.gpu == "auto" ? gpu_of_device(request.device) : request.gpu, "--gpu");
  for (const auto& [of, store] : engines) {
    EngineModel engine{of.first, of.second, {}, {}};
    fit_engine(store.points(), gpu, engine);
    model.engines.push_back(std::move(engine));
  }
  for (const auto& [of, store] : libraries) {
    EngineModel library{of.first, of.second, {}, {}};
    fit_collectives(store.points(), library);
    model.collectives.push_back(std::move(library));
  }
  model.gpu = gpu.name;
  model.name = request.name.empty() ? gpu.name : request.name;
  model.device = or_else(request.device, gpu.name.c_str());
  model.origin = {
      KernelSource::published,           or_else(request.source, "not said"),  or_else(request.revision, "not said"),
      or_else(request.date, "not said"), or_else(request.licence, "not said"), {}};
  imported.files = {{file.filename().string(), static_cast<int>(table.size()), static_cast<int>(table.size()), {}}};
  return imported;
}

}  // namespace moesim
