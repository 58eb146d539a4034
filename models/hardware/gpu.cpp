#include "models/hardware/gpu.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/hardware/catalogue_json.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

constexpr double kMostUsdPerHour = 1000;

/// Figures of one GPU; each read notes its source.
class GpuReader {
public:
  GpuReader(const nlohmann::json& document, const std::string& origin)
      : file_{document,
              origin + ": ",
              {"name", "memory", "memory_bandwidth", "bf16", "fp8", "sms", "nvlink", "links", "pcie", "gpus_per_node",
               "nic", "rails", "kernel_launch", "price_usd_per_hour", "memory_efficiency", "compute_efficiency",
               "collectives"}} {}

  const CatalogueObject& file() const { return file_; }
  std::vector<std::string> sources() const { return sources_; }

  /// `parse` reads a text with its unit.
  template <typename Parse>
  auto quantity(const std::string& key, Parse parse) {
    const CatalogueObject entry = figure(key);
    return parse(entry.text("value"), entry.where("value"));
  }
  template <typename Parse>
  auto positive(const std::string& key, Parse parse) {
    const auto value = quantity(key, parse);
    if (value.value() <= 0) throw InputError{file_.where(key), to_text(value), "more than zero"};
    return value;
  }
  NodeLinks links() {
    const CatalogueObject entry = figure("links");
    const std::string name = entry.text("value");
    for (const NodeLinks links : {NodeLinks::nvswitch, NodeLinks::mesh, NodeLinks::pcie})
      if (name == name_of(links)) return links;
    throw InputError{entry.where("value"), name, "nvswitch, mesh or pcie"};
  }
  int count(const std::string& key) { return figure(key).count("value"); }
  double number(const std::string& key, double least, double most) { return figure(key).number("value", least, most); }

  /// Normal-mode kernels state a second NVLink share, of operations across nodes.
  CollectiveParameters normal_mode(const CatalogueObject& all, const std::string& key) {
    return parameters(key,
                      all.object(key, {"latency_intra", "latency_inter", "nvlink_efficiency", "nvlink_efficiency_inter",
                                       "nic_efficiency", "source"}),
                      "nvlink_efficiency_inter");
  }

  CollectiveParameters collective(const CatalogueObject& all, const std::string& key) {
    return parameters(
        key, all.object(key, {"latency_intra", "latency_inter", "nvlink_efficiency", "nic_efficiency", "source"}),
        "nvlink_efficiency");
  }

  /// One-sided kernels reach no further than one NVLink domain.
  CollectiveParameters one_sided(const CatalogueObject& all, const std::string& key) {
    const CatalogueObject entry = all.object(key, {"latency", "nvlink_efficiency", "source"});
    CollectiveParameters own;
    own.latency_intra = own.latency_inter = parse_seconds(entry.text("latency"), entry.where("latency"));
    own.nvlink_efficiency = own.nvlink_efficiency_inter = entry.number("nvlink_efficiency", kLeastEfficiency, 1);
    own.source = entry.text("source");
    sources_.push_back(fmt::format("{}: {}", key, own.source));
    return own;
  }

  /// Two-sided kernels state what each further message costs.
  CollectiveParameters two_sided(const CatalogueObject& all, const std::string& key) {
    const CatalogueObject entry = all.object(
        key, {"latency_intra", "latency_inter", "latency_per_peer", "nvlink_efficiency", "nic_efficiency", "source"});
    CollectiveParameters own = parameters(key, entry, "nvlink_efficiency");
    own.latency_per_peer = parse_seconds(entry.text("latency_per_peer"), entry.where("latency_per_peer"));
    return own;
  }

  CollectiveParameters parameters(const std::string& key, const CatalogueObject& entry, const char* inter) {
    CollectiveParameters parameters;
    parameters.latency_intra = parse_seconds(entry.text("latency_intra"), entry.where("latency_intra"));
    parameters.latency_inter = parse_seconds(entry.text("latency_inter"), entry.where("latency_inter"));
    parameters.nvlink_efficiency = entry.number("nvlink_efficiency", kLeastEfficiency, 1);
    parameters.nvlink_efficiency_inter = entry.number(inter, kLeastEfficiency, 1);
    parameters.nic_efficiency = entry.number("nic_efficiency", kLeastEfficiency, 1);
    parameters.source = entry.text("source");
    sources_.push_back(fmt::format("{}: {}", key, parameters.source));
    return parameters;
  }

  static constexpr double kLeastEfficiency = 0.01;  // below it a figure is surely in per cent or in another unit

private:
  CatalogueObject figure(const std::string& key) {
    const CatalogueObject entry = file_.object(key, {"value", "source"});
    sources_.push_back(fmt::format("{}: {}", key, entry.text("source")));
    return entry;
  }

  CatalogueObject file_;
  std::vector<std::string> sources_;
};

}  // namespace

Gpu parse_gpu(const std::string& json, const std::string& origin) {
  const nlohmann::json document = parse_catalogue_json(json, origin);
  GpuReader read{document, origin};
  Gpu gpu;
  gpu.name = read.file().text("name");
  gpu.memory = read.positive("memory", parse_bytes);
  gpu.memory_bandwidth = read.positive("memory_bandwidth", parse_bandwidth);
  gpu.bf16 = read.positive("bf16", parse_flops_rate);
  gpu.fp8 = read.quantity("fp8", parse_flops_rate);
  gpu.sms = read.count("sms");
  gpu.links = read.links();
  gpu.nvlink = gpu.links == NodeLinks::pcie ? read.quantity("nvlink", parse_bandwidth)
                                            : read.positive("nvlink", parse_bandwidth);
  gpu.pcie = read.positive("pcie", parse_bandwidth);
  gpu.gpus_per_node = read.count("gpus_per_node");
  gpu.nic = read.positive("nic", parse_bandwidth);
  gpu.rails = read.count("rails");
  gpu.kernel_launch = read.quantity("kernel_launch", parse_seconds);
  gpu.price_usd_per_hour = read.number("price_usd_per_hour", 0, kMostUsdPerHour);
  gpu.memory_efficiency = read.number("memory_efficiency", GpuReader::kLeastEfficiency, 1);
  gpu.compute_efficiency = read.number("compute_efficiency", GpuReader::kLeastEfficiency, 1);
  const CatalogueObject collectives = read.file().object(
      "collectives", {"dispatch", "combine", "dispatch_normal", "combine_normal", "dispatch_one_sided",
                      "combine_one_sided", "all_to_all", "all_reduce", "all_gather"});
  gpu.dispatch = read.collective(collectives, "dispatch");
  gpu.combine = read.collective(collectives, "combine");
  gpu.dispatch_normal = read.normal_mode(collectives, "dispatch_normal");
  gpu.combine_normal = read.normal_mode(collectives, "combine_normal");
  gpu.dispatch_one_sided = read.one_sided(collectives, "dispatch_one_sided");
  gpu.combine_one_sided = read.one_sided(collectives, "combine_one_sided");
  gpu.all_to_all = read.two_sided(collectives, "all_to_all");
  gpu.all_reduce = read.collective(collectives, "all_reduce");
  gpu.all_gather = read.collective(collectives, "all_gather");
  for (CollectiveParameters* parameters :
       {&gpu.dispatch, &gpu.combine, &gpu.dispatch_normal, &gpu.combine_normal, &gpu.dispatch_one_sided,
        &gpu.combine_one_sided, &gpu.all_to_all, &gpu.all_reduce, &gpu.all_gather})
    parameters->pcie_efficiency = gpu.links == NodeLinks::pcie ? parameters->nvlink_efficiency : kPcieEfficiency;
  gpu.sources = read.sources();
  return gpu;
}

Gpu find_gpu(const std::string& name, const std::string& where) {
  const std::vector<std::string> names = gpu_names();
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw InputError{where, fmt::format("'{}'", name),
                     fmt::format("a GPU of the catalogue: {}", fmt::join(names, ", ")), nearest(name, names)};
  const std::string file = name + ".json";
  Gpu gpu = parse_gpu(read_text_file(resource_folder(Resource::catalogue) / file), file);
  if (gpu.name != name) throw InputError{file + ": name", gpu.name, fmt::format("the file's own name, {}", name)};
  return gpu;
}

std::vector<std::string> gpu_names() {
  return resource_names(Resource::catalogue);
}

}  // namespace moesim
