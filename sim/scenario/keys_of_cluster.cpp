#include "models/hardware/network_parts.hpp"
#include "sim/scenario/choices.hpp"
#include "sim/scenario/key_parts.hpp"

namespace moesim {
namespace {

constexpr double kMostGpus = 65536;

using T = KeyType;

std::vector<Key> node_group_fields() {
  return {
      {.path = "count",
       .type = T::integer,
       .doc = "Nodes of this kind",
       .required = true,
       .least = 1,
       .most = kMostGpus},
      {.path = "gpu", .type = T::text, .doc = "A name of `moesim list gpus`. Default: cluster.gpu"},
      {.path = "gpus_per_node", .type = T::integer, .doc = "As cluster.gpus_per_node", .least = 1, .most = 1024},
      {.path = "nics_per_node", .type = T::integer, .doc = "As cluster.nics_per_node", .least = 1, .most = 1024},
      {.path = "nic",
       .type = T::bandwidth,
       .doc = "As cluster.fabric.nic. Default: that where it is given, else the catalogue entry of this GPU"},
      {.path = "node_links", .type = T::choice, .doc = "As cluster.node_links", .choices = node_link_choices()},
  };
}

std::vector<Key> degraded_link_fields() {
  return {{.path = "name",
           .type = T::text,
           .doc = "As `moesim topo` names it: 'n0g1 -> leaf1.0', or 'n0g1 <-> leaf1.0' for both directions",
           .required = true},
          {.path = "factor", .type = T::number, .doc = "Of its bandwidth", .required = true, .least = 1e-6, .most = 1}};
}

std::vector<Key> slow_gpu_fields() {
  return {{.path = "name", .type = T::text, .doc = "As `moesim topo` names it: n0g5", .required = true},
          {.path = "factor",
           .type = T::number,
           .doc = "Of the others' speed: its kernels take 1 / factor as long",
           .required = true,
           .least = 1e-6,
           .most = 1}};
}

std::vector<Key> vertex_fields() {
  return {{.path = "name", .type = T::text, .doc = "A name that no other vertex has"}};
}

std::vector<Key> graph_link_fields() {
  return {{.path = "from", .type = T::text, .doc = "A vertex", .required = true},
          {.path = "to", .type = T::text, .doc = "Another vertex", .required = true},
          {.path = "bandwidth", .type = T::bandwidth, .doc = "Per direction", .required = true},
          {.path = "tier",
           .type = T::choice,
           .doc = "What kind of link, for its achieved share. Default: nvlink inside a node, nic between a GPU "
                  "and anything else, spine between switches",
           .choices = tier_choices()}};
}

std::vector<Key> node_keys() {
  return {
      {.path = "cluster.gpu", .type = T::text, .doc = "A name of `moesim list gpus`", .required = true},
      {.path = "cluster.nodes",
       .type = T::integer,
       .doc =
           "Nodes; or a list of groups of nodes that are alike. A run needs one GPU and equally many per node in all "
           "groups; NICs and links may differ",
       .standard = "1",
       .least = 1,
       .most = kMostGpus},
      {.path = "cluster.gpus_per_node",
       .type = T::integer,
       .doc = "GPUs of a node; more than the catalogue's are taken as one larger node",
       .standard_note = "the GPU's catalogue entry, or the file of cluster.xml",
       .least = 1,
       .most = 1024},
      {.path = "cluster.nics_per_node",
       .type = T::integer,
       .doc = "NICs of a node: fewer than GPUs are shared by neighbours, a multiple of them is joined",
       .standard_note = "one per GPU, or the file of cluster.xml",
       .least = 1,
       .most = 1024},
      {.path = "cluster.node_links",
       .type = T::choice,
       .doc = "How the GPUs of a node are joined",
       .standard_note = "the GPU's catalogue entry, or the file of cluster.xml where it says",
       .choices = node_link_choices()},
      {.path = "cluster.gpus_per_pcie_switch",
       .type = T::integer,
       .doc = "GPUs below one PCIe switch of a node with node_links pcie",
       .standard = "4",
       .least = 1,
       .most = 1024},
      {.path = "cluster.xml",
       .type = T::file,
       .doc = "NCCL or RCCL topology of one node (NCCL_TOPO_DUMP_FILE); every node is like it"},
      {.path = "cluster.links", .type = T::records, .doc = "Links that are slower than built"},
      {.path = "cluster.slow_gpus", .type = T::records, .doc = "GPUs that compute slower than the others"},
      {.path = "cluster.price",
       .type = T::price,
       .doc = "Price of one GPU for one hour",
       .standard_note = "the GPU's catalogue entry (an assumption)"},
  };
}

std::vector<Key> switch_keys() {
  return {
      {.path = "cluster.fabric.kind",
       .type = T::choice,
       .doc = "The network between nodes; without effect on a single node",
       .standard_note = "single_node for one node, else rail-optimised",
       .choices = fabric_choices()},
      {.path = "cluster.fabric.nic",
       .type = T::bandwidth,
       .doc = "NIC of each GPU, per direction; idle on a single node",
       .standard_note = "the GPU's catalogue entry, or the file of cluster.xml"},
      {.path = "cluster.fabric.oversubscription",
       .type = T::number,
       .doc = "Capacity below the leaves over capacity above them; without effect on a single node",
       .standard = "1",
       .least = 1,
       .most = 1000},
      {.path = "cluster.fabric.switch_ports",
       .type = T::integer,
       .doc = "Ports of a switch, each as fast as a NIC; without effect on a single node",
       .standard = "64",
       .least = 2,
       .most = 1024},
      {.path = "cluster.fabric.rails",
       .type = T::integer,
       .doc = "Rails, with the kinds that have some: NIC i of a node is on rail i mod rails",
       .standard_note = "the GPU's catalogue entry for whole nodes, else one per NIC of a node",
       .least = 1,
       .most = 1024},
      {.path = "cluster.fabric.planes",
       .type = T::integer,
       .doc = "Groups of spines that share no leaf",
       .standard_note = "2",
       .least = 1,
       .most = 1024,
       .only_with = {"cluster.fabric.kind", {"multi-rail"}, false}},
      {.path = "cluster.fabric.tiers",
       .type = T::integer,
       .doc = "2: leaf and spine; 3: leaf, spine of a pod, core",
       .standard_note = "2",
       .least = 2,
       .most = 3,
       .only_with = {"cluster.fabric.kind", {"fat-tree"}, false}},
  };
}

std::vector<Key> router_keys() {
  const OnlyWith dragonfly{"cluster.fabric.kind", {"dragonfly"}, true};
  return {
      {.path = "cluster.fabric.groups",
       .type = T::integer,
       .doc = "Groups of routers",
       .least = 1,
       .most = 1024,
       .only_with = dragonfly},
      {.path = "cluster.fabric.routers",
       .type = T::integer,
       .doc = "Routers of a group; the nodes are spread over all routers in order",
       .least = 1,
       .most = 1024,
       .only_with = dragonfly},
      {.path = "cluster.fabric.global_links",
       .type = T::integer,
       .doc = "Cables of a router to other groups",
       .standard_note = "as few as join each two groups",
       .least = 1,
       .most = 1024,
       .only_with = {"cluster.fabric.kind", {"dragonfly"}, false}},
      {.path = "cluster.fabric.width",
       .type = T::integer,
       .doc = "Routers in a row of the torus; node n is at (n mod width, n / width)",
       .standard_note = "the divisor of the nodes next below their root",
       .least = 1,
       .most = 8192,
       .only_with = {"cluster.fabric.kind", {"torus"}, false}},
      {.path = "cluster.fabric.link",
       .type = T::bandwidth,
       .doc = "Cable between two routers, per direction",
       .standard_note = "as a NIC (dragonfly), as all NICs of a node (torus)",
       .only_with = {"cluster.fabric.kind", {"dragonfly", "torus"}, false}},
  };
}

std::vector<Key> graph_keys() {
  return {
      {.path = "cluster.fabric.vertices",
       .type = T::records,
       .doc = "Switches by name; GPUs are there as n0g0, n0g1 ... and are joined inside nodes as node_links says",
       .only_with = {"cluster.fabric.kind", {"graph"}, false}},
      {.path = "cluster.fabric.links",
       .type = T::records,
       .doc = "Links between vertices, both directions alike; routes take the fewest links",
       .only_with = {"cluster.fabric.kind", {"graph"}, true}},
  };
}

/// Every bandwidth of a cluster, wherever it is written.
void bound(Key& key) {
  if (key.type != T::bandwidth) return;
  key.least = kLeastBandwidth.value();
  key.most = kMostBandwidth.value();
}

/// Nested in the lists above these would be, but GCC 12 warns there (maybe-uninitialized, on its own unwinding).
std::vector<Key> fields_of(std::string_view path) {
  if (path == "cluster.nodes") return node_group_fields();
  if (path == "cluster.links") return degraded_link_fields();
  if (path == "cluster.slow_gpus") return slow_gpu_fields();
  if (path == "cluster.fabric.vertices") return vertex_fields();
  return path == "cluster.fabric.links" ? graph_link_fields() : std::vector<Key>{};
}

}  // namespace

std::vector<Key> cluster_keys() {
  std::vector<Key> keys;
  for (const auto& part : {node_keys(), switch_keys(), router_keys(), graph_keys()})
    keys.insert(keys.end(), part.begin(), part.end());
  for (Key& key : keys) {
    key.fields = fields_of(key.path);
    for (Key& field : key.fields) bound(field);
    bound(key);
  }
  return keys;
}

}  // namespace moesim
