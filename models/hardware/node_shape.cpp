#include "models/hardware/node_shape.hpp"

#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

void require_bandwidth(BytesPerSecond bandwidth, const char* where, const std::string& why) {
  if (!std::isfinite(bandwidth.value()) || bandwidth.value() <= 0)
    throw InputError{where, fmt::format("{} B/s", bandwidth.value()), "more than zero, as " + why};
}

class NodeMaker {
public:
  explicit NodeMaker(const NodePlan& plan) : plan_{plan} {}

  NodeShape make() {
    node_.gpus = plan_.gpus;
    for (int gpu = 0; gpu < plan_.gpus; ++gpu) node_.add_part(fmt::format("g{}", gpu), VertexKind::gpu);
    switch (plan_.links) {
      case NodeLinks::nvswitch:
        add_nvswitch();
        break;
      case NodeLinks::mesh:
        add_mesh();
        break;
      case NodeLinks::pcie:
        add_pcie_tree();
        break;
      case NodeLinks::none:
        break;
    }
    if (plan_.nics > 0) add_nics();
    return std::move(node_);
  }

private:
  void add_nvswitch() {
    if (plan_.gpus == 1) return;
    require_bandwidth(plan_.gpu.nvlink, "cluster.gpu.nvlink", "a node has several GPUs");
    const int nvswitch = node_.add_part(" nvswitch", VertexKind::nvswitch);
    for (int gpu = 0; gpu < plan_.gpus; ++gpu)
      node_.wires.push_back({gpu, nvswitch, Tier::nvlink, plan_.gpu.nvlink, 0});
    for (int gpu = 0; gpu < plan_.gpus; ++gpu)
      node_.wires.push_back({nvswitch, gpu, Tier::nvlink, plan_.gpu.nvlink, 1});
  }

  void add_mesh() {
    if (plan_.gpus == 1) return;
    require_bandwidth(plan_.gpu.nvlink, "cluster.gpu.nvlink", "a node has several GPUs");
    const int neighbours = plan_.gpu.gpus_per_node - 1;
    if (plan_.gpus - 1 > neighbours)
      throw InputError{"cluster.gpus_per_node", fmt::format("{}", plan_.gpus),
                       fmt::format("at most {}: a GPU of the mesh has links to {} others", neighbours + 1, neighbours)};
    for (int a = 0; a < plan_.gpus; ++a)
      for (int b = a + 1; b < plan_.gpus; ++b) node_.add_wires(a, b, Tier::nvlink, plan_.gpu.nvlink / neighbours);
  }

  void add_pcie_tree() {
    if (plan_.gpus == 1 && plan_.nics == 0) return;
    require_bandwidth(plan_.gpu.pcie, "cluster.gpu.pcie", "the GPUs of a node are joined by PCIe");
    const int switches = (plan_.gpus + plan_.gpus_per_pcie_switch - 1) / plan_.gpus_per_pcie_switch;
    for (int i = 0; i < switches; ++i)
      pcie_switches_.push_back(node_.add_part(fmt::format(" pcie{}", i), VertexKind::pcie_switch));
    for (int gpu = 0; gpu < plan_.gpus; ++gpu) node_.add_wires(gpu, switch_of(gpu), Tier::pcie, plan_.gpu.pcie);
    if (switches == 1) return;
    const int root = node_.add_part(" root", VertexKind::root_complex);
    for (const int at : pcie_switches_) node_.add_wires(at, root, Tier::pcie, plan_.gpu.pcie);
  }

  int switch_of(int gpu) const { return pcie_switches_[static_cast<std::size_t>(gpu / plan_.gpus_per_pcie_switch)]; }

  void add_nics() {
    require_bandwidth(plan_.nic, "cluster.fabric.nic", "there are several nodes");
    if (plan_.nics > plan_.gpus && plan_.nics % plan_.gpus != 0)
      throw InputError{"cluster.nics_per_node", fmt::format("{}", plan_.nics),
                       fmt::format("a multiple of the {} GPUs of a node, or fewer", plan_.gpus)};
    const int nics = std::min(plan_.nics, plan_.gpus);
    const BytesPerSecond bandwidth = plan_.nics / nics * plan_.nic;
    const bool own = nics == plan_.gpus && plan_.links != NodeLinks::pcie;
    for (int gpu = 0; gpu < plan_.gpus; ++gpu) node_.nic_of_gpu.push_back(gpu * nics / plan_.gpus);
    for (int nic = 0; nic < nics; ++nic)
      node_.nics.push_back({own ? nic : node_.add_part(fmt::format(" nic{}", nic), VertexKind::nic), bandwidth, {}});
    if (!own) join_nics(nics);
  }

  void join_nics(int nics) {
    require_bandwidth(plan_.gpu.pcie, "cluster.gpu.pcie", "GPUs reach a shared NIC over PCIe");
    for (int nic = 0; nic < nics && !pcie_switches_.empty(); ++nic)
      node_.add_wires(node_.nics[static_cast<std::size_t>(nic)].at, switch_of(nic * plan_.gpus / nics), Tier::pcie,
                      plan_.gpu.pcie);
    for (int gpu = 0; gpu < plan_.gpus && pcie_switches_.empty(); ++gpu)
      node_.add_wires(gpu, node_.nics[static_cast<std::size_t>(gpu * nics / plan_.gpus)].at, Tier::pcie,
                      plan_.gpu.pcie);
  }

  const NodePlan& plan_;
  NodeShape node_;
  std::vector<int> pcie_switches_;
};

}  // namespace

std::string_view name_of(Tier tier) {
  switch (tier) {
    case Tier::nvlink:
      return "nvlink";
    case Tier::pcie:
      return "pcie";
    case Tier::nic:
      return "nic";
    case Tier::spine:
      return "spine";
    case Tier::core:
      return "core";
    case Tier::local:
      return "local";
    case Tier::global:
      return "global";
    case Tier::torus:
      return "torus";
  }
  throw std::invalid_argument{"unknown Tier"};
}

double efficiency_of(const CollectiveParameters& parameters, Tier tier) {
  if (tier == Tier::nvlink) return parameters.nvlink_efficiency;
  return tier == Tier::pcie ? parameters.pcie_efficiency : parameters.nic_efficiency;
}

int NodeShape::add_part(const std::string& name, VertexKind kind) {
  parts.push_back({name, kind});
  return static_cast<int>(parts.size()) - 1;
}

void NodeShape::add_wires(int a, int b, Tier tier, BytesPerSecond capacity) {
  wires.push_back({a, b, tier, capacity, 0});
  wires.push_back({b, a, tier, capacity, 0});
}

NodeShape make_node(const NodePlan& plan) {
  return NodeMaker{plan}.make();
}

}  // namespace moesim
