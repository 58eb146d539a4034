#pragma once
// What one node is made of, and the words for vertices and links that all of hardware uses.

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/gpu.hpp"

namespace moesim {

/// What kind of cable a link is.
///   nvlink  inside a node: GPU-NVSwitch, GPU-GPU (NVLink, xGMI)
///   pcie    inside a node: GPU-PCIe switch-root complex, NIC below them, and from socket to socket
///   nic     NIC-switch of the fabric
///   spine   leaf-spine (of a custom graph: switch-switch);  core  spine-core
///   local   routers of one dragonfly group;  global  its groups
///   torus   neighbours in the grid
enum class Tier { nvlink, pcie, nic, spine, core, local, global, torus };
inline constexpr std::array<Tier, 8> kTiers{Tier::nvlink, Tier::pcie,  Tier::nic,    Tier::spine,
                                            Tier::core,   Tier::local, Tier::global, Tier::torus};
std::string_view name_of(Tier tier);

/// Achieved share of a link's nominal bandwidth.
double efficiency_of(const CollectiveParameters& parameters, Tier tier);

enum class VertexKind { gpu, nvswitch, pcie_switch, root_complex, nic, leaf, spine, core, router };

/// One kind of node: its GPUs are the first parts, in order. Immutable once made.
struct NodeShape {
  struct Part {
    std::string name;  ///< within the node: "g5", " nvswitch", " nic2"
    VertexKind kind;
  };
  /// One direction of a link. Links are numbered by section first, then by node, then as they stand here.
  struct Wire {
    int from, to;  ///< parts
    Tier tier;
    BytesPerSecond capacity;
    int section = 0;
  };
  struct Nic {
    int at;                    ///< the part that its cable to the fabric leaves: the GPU itself, or a NIC of its own
    BytesPerSecond bandwidth;  ///< per direction; zero: as cluster.fabric.nic says
    std::string name;          ///< "mlx5_0" of a file, else ""
  };

  int gpus = 0;
  std::vector<Part> parts;
  std::vector<Wire> wires;
  std::vector<Nic> nics;
  std::vector<int> nic_of_gpu;     ///< [gpus], index of a NIC; empty without NICs
  std::vector<std::string> notes;  ///< what a file left open, and what was taken instead

  int add_part(const std::string& name, VertexKind kind);
  void add_wires(int a, int b, Tier tier, BytesPerSecond capacity);  ///< both directions
};

/// What a made node consists of.
struct NodePlan {
  const Gpu& gpu;
  int gpus = 1;
  NodeLinks links = NodeLinks::nvswitch;
  int nics = 0;  ///< 0: no NICs
  BytesPerSecond nic = {};
  int gpus_per_pcie_switch = 4;
};

/// A node of this plan. Fewer NICs than GPUs: neighbours share one, each over its own PCIe link; more: a GPU has
/// several, as one of their joint bandwidth. PCIe nodes have their NICs below the PCIe switch of their GPUs.
/// Throws InputError (keys of `cluster`) for what cannot be built.
NodeShape make_node(const NodePlan& plan);

}  // namespace moesim
