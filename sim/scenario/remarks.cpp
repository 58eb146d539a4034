#include "sim/scenario/remarks.hpp"

#include <fmt/format.h>

#include "models/llm/expert_slices.hpp"
#include "models/llm/number_format.hpp"

namespace moesim {
namespace {

bool is_fp8(NumberFormat format) {
  return format == NumberFormat::fp8 || format == NumberFormat::fp8_block || format == NumberFormat::mxfp8;
}

/// As the scenario writes it, where fp8 is short for fp8_block.
std::string written(const Scenario& scenario, std::string_view path) {
  for (const ResolvedValue& item : scenario.resolved)
    if (item.path == path) return item.value;
  return {};
}

/// The kernels' roofline takes the bf16 rate then, as weight-only kernels do.
void remark_on_weights(const Scenario& scenario, std::vector<std::string>& remarks) {
  const Gpu& gpu = scenario.cluster.gpu;
  if (gpu.fp8 > FlopsPerSecond{}) return;
  const auto remark = [&](const char* key, NumberFormat format) {
    if (is_fp8(format))
      remarks.push_back(fmt::format("{} {}: {} has no fp8 units, so they are read in 8 bits and multiplied in bf16",
                                    key, written(scenario, key), gpu.name));
  };
  remark("precision.weights", scenario.precision.weights);
  if (scenario.model.moe) remark("precision.experts", scenario.precision.experts);
}

void remark_on_slices(const Scenario& scenario, std::vector<std::string>& remarks) {
  if (!scenario.model.moe) return;
  const int tp = scenario.layout.expert_tp, cut = scenario.model.moe->expert_hidden / tp;
  const int stored = expert_slice_width(scenario.model, scenario.precision.experts, tp);
  if (stored != cut)
    remarks.push_back(fmt::format("layout.experts.tp {}: slices of {} columns are padded to {}, whole blocks of {}", tp,
                                  cut, stored, name_of(scenario.precision.experts)));
}

/// So that a scenario with an engine can be compared with the roofline by its profile alone.
void remark_on_kernels(const Scenario& scenario, std::vector<std::string>& remarks) {
  if (scenario.kernels.is_roofline() && scenario.kernels.engine != "auto")
    remarks.push_back(
        fmt::format("kernels.engine {} has no effect: the roofline knows no engines", scenario.kernels.engine));
}

}  // namespace

std::vector<std::string> cluster_remarks(const ClusterSpec& cluster) {
  std::vector<std::string> remarks;
  const FabricKind kind = cluster.fabric.kind;
  if (cluster.nodes == 1 && kind != FabricKind::single_node && kind != FabricKind::graph)
    remarks.push_back(fmt::format("cluster.fabric.kind {} has no effect: there is one node", name_of(kind)));
  for (const NodeGroup& group : node_groups(cluster)) {
    const bool joined = group.links == NodeLinks::nvswitch || group.links == NodeLinks::mesh;
    if (group.shape || group.gpu.name.empty() || !joined || group.gpus_per_node <= group.gpu.gpus_per_node) continue;
    remarks.push_back(
        fmt::format("cluster.gpus_per_node {}: the catalogue's node has {} {}; all {} are taken as joined by {}",
                    group.gpus_per_node, group.gpu.gpus_per_node, group.gpu.name, group.gpus_per_node,
                    group.links == NodeLinks::mesh ? "a link between each two" : "one NVSwitch"));
  }
  return remarks;
}

std::vector<std::string> remarks_on(const Scenario& scenario) {
  std::vector<std::string> remarks = cluster_remarks(scenario.cluster);
  remark_on_weights(scenario, remarks);
  remark_on_slices(scenario, remarks);
  remark_on_kernels(scenario, remarks);
  return remarks;
}

void remark_on_copies(AllToAll all_to_all, CopyRule copies, std::vector<std::string>& remarks) {
  const bool low_latency = all_to_all == AllToAll::deepep_low_latency && copies != CopyRule::per_expert;
  const bool normal = all_to_all == AllToAll::deepep_normal && copies == CopyRule::per_expert;
  if (!low_latency && !normal) return;
  remarks.push_back(fmt::format("communication.copies {}: a what-if, as {} sends a copy per {}", name_of(copies),
                                name_of(all_to_all), normal ? "rank or node" : "chosen expert"));
}

}  // namespace moesim
