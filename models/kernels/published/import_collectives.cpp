#include "models/kernels/published/import_collectives.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/published/aiconfigurator_collectives.hpp"
#include "models/kernels/published/measured_folders.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

/// What was measured: the same number format too, since sums and copies of both are in one table.
std::string identity_of(const PlacedPoint& placed, const MeasuredRow& row) {
  const char* dtype = row.has("nccl_dtype") ? "nccl_dtype" : "kernel_source";
  return fmt::format("{} {} {} {} {} {}", name_of(placed.key.operation), placed.key.kernel, row.text(dtype),
                     fmt::join(placed.key.dimensions, " "), fmt::join(placed.point.at, " "), placed.point.size);
}

/// Reads the tables of collectives of one GPU.
class Reader {
public:
  Reader(const fs::path& folder, const CollectiveRequest& request, std::vector<ImportedFile>& files)
      : folder_{folder}, comm_{folder / "comm"}, request_{request}, files_{files} {}

  void nccl() {
    check_nccl(folder_, request_.nccl);
    const CollectiveTableKind kind = nccl_table();
    const std::vector<std::string> versions = versions_with(comm_ / "nccl", kind.stem);
    if (versions.empty()) return;
    const std::string version = request_.nccl == "auto" ? versions.front() : request_.nccl;
    PointStore store;
    read(*table_file(comm_ / "nccl" / version, kind.stem), kind, store);
    add("nccl", version, store.points());
  }

  void own_all_reduce(const std::string& engine, const std::string& version) {
    const CollectiveTableKind kind = custom_all_reduce_table();
    for (const std::string& other : versions_with(comm_ / engine, kind.stem)) {
      if (older_version(version, other)) continue;
      PointStore store;
      read(*table_file(comm_ / engine / other, kind.stem), kind, store);
      return add(engine, other, store.points());
    }
  }

  /// What a newer version measured is not taken from an older one; such a table's kernel says its version.
  void deepep() {
    MeasuredPoints taken;
    std::string newest, from;
    for (const std::string& engine : folders_in(comm_))
      for (const CollectiveTableKind& kind : deepep_tables())
        for (const std::string& version : versions_with(comm_ / engine, kind.stem)) {
          if (newest.empty() || older_version(newest, version)) newest = version, from = engine;
          PointStore store;
          read(*table_file(comm_ / engine / version, kind.stem), kind, store);
          MeasuredPoints fresh;
          for (const auto& [key, points] : store.points()) {
            TableKey named = key;
            named.kernel += fmt::format(" ({} {})", engine, version);
            if (!measured(taken, key)) fresh[named] = points;
          }
          taken.merge(fresh);
        }
    add("deepep", fmt::format("{} {}", from, newest), taken);
  }

  std::vector<EngineModel> libraries;

private:
  static bool measured(const MeasuredPoints& points, const TableKey& key) {
    return std::any_of(points.begin(), points.end(), [&](const auto& of) {
      return of.first.operation == key.operation && of.first.dimensions == key.dimensions;
    });
  }

  void add(const std::string& name, const std::string& version, const MeasuredPoints& points) {
    if (points.empty()) return;
    EngineModel library{name, version, {}, {}};
    fit_collectives(points, library);
    libraries.push_back(std::move(library));
  }

  void read(const fs::path& file, const CollectiveTableKind& kind, PointStore& store) {
    MeasuredTable table{file};
    table.require(kind.columns);
    ImportedFile seen{file.lexically_relative(folder_).generic_string(), 0, 0, {}};
    while (table.next()) {
      const MeasuredRow row = table.row();
      check_device(row);
      const CollectiveRowMeaning meaning = kind.read(row);
      if (const auto* reason = std::get_if<std::string>(&meaning)) {
        ++seen.left_out[*reason];
        continue;
      }
      for (const PlacedPoint& placed : std::get<std::vector<PlacedPoint>>(meaning))
        store.add(placed.key, placed.point, identity_of(placed, row), row.place());
      ++seen.used;
    }
    seen.rows = table.rows();
    files_.push_back(std::move(seen));
  }

  /// Rows of one GPU name it in more than one way ("NVIDIA H100", "NVIDIA H100 80GB HBM3").
  void check_device(const MeasuredRow& row) {
    if (!row.has("device") || row.text("device") == device_ || row.text("device") == request_.device) return;
    const std::string device{row.text("device")};
    if (gpu_of_device(device) != request_.gpu)
      throw InputError{row.place() + ": device", device, fmt::format("a {}: one GPU in a model", request_.gpu)};
    device_ = device;
  }

  fs::path folder_, comm_;
  const CollectiveRequest& request_;
  std::vector<ImportedFile>& files_;
  std::string device_;
};

}  // namespace

void check_nccl(const fs::path& folder, const std::string& version) {
  if (version == "auto") return;
  const fs::path there = folder / "comm" / "nccl";
  const std::vector<std::string> versions = versions_with(there, nccl_table().stem);
  if (std::find(versions.begin(), versions.end(), version) != versions.end()) return;
  throw InputError{"--nccl", version,
                   versions.empty()
                       ? fmt::format("auto: no version lies in {}", there.string())
                       : fmt::format("auto, or a version in {}: {}", there.string(), fmt::join(versions, ", ")),
                   nearest(version, versions)};
}

std::vector<EngineModel> import_collectives(const fs::path& folder, const CollectiveRequest& request,
                                            std::vector<ImportedFile>& files) {
  Reader reader{folder, request, files};
  reader.nccl();
  for (const auto& [engine, version] : request.engines) reader.own_all_reduce(engine, version);
  reader.deepep();
  return std::move(reader.libraries);
}

}  // namespace moesim
