#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/published/fastest_time.hpp"
#include "models/kernels/published/import_collectives.hpp"
#include "models/kernels/published/kernel_model_check.hpp"
#include "models/kernels/published/measured_table.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

std::string name_in(const MeasuredRow& row, const char* column) {
  if (row.text(column).empty()) throw InputError{fmt::format("{}: {}", row.place(), column), "nothing", "a name"};
  return unquoted(row.text(column));
}

Gpu gpu_of(const ImportRequest& request) {
  if (request.gpu == "auto" && request.device.empty())
    throw InputError{"--gpu", "auto for a CSV file, which names no device",
                     "the name of its entry in `moesim list gpus`"};
  return find_gpu(request.gpu == "auto" ? gpu_of_device(request.device) : request.gpu, "--gpu");
}

constexpr double kLongest = 1e9;  ///< us: a quarter of an hour
constexpr double kMostBytes = 1e11, kMost = 1e9;

double at_most(double most, const MeasuredRow& row, std::string_view column, const char* what) {
  const double value = row.positive(column);
  if (value > most)
    throw InputError{fmt::format("{}: {}", row.place(), column), std::string{row.text(column)},
                     fmt::format("{} of at most {:g}", what, most)};
  return value;
}

/// A size, a place on an axis or a dimension.
double whole(const MeasuredRow& row, std::string_view column) {
  const double value = at_most(column == "bytes" ? kMostBytes : kMost, row, column, "a whole number");
  if (value != std::floor(value))
    throw InputError{fmt::format("{}: {}", row.place(), column), std::string{row.text(column)}, "a whole number"};
  return value;
}

/// What one engine or library measured.
struct Measured {
  std::string version;
  PointStore store{1.25};  // one's own times of one point, of one run
};
using MeasuredBy = std::map<std::string, Measured>;

/// Reads the rows of a file, each into the store of its engine or library.
class Reader {
public:
  explicit Reader(const Gpu& gpu) : gpu_{gpu} {}

  void row(const MeasuredRow& row) {
    const TableKey key = key_of(row);
    const OperationLayout& layout = layout_of(key.operation);
    MeasuredPoint point;
    for (const std::string_view name : layout.axes) point.at.push_back(whole(row, name));
    point.size = whole(row, layout.size);
    point.microseconds = at_most(kLongest, row, "microseconds", "a number");
    point.line = row.line();
    check_experts(key, point, row);
    check_possible(key, point, row);
    Measured& measured = (is_collective(key.operation) ? libraries : engines)[name_in(row, "engine")];
    const std::string version = name_in(row, "version");
    if (measured.version.empty()) measured.version = version;
    if (measured.version != version)
      throw InputError{
          row.place() + ": version", version,
          fmt::format("{}, as in the rows above: scenarios choose an engine by its name", measured.version)};
    measured.store.add(key, point, row.without("microseconds"), row.place());
  }

  MeasuredBy engines, libraries;

private:
  /// No rank has more slots, and no token more experts, than there are.
  static void check_experts(const TableKey& key, const MeasuredPoint& point, const MeasuredRow& row) {
    if (const auto found = too_many_chosen(key.operation, key.dimensions))
      throw InputError{row.place() + ": top_k", *found, "at most all of them"};
    if (!is_experts(key.operation)) return;
    if (const auto found = wrong_slots(key.dimensions, point.at.front()))
      throw InputError{row.place() + ": slots", *found, "a whole number from 1 to all of them"};
  }

  static TableKey key_of(const MeasuredRow& row) {
    TableKey key{parse_operation(row.text("operation"), row.place() + ": operation", ""),
                 name_in(row, "kernel"),
                 parse_number_format(row.text("format"), row.place() + ": format"),
                 {}};
    for (const std::string_view name : layout_of(key.operation).dimensions)
      key.dimensions.push_back(static_cast<int>(whole(row, name)));
    return key;
  }

  void check_possible(const TableKey& key, const MeasuredPoint& point, const MeasuredRow& row) const {
    if (is_collective(key.operation) && key.dimensions.front() < 2)
      throw InputError{row.place() + ": ranks", std::to_string(key.dimensions.front()), "at least 2"};
    if (is_impossible(gpu_, key, point))
      throw InputError{row.place() + ": microseconds", fmt::format("{:g}", point.microseconds),
                       at_least(least_microseconds(gpu_, key, point), gpu_, key.operation, key.format)};
  }

  const Gpu& gpu_;
};

std::string or_else(const std::string& given, const std::string& standard) {
  return given.empty() ? standard : given;
}

/// "mine" of mine.csv and mine.csv.gz.
std::string stem_of(const std::filesystem::path& file) {
  return (file.extension() == ".gz" ? file.stem() : file).stem().string();
}

/// The user's own measurements, unless somebody else is named who published them.
ModelOrigin origin_of(const std::filesystem::path& file, const ImportRequest& request) {
  return {request.source.empty() ? KernelSource::calibrated : KernelSource::published,
          or_else(request.source, file.filename().string()),
          or_else(request.revision, "not said"),
          or_else(request.date, "not said"),
          or_else(request.licence, "not said"),
          {}};
}

}  // namespace

Imported import_csv(const std::filesystem::path& file, const ImportRequest& request) {
  const Gpu gpu = gpu_of(request);
  MeasuredTable table{file};
  table.require({"engine", "version", "operation", "kernel", "format", "microseconds"});
  Reader reader{gpu};
  while (table.next()) reader.row(table.row());
  if (reader.engines.empty())
    throw InputError{file.string(), reader.libraries.empty() ? "no row" : "collectives alone",
                     reader.libraries.empty() ? "a measured time in each row" : "kernels of an engine, too"};
  Imported imported;
  KernelModel& model = imported.model;
  Flattened& fallen = imported.flattened.emplace();
  for (const auto& [name, measured] : reader.engines) {
    EngineModel engine{name, measured.version, {}, {}};
    fit_engine(measured.store.points(), gpu, engine);
    count_points(measured.store.points(), engine);
    fallen.add(flattened(measured.store.points(), engine));
    model.engines.push_back(std::move(engine));
  }
  for (const auto& [name, measured] : reader.libraries) {
    EngineModel library{name, measured.version, {}, {}};
    fit_collectives(measured.store.points(), library);
    fallen.add(flattened(measured.store.points(), library));
    model.collectives.push_back(std::move(library));
  }
  model.gpu = gpu.name;
  model.name = or_else(request.name, stem_of(file));
  model.device = or_else(request.device, gpu.name);
  model.origin = origin_of(file, request);
  imported.files = {{file.filename().string(), table.rows(), table.rows(), {}}};
  return imported;
}

}  // namespace moesim
