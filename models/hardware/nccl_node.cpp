#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "models/hardware/nccl_tree.hpp"
#include "models/hardware/whole_numbers.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

using Kind = PcieDevice::Kind;

/// Leaves out bridges that end nowhere or only pass on.
NcclTree simplified(const NcclTree& tree) {
  std::vector<int> children(tree.devices.size(), 0), moved(tree.devices.size(), -1);
  for (std::size_t i = tree.devices.size(); i-- > 0;) {
    const PcieDevice& device = tree.devices[i];
    const bool ends = device.kind == Kind::gpu || device.kind == Kind::nic || children[i] > 0;
    if (ends && device.parent >= 0) ++children[at(device.parent)];
  }
  NcclTree result{{}, tree.links, tree.notes};
  std::vector<BytesPerSecond> above(tree.devices.size());  // narrowest link to what stays, of a bridge that goes
  for (std::size_t i = 0; i < tree.devices.size(); ++i) {
    PcieDevice device = tree.devices[i];
    const bool passes = device.kind == Kind::bridge && children[i] == 1;
    if (device.parent >= 0 && above[at(device.parent)].value() > 0)
      device.link = std::min(device.link, above[at(device.parent)]);
    if (device.parent >= 0) device.parent = moved[at(device.parent)];
    if (passes) {
      above[i] = device.link;
      moved[i] = device.parent;
    } else if (device.kind == Kind::gpu || device.kind == Kind::nic || children[i] > 0) {
      moved[i] = static_cast<int>(result.devices.size());
      result.devices.push_back(device);
    }
  }
  for (ScaleUpLink& link : result.links) {
    link.gpu = moved[at(link.gpu)];
    if (link.target >= 0) link.target = moved[at(link.target)];
  }
  return result;
}

class TreeNode {
public:
  TreeNode(const NcclTree& tree, const NcclXmlOptions& options, const std::string& origin)
      : tree_{tree}, options_{options}, origin_{origin}, part_(tree.devices.size(), -1) {}

  NodeShape make() {
    node_.notes = tree_.notes;
    add_gpus();
    add_scale_up();
    add_tree();
    add_nics();
    return std::move(node_);
  }

private:
  void add_gpus() {
    for (int d = 0; d < static_cast<int>(tree_.devices.size()); ++d)
      if (tree_.devices[at(d)].kind == Kind::gpu) gpus_.push_back(d);
    if (gpus_.empty()) throw InputError{origin_, "no GPU", "a node with GPUs"};
    std::stable_sort(gpus_.begin(), gpus_.end(),
                     [&](int a, int b) { return tree_.devices[at(a)].dev < tree_.devices[at(b)].dev; });
    for (const int d : gpus_) part_[at(d)] = node_.add_part(fmt::format("g{}", node_.gpus++), VertexKind::gpu);
  }

  void add_scale_up() {
    if (tree_.links.empty()) return add_stated_links();
    if (options_.links)
      throw InputError{"cluster.node_links", std::string{name_of(*options_.links)},
                       fmt::format("no such key: {} lists the links of its GPUs", origin_)};
    int nvswitch = -1;
    std::map<std::pair<int, int>, BytesPerSecond> joined;  // several bundles between two ends are one
    for (const ScaleUpLink& link : tree_.links) {
      if (link.target < 0 && nvswitch < 0) nvswitch = node_.add_part(" nvswitch", VertexKind::nvswitch);
      const int gpu = part_[at(link.gpu)], target = link.target < 0 ? nvswitch : part_[at(link.target)];
      joined[{gpu, target}] += link.capacity;
      if (link.target < 0) joined[{target, gpu}] += link.capacity;
    }
    for (const auto& [ends, capacity] : joined)
      node_.wires.push_back({ends.first, ends.second, Tier::nvlink, capacity, 0});
  }

  /// A PCIe tree alone does not say whether there are NVLinks: NCCL asks the driver for these.
  void add_stated_links() {
    const char* key = "cluster.node_links";
    if (!options_.links || *options_.links == NodeLinks::none)
      throw InputError{
          key, options_.links ? "none" : "nothing",
          fmt::format("nvswitch or mesh (with the NVLinks of cluster.gpu), or pcie where there are none: {} "
                      "has a PCIe tree without NVLinks",
                      origin_)};
    if (*options_.links == NodeLinks::pcie || node_.gpus == 1) return;
    if (options_.gpu.name.empty())
      throw InputError{"cluster.gpu", "nothing", "the GPU whose NVLinks these are, as h100-sxm"};
    const NodeShape stated = make_node({.gpu = options_.gpu, .gpus = node_.gpus, .links = *options_.links});
    for (std::size_t part = at(node_.gpus); part < stated.parts.size(); ++part)
      node_.add_part(stated.parts[part].name, stated.parts[part].kind);
    node_.wires = stated.wires;
  }

  void add_tree() {
    int cpus = 0, bridges = 0, nics = 0;
    const auto several = std::count_if(tree_.devices.begin(), tree_.devices.end(),
                                       [](const PcieDevice& device) { return device.kind == Kind::cpu; }) > 1;
    for (std::size_t d = 0; d < tree_.devices.size(); ++d) {
      const PcieDevice& device = tree_.devices[d];
      if (device.kind == Kind::cpu)
        part_[d] = node_.add_part(several ? fmt::format(" root{}", cpus++) : " root", VertexKind::root_complex);
      if (device.kind == Kind::bridge)
        part_[d] = node_.add_part(fmt::format(" pcie{}", bridges++), VertexKind::pcie_switch);
      if (device.kind == Kind::nic) part_[d] = node_.add_part(fmt::format(" nic{}", nics++), VertexKind::nic);
      if (device.parent >= 0) node_.add_wires(part_[d], part_[at(device.parent)], Tier::pcie, device.link);
      for (std::size_t other = 0; other < d && device.kind == Kind::cpu; ++other)
        if (tree_.devices[other].kind == Kind::cpu)
          node_.add_wires(part_[other], part_[d], Tier::pcie,
                          BytesPerSecond{1e9 * std::min(device.socket_gb, tree_.devices[other].socket_gb)});
    }
  }

  std::vector<int> ancestors(int device) const {
    std::vector<int> path;
    for (; device >= 0; device = tree_.devices[at(device)].parent) path.push_back(device);
    return path;
  }

  /// PCIe links between two devices; sockets count as one.
  int distance(int a, int b) const {
    const std::vector<int> up = ancestors(a), other = ancestors(b);
    for (std::size_t i = 0; i < up.size(); ++i) {
      const auto meet = std::find(other.begin(), other.end(), up[i]);
      if (meet != other.end()) return static_cast<int>(i) + static_cast<int>(meet - other.begin());
    }
    return static_cast<int>(up.size() + other.size()) - 1;
  }

  std::vector<int> nearest_nics(int gpu) const {
    std::vector<int> nearest;
    int least = 1 << 30;
    for (int d = 0; d < static_cast<int>(tree_.devices.size()); ++d) {
      if (tree_.devices[at(d)].kind != Kind::nic) continue;
      const int far = distance(gpu, d);
      if (far < least) nearest.clear();
      least = std::min(least, far);
      if (far == least) nearest.push_back(d);
    }
    return nearest;
  }

  void add_nics() {
    std::map<std::vector<int>, std::vector<int>> sharers;  // GPUs (numbers) by their nearest NICs
    for (int gpu = 0; gpu < node_.gpus; ++gpu) sharers[nearest_nics(gpus_[at(gpu)])].push_back(gpu);
    if (sharers.size() == 1 && sharers.begin()->first.empty()) return;
    node_.nic_of_gpu.assign(at(node_.gpus), -1);
    std::vector<std::vector<int>> nics_of_gpu(at(node_.gpus));
    for (const auto& [nics, gpus] : sharers) {
      const std::size_t n = nics.size(), s = gpus.size();
      for (std::size_t j = 0; j < s; ++j)
        for (std::size_t i = j * n / s; i < std::max(j * n / s + 1, (j + 1) * n / s); ++i)
          nics_of_gpu[at(gpus[j])].push_back(nics[i]);
    }
    std::map<std::vector<int>, int> numbers;
    for (int gpu = 0; gpu < node_.gpus; ++gpu) {
      const auto [known, is_new] = numbers.try_emplace(nics_of_gpu[at(gpu)], static_cast<int>(node_.nics.size()));
      if (is_new) node_.nics.push_back(joint_nic(nics_of_gpu[at(gpu)]));
      node_.nic_of_gpu[at(gpu)] = known->second;
    }
    note_unused(nics_of_gpu);
  }

  /// Several NICs of one GPU are one: the first one's part, with the links of all.
  NodeShape::Nic joint_nic(const std::vector<int>& nics) {
    const PcieDevice& first = tree_.devices[at(nics.front())];
    NodeShape::Nic nic{part_[at(nics.front())], first.network, first.name};
    BytesPerSecond link = first.link;
    for (std::size_t i = 1; i < nics.size(); ++i) {
      nic.bandwidth += tree_.devices[at(nics[i])].network;
      link += tree_.devices[at(nics[i])].link;
    }
    if (nics.size() == 1) return nic;
    nic.name += fmt::format(" and {} more", nics.size() - 1);
    for (NodeShape::Wire& wire : node_.wires)
      if (wire.from == nic.at || wire.to == nic.at) wire.capacity = link;
    return nic;
  }

  void note_unused(const std::vector<std::vector<int>>& nics_of_gpu) {
    for (int d = 0; d < static_cast<int>(tree_.devices.size()); ++d) {
      if (tree_.devices[at(d)].kind != Kind::nic) continue;
      const bool used = std::any_of(nics_of_gpu.begin(), nics_of_gpu.end(), [&](const std::vector<int>& nics) {
        return std::find(nics.begin(), nics.end(), d) != nics.end();
      });
      if (!used)
        node_.notes.push_back(fmt::format("NIC {} is nearest to no GPU and stays idle", tree_.devices[at(d)].name));
    }
  }

  const NcclTree& tree_;
  const NcclXmlOptions& options_;
  const std::string& origin_;
  std::vector<int> part_;  ///< [devices]
  std::vector<int> gpus_;  ///< devices, in the order of their numbers
  NodeShape node_;
};

}  // namespace

NodeShape make_node(const NcclTree& tree, const NcclXmlOptions& options, const std::string& origin) {
  return TreeNode{simplified(tree), options, origin}.make();
}

}  // namespace moesim
