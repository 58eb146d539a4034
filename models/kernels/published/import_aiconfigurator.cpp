#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/published/aiconfigurator_rows.hpp"
#include "models/kernels/published/doubts.hpp"
#include "models/kernels/published/fastest_time.hpp"
#include "models/kernels/published/import.hpp"
#include "models/kernels/published/import_collectives.hpp"
#include "models/kernels/published/measured_folders.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

std::optional<fs::path> file_of(const fs::path& folder, const TableKind& kind, const std::string& engine,
                                const std::string& version) {
  return table_file(folder / kind.folder / engine / version, kind.stem);
}

bool has_main_tables(const fs::path& folder, const std::string& engine, const std::string& version) {
  for (const TableKind& kind : aiconfigurator_tables()) {
    const std::string_view name = kind.folder;
    if ((name == "moe" || name == "gemm" || name == "attention") && !file_of(folder, kind, engine, version))
      return false;
  }
  return true;
}

/// Every engine with its newest complete version.
std::vector<std::pair<std::string, std::string>> engines_in(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> engines;
  std::vector<std::string> names = folders_in(folder / "moe");
  std::stable_partition(names.begin(), names.end(), [](const std::string& name) { return name == "trtllm"; });
  for (const std::string& engine : names) {
    std::vector<std::string> versions = folders_in(folder / "moe" / engine);
    std::erase_if(versions, [&](const std::string& v) { return !has_main_tables(folder, engine, v); });
    if (!versions.empty())
      engines.emplace_back(engine, *std::max_element(versions.begin(), versions.end(), older_version));
  }
  if (engines.empty())
    throw InputError{folder.string(), "no engine with tables of experts, dense products and attention",
                     "a folder of one GPU with moe/ENGINE/VERSION/moe_perf.csv[.gz], and gemm and attention likewise"};
  return engines;
}

/// Files of a table: that of `version` or the nearest older one first, then the newer ones, oldest first.
std::vector<fs::path> files_of(const fs::path& folder, const TableKind& kind, const std::string& engine,
                               const std::string& version) {
  std::vector<fs::path> files;
  for (const std::string& other : versions_with(folder / kind.folder / engine, kind.stem)) {  // newest first
    files.insert(files.begin(), *file_of(folder, kind, engine, other));
    if (!older_version(version, other)) break;
  }
  return files;
}

/// Reads the tables of one GPU into point stores, engine by engine.
class Reader {
public:
  Reader(fs::path folder, const std::string& gpu) : folder_{std::move(folder)} {
    if (gpu != "auto") gpu_ = find_gpu(gpu, "--gpu");
  }

  EngineModel engine(const std::string& name, const std::string& version) {
    PointStore store;
    for (const TableKind& kind : aiconfigurator_tables()) {
      std::set<TableFormat> there;
      for (const fs::path& file : files_of(folder_, kind, name, version)) there.merge(read(file, kind, there, store));
    }
    EngineModel engine{name, version, {}, {}};
    fit_engine(store.points(), gpu(), engine);
    require_usable(engine);
    count_points(store.points(), engine);
    return engine;
  }

  const std::string& device() const { return device_; }
  const Gpu& gpu() {
    if (!gpu_) gpu_ = find_gpu(gpu_of_device(device_), "--gpu");
    return *gpu_;
  }
  std::vector<ImportedFile> files;

private:
  /// Files may be there, and every row of them left out.
  void require_usable(const EngineModel& engine) const {
    using enum KernelOperation;
    const auto has = [&](std::initializer_list<KernelOperation> wanted) {
      return std::any_of(engine.tables.begin(), engine.tables.end(), [&](const KernelTable& table) {
        return std::find(wanted.begin(), wanted.end(), table.operation) != wanted.end();
      });
    };
    const char* missing = !has({experts})                        ? "experts"
                          : !has({gemm})                         ? "dense products"
                          : !has({decode_attention, decode_mla}) ? "attention in decode"
                                                                 : nullptr;
    if (missing)
      throw InputError{folder_.string(),
                       fmt::format("no row of {} {} that can be used, of {}", engine.name, engine.version, missing),
                       "tables of experts, dense products and attention with rows that can be"};
  }

  using TableFormat = std::pair<KernelOperation, NumberFormat>;

  /// Adds the points of a file but for what an earlier file has in that format; gives what it added.
  std::set<TableFormat> read(const fs::path& file, const TableKind& kind, const std::set<TableFormat>& there,
                             PointStore& store) {
    MeasuredTable table{file};
    table.require(kind.columns);
    std::set<TableFormat> added;
    ImportedFile seen{file.lexically_relative(folder_).generic_string(), 0, 0, {}};
    while (table.next()) {
      const MeasuredRow row = table.row();
      check_device(row);
      const RowMeaning meaning = kind.read(row);
      const auto* placed = std::get_if<PlacedPoint>(&meaning);
      if (!placed) {
        ++seen.left_out[std::get<std::string>(meaning)];
        continue;
      }
      const TableFormat format{placed->key.operation, placed->key.format};
      if (there.contains(format)) {
        ++seen.left_out["in a format that the engine's own version has"];
        continue;
      }
      if (is_impossible(gpu(), placed->key, placed->point)) {
        ++seen.left_out["faster than the GPU's peaks allow"];
        continue;
      }
      store.add(placed->key, placed->point, row.without("latency"), row.place());
      added.insert(format);
      ++seen.used;
    }
    seen.rows = table.rows();
    files.push_back(std::move(seen));
    return added;
  }

  void check_device(const MeasuredRow& row) {
    if (!row.has("device")) return;
    if (device_.empty()) take_device(row);
    if (row.text("device") != device_)
      throw InputError{row.place() + ": device", std::string{row.text("device")},
                       fmt::format("{}, as in the other rows: one GPU in a model", device_)};
  }

  /// A GPU that was asked for must not be another one than a device that only one entry fits.
  void take_device(const MeasuredRow& row) {
    device_ = row.text("device");
    if (!gpu_) return;
    std::string of_device;
    try {
      of_device = gpu_of_device(device_);
    } catch (const InputError&) {
      return;  // several entries, or none: whoever asks for one knows which it is
    }
    if (of_device != gpu_->name)
      throw InputError{"--gpu", gpu_->name,
                       fmt::format("{}: {} was measured on '{}'", of_device, row.place(), device_)};
  }

  fs::path folder_;
  std::string device_;
  std::optional<Gpu> gpu_;
};

}  // namespace

std::string gpu_of_device(const std::string& device) {
  std::vector<std::string> found;
  for (const std::string& name : gpu_names()) {
    std::string chip = name.substr(0, name.find('-'));
    std::transform(chip.begin(), chip.end(), chip.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
    const std::size_t at = device.find(chip);
    if (at == std::string::npos) continue;
    const bool whole =
        at + chip.size() == device.size() || !std::isalnum(static_cast<unsigned char>(device[at + chip.size()]));
    if (whole && (at == 0 || device[at - 1] == ' ')) found.push_back(name);
  }
  if (found.size() == 1) return found.front();
  throw InputError{
      "--gpu", fmt::format("auto for device '{}'", device),
      found.empty() ? "the name of its entry in `moesim list gpus`" : fmt::format("one of {}", fmt::join(found, ", "))};
}

Imported import_aiconfigurator(const fs::path& folder, const ImportRequest& request) {
  if (std::error_code failure; !fs::is_directory(folder, failure))
    throw InputError{folder.string(), fs::exists(folder, failure) ? "a file" : "no such folder",
                     "a folder of measured tables of one GPU"};
  check_nccl(folder, request.nccl);
  Reader reader{folder, request.gpu};
  Imported imported;
  KernelModel& model = imported.model;
  const auto engine_versions = engines_in(folder);
  for (const auto& [engine, version] : engine_versions) model.engines.push_back(reader.engine(engine, version));
  const auto or_else = [](const std::string& given, const char* standard) { return given.empty() ? standard : given; };
  model.gpu = reader.gpu().name;
  model.name = request.name.empty() ? model.gpu : request.name;
  model.collectives =
      import_collectives(folder, {model.gpu, reader.device(), request.nccl, engine_versions}, reader.files);
  model.device = reader.device().empty() ? or_else(request.device, "not said") : reader.device();
  model.origin = {KernelSource::published,
                  or_else(request.source, "aiconfigurator (github.com/ai-dynamo/aiconfigurator), measured by NVIDIA"),
                  or_else(request.revision, "not said"),
                  or_else(request.date, "not said"),
                  or_else(request.licence, "tables Apache-2.0, coefficients fitted by moesim"),
                  {"the routing of skewed rows is not stored: their histograms are re-drawn from the same law, as each "
                   "engine's collector did"}};
  note_doubts(model, reader.gpu());
  imported.files = std::move(reader.files);
  return imported;
}

}  // namespace moesim
