#pragma once
// One node as NCCL and RCCL write it down (NCCL_TOPO_DUMP_FILE, NCCL_TOPO_FILE). pugixml stays inside nccl_xml.cpp.

#include <filesystem>
#include <optional>
#include <string>

#include "models/hardware/node_shape.hpp"

namespace moesim {

struct NcclXmlOptions {
  Gpu gpu;  ///< gives the NVLinks that a file leaves out, and the PCIe speed where a file has none; may be nameless
  std::optional<NodeLinks> links;  ///< nvswitch, mesh or pcie: only for a file without NVLink or xGMI links
};

/// GPUs, PCIe switches and root complexes with the speed of each link, NICs, NVLink and xGMI links.
///
/// GPUs are numbered by their `dev`, or in file order. PCIe links have their nominal rate, GT/s x lanes / 8; bridges
/// that only pass on are left out. Each GPU uses the NICs that are the fewest PCIe links away: several of one GPU count
/// as one of their joint bandwidth, GPUs with the same ones share them out. No NIC is faster than its PCIe link.
/// NVLinks have 25 GB/s each and direction (sm 70 to 90; 20 below, 50 above), xGMI links 46 (gfx906, gfx908), 50
/// (gfx90a) or 64 (gfx94x). Sockets are joined pairwise at NCCL's rates (NVIDIA/nccl@069a3d4 src/graph/topo.h).
/// `notes` of the result says what the file leaves open. Entities and document types are refused, never expanded.
///
/// Throws InputError("file:line:column") for what is not such a file (also a <graphs> file), for a file without NVLinks
/// when options.links is empty, and for one with NVLinks when it is set; NotModelledYet for C2C links.
NodeShape load_nccl_xml(const std::filesystem::path& file, const NcclXmlOptions& options);
NodeShape parse_nccl_xml(const std::string& text, const std::string& origin, const NcclXmlOptions& options);

}  // namespace moesim
