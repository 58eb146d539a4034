#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/hardware/catalogue_json.hpp"
#include "models/kernels/profile.hpp"
#include "models/kernels/published/import.hpp"
#include "models/kernels/published/kernel_model.hpp"
#include "models/kernels/published/measured_times.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

/// What a scenario's experts can be stored in; f32 is measured for comparison alone.
std::optional<NumberFormat> number_format(KernelFormat format) {
  switch (format) {
    case KernelFormat::f32:
      return std::nullopt;
    case KernelFormat::bf16:
      return NumberFormat::bf16;
    case KernelFormat::int8:
      return NumberFormat::int8;
    case KernelFormat::fp8:
      return NumberFormat::fp8;
    case KernelFormat::int4:
      return NumberFormat::int4_group128;
    case KernelFormat::mxfp4:
      break;
  }
  return NumberFormat::mxfp4;
}

bool is_even(const TokenHistogram& histogram) {
  const auto [least, most] = std::minmax_element(histogram.rows.begin(), histogram.rows.end());
  return *most - *least <= 1;
}

/// A normal error is below 1.48 medians of its size for 68 of 100.
constexpr double kSigmaOfMedian = 1.48;
constexpr std::uintmax_t kLargestFile = 16u << 20;
constexpr int kKernelTransferVersion = 1;

/// {"format": "moesim kernel transfer", "version": 1, "name", "gpu", "from"}: the times of one GPU carried to another,
/// with the error of doing so in every sigma.
KernelModel carried_model(const std::string& text, const std::string& file) {
  const auto document = parse_catalogue_json(text, file);
  const CatalogueObject object{document, file + ": ", {"format", "version", "name", "gpu", "from"}};
  object.number("version", kKernelTransferVersion, kKernelTransferVersion);
  KernelModel source = load_kernel_model(object.text("from"));
  const std::string name = source.name, device = source.device;
  const TransferError error = transfer_error(source.gpu, object.text("gpu"));
  const Gpu from = find_gpu(source.gpu, object.where("from")), to = find_gpu(object.text("gpu"), object.where("gpu"));
  KernelModel made = transferred(std::move(source), from, to);
  made.name = object.text("name");
  made.device = fmt::format("{}, from times of {}", object.text("gpu"), device);
  made.origin.kind = KernelSource::transferred;
  made.origin.notes.push_back(fmt::format("carried from {} by the ceilings of both GPUs: sigma {:g} %, p90 {:g} % ({})",
                                          name, 100 * error.sigma, 100 * error.p90, error.evidence));
  for (EngineModel& engine : made.engines)
    for (ModelError& of : engine.errors) {
      of.sigma = std::hypot(of.sigma, error.sigma);
      of.median = std::max(of.median, error.sigma / kSigmaOfMedian);
      of.p90 = std::max(of.p90, error.p90);
    }
  return made;
}

/// The catalogue's entry for the device that a profile was measured on.
std::string gpu_of(const Profile& profile, const std::string& file) {
  const std::string found = fmt::format("a profile of moesim calibrate --backend {}, measured on '{}'",
                                        name_of(profile.device.kind), profile.device.name);
  if (profile.device.kind == DeviceKind::cpu)
    throw InputError{file, found,
                     "a profile of a GPU; this one is for moesim replay SCENARIO --backend cpu --profile FILE"};
  try {
    return gpu_of_device(profile.device.name);
  } catch (const InputError& error) {
    throw InputError{file, found, "a device of `moesim list gpus`: " + error.expected()};
  }
}

}  // namespace

KernelModel kernel_model_of(const Profile& profile, const std::string& name, const std::string& gpu) {
  using TableOf = std::tuple<std::string, NumberFormat, int, int>;
  std::map<TableOf, std::map<int, std::vector<CurvePoint>>> measured;
  for (const ProfilePoint& point : profile.points) {
    const auto format = number_format(point.shape.format);
    if (point.held_out || !format || !is_even(point.histogram)) continue;
    measured[{point.kernel, *format, point.shape.hidden, point.shape.intermediate}][point.shape.experts].push_back(
        {static_cast<double>(point.histogram.total()), point.median.value() * 1e6});
  }
  if (measured.empty())
    throw InputError{name, "no balanced point in a format of the scenarios", "a calibrated profile"};
  EngineModel engine{"moesim", profile.provenance.program_version, {}, {}};
  for (const auto& [of, slots] : measured) {
    const auto& [kernel, format, hidden, width] = of;
    KernelTable table{KernelOperation::expert_gemms, kernel, format, {hidden, width, 0, 0}, {}};
    for (const auto& [count, points] : slots) {
      table.curves.push_back(fit_curve({static_cast<double>(count)}, points, 0.0));
      table.points += static_cast<int>(points.size());
    }
    engine.tables.push_back(std::move(table));
  }
  for (const HoldOutError& error : profile.hold_out)
    engine.errors.push_back({KernelOperation::expert_gemms,
                             error.histograms == "uniform" ? "balanced" : error.histograms, error.points, error.median,
                             error.p90, kSigmaOfMedian * error.median, 0, "mean rows", error.mean_only_median,
                             error.mean_only_p90});
  return {name,
          gpu,
          profile.device.name,
          {KernelSource::calibrated, "moesim calibrate", profile.provenance.program_version,
           profile.provenance.measured_at, "measured here", profile.provenance.notes},
          {std::move(engine)}};
}

std::vector<std::string> shipped_kernel_models() {
  return resource_names(Resource::profiles);
}

KernelModel load_kernel_model(const std::string& name_or_file) {
  const bool is_file = name_or_file.find('/') != std::string::npos || name_or_file.ends_with(".json");
  std::string file = name_or_file;
  if (!is_file) {
    const std::vector<std::string> shipped = shipped_kernel_models();
    if (std::find(shipped.begin(), shipped.end(), name_or_file) == shipped.end())
      throw InputError{"profile", name_or_file, fmt::format("a file, or one of {}", fmt::join(shipped, ", ")),
                       nearest(name_or_file, shipped)};
    file = (resource_folder(Resource::profiles) / (name_or_file + ".json")).string();
  }
  const std::string text = read_text_file(file, kLargestFile);
  if (text.find("\"moesim kernel transfer\"") != std::string::npos) return carried_model(text, file);
  if (text.find("\"moesim kernel profile\"") == std::string::npos) return parse_kernel_model(text, file);
  const Profile profile = parse_profile(text, file);
  return kernel_model_of(profile, fs::path{file}.stem().string(), gpu_of(profile, file));
}

}  // namespace moesim
