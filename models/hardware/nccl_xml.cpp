#include "models/hardware/nccl_xml.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include <fmt/format.h>
#include <pugixml.hpp>

#include "models/hardware/nccl_tree.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

constexpr std::uintmax_t kLargestFile = 1u << 20;
constexpr int kDeepest = 32, kMostDevices = 1024;
constexpr double kGen3 = 8e9 * 16 / 8;  ///< bytes per second; what NCCL takes where sysfs has no speed

std::string shown(const char* text) {
  constexpr std::size_t kShown = 60;
  const std::string all{text};
  return all.size() <= kShown ? "'" + all + "'" : "'" + all.substr(0, kShown) + "...'";
}

template <typename Number>
std::optional<Number> number_of(const char* text) {
  Number number{};
  const char* end = text + std::strlen(text);
  const auto [rest, status] = std::from_chars(text, end, number);
  return status == std::errc{} && rest == end ? std::optional{number} : std::nullopt;
}

/// GB/s from socket to socket. Source: NVIDIA/nccl@069a3d4 src/graph/topo.h, by its CPU families.
double socket_rate(const std::string& vendor, int family, int model) {
  if (vendor == "AuthenticAMD") return family == 143 || family == 23 ? 16 : family == 175 || family == 25 ? 24 : 32;
  if (vendor == "GenuineIntel") return model >= 173 ? 40 : model >= 143 ? 22 : model >= 85 ? 10 : 6;
  return 6;
}

/// GB/s of one link and direction, nominal. Sources: NVIDIA NVLink generations (P100 20, V100 to H100 25, Blackwell
/// 50); AMD data sheets of MI50 and MI100 (92 GB/s both directions), MI250 (100), MI300X (128).
double link_rate(bool xgmi, int sm, const std::string& gcn) {
  if (!xgmi) return sm >= 100 ? 50 : sm >= 70 ? 25 : 20;
  if (gcn.find("94") != std::string::npos || gcn.find("950") != std::string::npos) return 64;
  return gcn == "910" || gcn.find("90a") != std::string::npos ? 50 : 46;
}

/// From the parsed document to the tree.
class NcclReader {
public:
  NcclReader(const std::string& text, const std::string& origin, const NcclXmlOptions& options)
      : text_{text}, origin_{origin}, options_{options} {}

  NcclTree read() {
    const pugi::xml_parse_result parsed =
        document_.load_buffer(text_.data(), text_.size(), pugi::parse_default | pugi::parse_doctype);
    if (!parsed) refuse_at(parsed.offset, parsed.description(), "an XML document");
    pugi::xml_node system;
    for (const pugi::xml_node node : document_) {
      if (node.type() == pugi::node_doctype)
        refuse(node, "a document type", "a topology without one: entities are never expanded");
      if (node.type() != pugi::node_element) continue;
      if (system) refuse(node, "a second root <" + std::string{node.name()} + ">", "one <system>");
      system = node;
    }
    if (std::strcmp(system.name(), "graphs") == 0)
      refuse(system, "a <graphs> file: the rings and trees that NCCL chose",
             "a <system> topology (NCCL_TOPO_DUMP_FILE): a graph names neither links nor NICs");
    if (std::strcmp(system.name(), "system") != 0) refuse(system, "<" + std::string{system.name()} + ">", "<system>");
    tagged_gpus_ = has_element(system, "gpu", 0);
    tagged_nets_ = has_element(system, "net", 0);
    for (const pugi::xml_node node : elements(system)) read_cpu(node);
    resolve_links();
    return std::move(tree_);
  }

private:
  [[noreturn]] void refuse_at(std::ptrdiff_t offset, const std::string& found, const std::string& expected) const {
    const std::string before = text_.substr(0, static_cast<std::size_t>(std::max<std::ptrdiff_t>(offset, 0)));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto column = before.size() - (before.rfind('\n') == std::string::npos ? 0 : before.rfind('\n') + 1) + 1;
    throw InputError{fmt::format("{}:{}:{}", origin_, line, column), found, expected};
  }
  [[noreturn]] void refuse(pugi::xml_node node, const std::string& found, const std::string& expected) const {
    refuse_at(node.offset_debug(), found, expected);
  }

  std::vector<pugi::xml_node> elements(pugi::xml_node parent) const {
    std::vector<pugi::xml_node> all;
    for (const pugi::xml_node node : parent) {
      if (node.type() == pugi::node_element) all.push_back(node);
      if (node.type() == pugi::node_pcdata || node.type() == pugi::node_cdata)
        refuse(node, "the text " + shown(node.value()), "elements only");
    }
    return all;
  }

  bool has_element(pugi::xml_node below, const char* name, int depth) const {
    if (depth > kDeepest) refuse(below, fmt::format("more than {} levels", kDeepest), "fewer");
    for (const pugi::xml_node node : below)
      if (std::strcmp(node.name(), name) == 0 || has_element(node, name, depth + 1)) return true;
    return false;
  }

  int integer(pugi::xml_node node, const char* attribute, int least, int most, std::optional<int> otherwise) const {
    const pugi::xml_attribute given = node.attribute(attribute);
    if (!given && otherwise) return *otherwise;
    const auto value = number_of<int>(given.value());
    if (!value || *value < least || *value > most)
      refuse(node, fmt::format("{} {}", attribute, given ? shown(given.value()) : "nothing"),
             fmt::format("an integer from {} to {}", least, most));
    return *value;
  }

  int add(pugi::xml_node node, PcieDevice device) {
    if (tree_.devices.size() >= kMostDevices) refuse(node, fmt::format("more than {} devices", kMostDevices), "fewer");
    tree_.devices.push_back(std::move(device));
    return static_cast<int>(tree_.devices.size()) - 1;
  }

  void read_cpu(pugi::xml_node node) {
    if (std::strcmp(node.name(), "cpu") != 0) refuse(node, "<" + std::string{node.name()} + "> in <system>", "<cpu>");
    constexpr int kMost = 1 << 20;
    const int cpu =
        add(node, {.kind = PcieDevice::Kind::cpu,
                   .socket_gb = socket_rate(node.attribute("vendor").value(), integer(node, "familyid", -1, kMost, 0),
                                            integer(node, "modelid", -1, kMost, 0))});
    for (const pugi::xml_node child : elements(node)) {
      if (std::strcmp(child.name(), "nic") == 0)
        read_nic(child, cpu, std::nullopt);
      else
        read_pci(child, cpu, 0);
    }
  }

  /// Nominal rate of a device's link to what is above it.
  BytesPerSecond pcie_rate(pugi::xml_node node) {
    const char* speed = node.attribute("link_speed").value();
    double giga_transfers = 0;
    const auto [rest, status] = std::from_chars(speed, speed + std::strlen(speed), giga_transfers);
    const bool known = status == std::errc{} && std::string_view{rest}.starts_with(" GT/s");
    const int width = integer(node, "link_width", 0, 32, 0);
    if (known && (giga_transfers <= 0 || giga_transfers > 1024))
      refuse(node, "link_speed " + shown(speed), "2.5 to 1024 GT/s");
    if (known && width > 0) return BytesPerSecond{giga_transfers * 1e9 * width / 8};
    const bool from_gpu = options_.gpu.pcie.value() > 0;
    note(from_gpu ? "PCIe links without a speed: taken from the catalogue's " + options_.gpu.name
                  : "PCIe links without a speed: taken as Gen3 x16, as NCCL does");
    return from_gpu ? options_.gpu.pcie : BytesPerSecond{kGen3};
  }

  void note(const std::string& text) {
    if (std::find(tree_.notes.begin(), tree_.notes.end(), text) == tree_.notes.end()) tree_.notes.push_back(text);
  }

  void read_pci(pugi::xml_node node, int parent, int depth) {
    if (std::strcmp(node.name(), "pci") != 0)
      refuse(node, "<" + std::string{node.name()} + ">", "<pci>, or below it <gpu> or <nic>");
    if (depth > kDeepest) refuse(node, fmt::format("more than {} levels", kDeepest), "fewer");
    const std::string bus = node.attribute("busid").value();
    if (bus.empty()) refuse(node, "a <pci> without busid", "its bus id");
    if (bus_line_.contains(bus)) refuse(node, "the busid " + shown(bus.c_str()) + " again", "each once");
    bus_line_[bus] = -1;
    const std::vector<pugi::xml_node> children = elements(node);
    const std::string_view kind = node.attribute("class").value();
    const pugi::xml_node gpu = node.child("gpu"), nic = node.child("nic");
    if (gpu && nic) refuse(node, "a <gpu> and a <nic> in one <pci>", "one of them");
    if ((gpu || nic) && children.size() > 1)
      refuse(node, fmt::format("{} elements beside <{}>", children.size() - 1, gpu ? "gpu" : "nic"), "none");
    if (gpu || (!tagged_gpus_ && children.empty() && (kind.starts_with("0x03") || kind.starts_with("0x12"))))
      return read_gpu(node, gpu, bus, parent);
    if (nic) return read_nic(nic, parent, pcie_rate(node));
    if (!tagged_nets_ && children.empty() && kind.starts_with("0x02"))
      return void(add(node, {PcieDevice::Kind::nic, parent, pcie_rate(node), bus, BytesPerSecond{0}}));
    if (children.empty() && kind.empty())
      refuse(node, fmt::format("<pci busid=\"{}\"> without class, speed or children", bus),
             "a class (0x03.... for GPUs, 0x02.... for NICs): this file leaves it to the machine that loads it");
    const int bridge = add(node, {PcieDevice::Kind::bridge, parent, pcie_rate(node), bus});
    for (const pugi::xml_node child : children) read_pci(child, bridge, depth + 1);
  }

  void read_gpu(pugi::xml_node pci, pugi::xml_node gpu, const std::string& bus, int parent) {
    const int device = add(pci, {.kind = PcieDevice::Kind::gpu,
                                 .parent = parent,
                                 .link = pcie_rate(pci),
                                 .name = bus,
                                 .dev = gpu ? integer(gpu, "dev", 0, 4096, -1) : -1});
    bus_line_[bus] = device;
    if (!gpu) return;
    const int sm = integer(gpu, "sm", 0, 4096, 0);
    const std::string gcn = gpu.attribute("gcn").value();
    for (const pugi::xml_node link : elements(gpu)) {
      const bool xgmi = std::strcmp(link.name(), "xgmi") == 0;
      if (std::strcmp(link.name(), "c2c") == 0)
        throw NotModelledYet{origin_, "a C2C link (NVLink to the CPU)", "a file without <c2c>"};
      if (!xgmi && std::strcmp(link.name(), "nvlink") != 0)
        refuse(link, "<" + std::string{link.name()} + "> in <gpu>", "<nvlink> or <xgmi>");
      const int count = integer(link, "count", 1, 1024, std::nullopt);
      pending_.push_back({link, device, BytesPerSecond{1e9 * count * link_rate(xgmi, sm, gcn)}});
    }
  }

  void read_nic(pugi::xml_node nic, int parent, std::optional<BytesPerSecond> link) {
    const std::vector<pugi::xml_node> nets = elements(nic);
    if (nets.empty()) return;
    double bits = 0;
    for (const pugi::xml_node net : nets) {
      if (std::strcmp(net.name(), "net") != 0) refuse(net, "<" + std::string{net.name()} + "> in <nic>", "<net>");
      bits += 1e6 * integer(net, "speed", 1, 2'000'000'000, std::nullopt);  // Mb/s
    }
    const std::string name = nets.front().attribute("name").value();
    const BytesPerSecond network{bits / 8};
    if (link && network > *link)
      note(fmt::format("NIC {}: {} Gb/s in the file, bound by its PCIe link of {} Gb/s", name, bits / 1e9,
                       link->value() * 8 / 1e9));
    add(nic, {PcieDevice::Kind::nic, parent, link.value_or(network), name, link ? std::min(network, *link) : network});
  }

  struct Pending {
    pugi::xml_node node;
    int gpu;
    BytesPerSecond capacity;
  };

  void resolve_links() {
    bool hidden = false;
    for (const Pending& link : pending_) {
      const std::string target = link.node.attribute("target").value();
      const std::string_view kind = link.node.attribute("tclass").value();
      const auto known = bus_line_.find(target);
      const bool is_gpu = known != bus_line_.end() && known->second >= 0;
      if (is_gpu && known->second == link.gpu)
        hidden = true;
      else if (is_gpu)
        tree_.links.push_back({link.gpu, known->second, link.capacity});
      else if (kind.starts_with("0x0680"))  // a bridge of another kind: an NVSwitch
        tree_.links.push_back({link.gpu, -1, link.capacity});
      else
        refuse(link.node, "a link to the unknown device " + shown(target.c_str()), "the bus id of a GPU of the file");
    }
    if (hidden) note("NVLinks from a GPU to itself: the machine hides where they lead, so they are not used");
  }

  const std::string& text_;
  const std::string& origin_;
  const NcclXmlOptions& options_;
  pugi::xml_document document_;
  bool tagged_gpus_ = false, tagged_nets_ = false;
  std::map<std::string, int> bus_line_;  ///< device of a GPU, -1: of anything else
  std::vector<Pending> pending_;
  NcclTree tree_;
};

}  // namespace

NodeShape parse_nccl_xml(const std::string& text, const std::string& origin, const NcclXmlOptions& options) {
  return make_node(NcclReader{text, origin, options}.read(), options, origin);
}

NodeShape load_nccl_xml(const std::filesystem::path& file, const NcclXmlOptions& options) {
  return parse_nccl_xml(read_text_file(file, kLargestFile), file.string(), options);
}

}  // namespace moesim
