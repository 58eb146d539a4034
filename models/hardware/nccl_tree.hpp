#pragma once
// The PCIe tree of a node between the XML and a NodeShape. Internal to hardware.

#include <optional>
#include <string>
#include <vector>

#include "models/hardware/nccl_xml.hpp"

namespace moesim {

struct PcieDevice {
  enum class Kind { cpu, bridge, gpu, nic };
  Kind kind;
  int parent = -1;              ///< -1: of a cpu
  BytesPerSecond link = {};     ///< to the parent
  std::string name = {};        ///< bus id, or the net's name
  BytesPerSecond network = {};  ///< of a NIC; zero: the file has no speed
  int dev = -1;                 ///< of a GPU; -1: none
  double socket_gb = 0;         ///< of a cpu: GB/s to another socket
};

/// An NVLink or xGMI bundle of a GPU.
struct ScaleUpLink {
  int gpu;     ///< device
  int target;  ///< device, -1: an NVSwitch
  BytesPerSecond capacity;
};

struct NcclTree {
  std::vector<PcieDevice> devices;  ///< parents first
  std::vector<ScaleUpLink> links;
  std::vector<std::string> notes;
};

/// The node of a tree: devices become parts, links wires, and every GPU gets its NICs.
NodeShape make_node(const NcclTree& tree, const NcclXmlOptions& options, const std::string& origin);

}  // namespace moesim
