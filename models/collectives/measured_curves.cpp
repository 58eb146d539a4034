#include "models/collectives/measured_curves.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/kernels/published/judged_ratios.hpp"

namespace moesim {
namespace {

bool is_of_bytes(KernelOperation operation) {
  return is_collective(operation) && layout_of(operation).size == "bytes";
}

double sigma_of(const EngineModel& library, const KernelTable& table) {
  const std::string regime = fmt::format("{} ranks", table.dimensions.front());
  double widest = 0;
  for (const ModelError& error : library.errors) {
    if (error.operation == table.operation && error.regime == regime) return credible_sigma(error);
    widest = std::max(widest, credible_sigma(error));
  }
  constexpr double kUnjudged = 0.1;  // two sizes, none of which can be left out
  return std::max(widest, kUnjudged);
}

void add(const EngineModel& library, KernelSource source, std::vector<MeasuredCollective>& measured) {
  for (const KernelTable& table : library.tables)
    if (is_of_bytes(table.operation))
      measured.push_back({table.operation, table.dimensions.front(),
                          fmt::format("{} {}", library.name, library.version), source, table.curves.front(),
                          sigma_of(library, table)});
}

}  // namespace

Seconds MeasuredCollective::time(Bytes message) const {
  const double last = curve.size.back(), beyond = std::max(1.0, message.value() / last);
  return Seconds{interpolate(curve, std::min(message.value(), last)) * beyond * 1e-6};
}

CollectiveCurves::CollectiveCurves(const KernelModel& model, const std::string& engine)
    : nvlink_{find_gpu(model.gpu, "profile " + model.name).nvlink} {
  for (const EngineModel& library : model.collectives)
    if (library.name == engine) add(library, model.origin.kind, measured_);
  for (const EngineModel& library : model.collectives)
    if (library.name == "nccl") add(library, model.origin.kind, measured_);
}

const MeasuredCollective* CollectiveCurves::find(KernelOperation operation, const Topology& topology,
                                                 std::span<const int> group) const {
  for (const int gpu : group) {
    if (topology.node_of(gpu) != topology.node_of(group.front())) return nullptr;
    for (const LinkId link : topology.route(group.front(), gpu))
      if (topology.links()[static_cast<std::size_t>(link)].capacity != nvlink_) return nullptr;
  }
  const auto found = std::find_if(measured_.begin(), measured_.end(), [&](const MeasuredCollective& measured) {
    return measured.operation == operation && measured.ranks == static_cast<int>(group.size());
  });
  return found == measured_.end() ? nullptr : &*found;
}

}  // namespace moesim
