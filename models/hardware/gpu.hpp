#pragma once
// GPUs and nodes with the source of each figure, from catalogue/*.json.

#include <string>
#include <string_view>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

/// How the GPUs of one node are joined.
///   nvswitch  each GPU to a non-blocking switch (NVSwitch; the NVLink domain of an NVL72 rack is one node)
///   mesh      a link between each two GPUs (xGMI, NVLink without a switch)
///   pcie      GPUs below PCIe switches, those below one root complex
///   none      not at all: a custom graph says it
enum class NodeLinks { nvswitch, mesh, pcie, none };
std::string_view name_of(NodeLinks links);

/// PCIe Gen5 x16 carries 50-55 of its nominal 64 GB/s. Source: the domain notes, section F.1.
inline constexpr double kPcieEfficiency = 0.82;

/// Latency and achieved share of the nominal bandwidth of one kind of collective on one GPU.
struct CollectiveParameters {
  Seconds latency_intra;               ///< per operation, inside a node
  Seconds latency_inter;               ///< per operation, when NICs take part
  double nvlink_efficiency = 1;        ///< achieved / nominal of NVLink and xGMI, 0..1
  double nvlink_efficiency_inter = 1;  ///< of operations that also cross NICs, whose copies share the SMs
  double nic_efficiency = 1;
  double pcie_efficiency = 1;  ///< the catalogue's share of the links inside a node where those are PCIe
  Seconds latency_per_peer;    ///< two-sided kernels: more latency for each rank of another node, a message to each
  bool staged = false;         ///< links inside nodes first, then those between nodes; else chunk by chunk, at once
  std::string source;

  /// With the NVLink share that a group of GPUs sees, and the messages to its ranks in other nodes.
  CollectiveParameters of_group(bool crosses_nics, int peers_across = 0) const {
    CollectiveParameters own = *this;
    if (crosses_nics) own.nvlink_efficiency = nvlink_efficiency_inter;
    own.latency_inter += peers_across * latency_per_peer;
    return own;
  }
};

struct Gpu {
  std::string name;  ///< "h100-sxm"
  Bytes memory;      ///< device capacity as the driver reports it
  BytesPerSecond memory_bandwidth;
  FlopsPerSecond bf16;  ///< dense peak
  FlopsPerSecond fp8;   ///< dense peak; zero: no fp8 units
  int sms = 0;
  BytesPerSecond nvlink;  ///< per direction, to the NVSwitch; of a mesh: to all neighbours together. Zero: PCIe only
  NodeLinks links = NodeLinks::nvswitch;
  BytesPerSecond pcie;  ///< its host link, nominal, per direction
  int gpus_per_node = 8;
  BytesPerSecond nic;                      ///< default NIC, one per GPU, per direction
  int rails = 0;                           ///< fabric rails of a node of gpus_per_node GPUs; 0: one per GPU
  Seconds kernel_launch;                   ///< floor of one kernel inside a CUDA graph
  double price_usd_per_hour = 0;           ///< default price, a marked assumption
  double memory_efficiency = 0.8;          ///< achieved / peak HBM bandwidth of the roofline
  double compute_efficiency = 0.7;         ///< achieved / peak of a fully occupied tensor-core tile wave
  CollectiveParameters dispatch, combine;  ///< low latency
  CollectiveParameters dispatch_normal, combine_normal;
  CollectiveParameters dispatch_one_sided, combine_one_sided;
  CollectiveParameters all_to_all;  ///< of the vendor's library: a send and a receive between each two ranks
  CollectiveParameters all_reduce, all_gather;
  std::vector<std::string> sources;  ///< data sheet or file, with date
};

/// Throws InputError with the nearest name.
Gpu find_gpu(const std::string& name, const std::string& where);
std::vector<std::string> gpu_names();

/// One catalogue entry. Every key is required, every figure carries its source; `origin` names the file in errors.
/// Throws InputError for an unknown, duplicate or missing key, a missing source, a value out of range.
Gpu parse_gpu(const std::string& json, const std::string& origin);

}  // namespace moesim
