#pragma once
// Nodes, NICs and switches put together: vertices and directed links. Internal to hardware.

#include <memory>
#include <vector>

#include "models/hardware/switch_network.hpp"

namespace moesim {

/// One node in the graph.
struct NodePlace {
  const NodeShape* shape = nullptr;
  int kind = 0;        ///< index among the kinds of node
  int first_gpu = 0;   ///< vertex, and rank in the cluster
  int first_part = 0;  ///< vertex of the first part that is no GPU
  int first_nic = 0;   ///< in ClusterGraph::nics
  std::vector<LinkId> link_of_wire;

  int vertex(int part) const { return part < shape->gpus ? first_gpu + part : first_part + part - shape->gpus; }
};

/// A NIC's cable to the fabric.
struct NicLinks {
  LinkId up = -1, down = -1;
  int edge_switch = -1;  ///< index among the switches
};

/// Vertices and links in a fixed order: GPU g is vertex g.
struct ClusterGraph {
  std::vector<NodeShape> shapes;  ///< kinds of node
  std::vector<NodePlace> nodes;
  std::vector<int> node_of_gpu;
  std::vector<NicPlace> nics;
  std::vector<NicLinks> nic_links;  ///< [nics]
  SwitchNetwork network;
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  int first_switch = 0;          ///< vertex
  LinkId first_switch_link = 0;  ///< cables between switches (and all of a custom graph) from here to the end

  int nic_of_gpu(int gpu) const;  ///< index in nics
};

/// Throws InputError for a cluster that cannot be built, NotModelledYet beyond what is modelled.
ClusterGraph build_graph(const ClusterSpec& cluster);

/// What build_graph refuses without building: counts, bandwidths, policies against the fabric.
void check_cluster(const ClusterSpec& cluster);

/// All-pairs routes are held in memory: 1.3 GB of links on rails of this size.
inline constexpr int kMostRoutedGpus = 8192;
inline constexpr int kMostGraphGpus = 1024;  ///< a custom graph's paths are searched from every GPU

}  // namespace moesim
