#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "models/hardware/gpu.hpp"
#include "models/hardware/network_parts.hpp"
#include "models/kernels/published/kernel_model.hpp"
#include "models/llm/parameters.hpp"
#include "models/units/resources.hpp"
#include "models/units/text.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/usage.hpp"
#include "sim/scenario/keys.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

/// One row in both forms, so that they cannot drift apart.
struct Item {
  Json json;
  std::string line;
};

/// As network gear is sold.
std::string gigabits(BytesPerSecond bandwidth) {
  return fmt::format("{:g} Gb/s", bandwidth.value() * 8 / 1e9);
}

std::vector<Item> list_models() {
  std::vector<Item> items;
  for (const std::string& name : resource_names(Resource::zoo)) {
    const Architecture model = load_architecture(name);
    const ParameterCounts counts = count_parameters(model);
    const Json experts = model.moe ? Json(model.moe->experts) : Json{},
               top_k = model.moe ? Json(model.moe->top_k) : Json{};
    const std::string moe =
        model.moe ? fmt::format("{} experts, {} per token", model.moe->experts, model.moe->top_k) : "dense";
    items.push_back({{{"name", name},
                      {"model_type", model.model_type},
                      {"layers", model.layers},
                      {"experts", experts},
                      {"experts_per_token", top_k},
                      {"parameters_total", counts.total},
                      {"parameters_active", counts.active}},
                     fmt::format("{:<22} {:>19} parameters, {:>18} active, {} layers, {}", name,
                                 with_commas(counts.total), with_commas(counts.active), model.layers, moe)});
  }
  return items;
}

std::vector<Item> list_gpus() {
  std::vector<Item> items;
  for (const std::string& name : gpu_names()) {
    const Gpu gpu = find_gpu(name, "gpu");
    items.push_back(
        {{{"name", name},
          {"memory_bytes", gpu.memory.value()},
          {"memory_bytes_per_s", gpu.memory_bandwidth.value()},
          {"bf16_flops_per_s", gpu.bf16.value()},
          {"fp8_flops_per_s", gpu.fp8.value()},
          {"nvlink_bytes_per_s", gpu.nvlink.value()},
          {"nic_bytes_per_s", gpu.nic.value()},
          {"gpus_per_node", gpu.gpus_per_node},
          {"usd_per_hour", gpu.price_usd_per_hour},
          {"sources", gpu.sources}},
         fmt::format("{:<12} {:>10} at {:<9}  bf16 {:>6.4g} TFLOP/s, fp8 {:>6.4g} TFLOP/s, NVLink {}, NIC {}", name,
                     human(gpu.memory), human(gpu.memory_bandwidth), gpu.bf16.value() / 1e12, gpu.fp8.value() / 1e12,
                     human(gpu.nvlink), human(gpu.nic))});
  }
  return items;
}

std::vector<Item> list_nics() {
  std::vector<Item> items;
  for (const NicPart& nic : nic_parts())
    items.push_back(
        {{{"name", nic.name}, {"bandwidth_bytes_per_s", nic.bandwidth.value()}, {"sources", Json::array({nic.source})}},
         fmt::format("{:<18} {:>9} ({})", nic.name, human(nic.bandwidth), gigabits(nic.bandwidth))});
  return items;
}

std::vector<Item> list_switches() {
  std::vector<Item> items;
  for (const SwitchPart& part : switch_parts())
    items.push_back(
        {{{"name", part.name},
          {"ports", part.ports},
          {"port_bytes_per_s", part.port.value()},
          {"sources", Json::array({part.source})}},
         fmt::format("{:<18} {:>4} ports of {} ({})", part.name, part.ports, human(part.port), gigabits(part.port))});
  return items;
}

std::vector<Item> list_profiles() {
  std::vector<Item> items;
  for (const std::string& name : shipped_kernel_models()) {
    const KernelModel model = load_kernel_model(name);
    std::vector<std::string> engines;
    for (const EngineModel& engine : model.engines) engines.push_back(engine.name + " " + engine.version);
    items.push_back({{{"name", model.name},
                      {"gpu", model.gpu},
                      {"source", name_of(model.origin.kind)},
                      {"date", model.origin.date},
                      {"licence", model.origin.licence},
                      {"engines", engines}},
                     fmt::format("{:<18} {:<12} {}, {}: {}", model.name, name_of(model.origin.kind), model.origin.date,
                                 model.origin.name, fmt::join(engines, ", "))});
  }
  return items;
}

std::vector<Item> list_choices(const std::vector<Choice>& choices) {
  std::vector<Item> items;
  for (const Choice& choice : choices) {
    const bool modelled = choice.instead.empty();
    items.push_back({{{"name", choice.name},
                      {"description", choice.doc},
                      {"modelled", modelled},
                      {"instead", modelled ? Json{} : Json(choice.instead)}},
                     fmt::format("{:<18} {}{}", choice.name, choice.doc,
                                 modelled ? "" : fmt::format(" (not modelled yet; use {})", choice.instead))});
  }
  return items;
}

std::vector<Item> list_items(const std::string& kind) {
  if (kind == "models") return list_models();
  if (kind == "gpus") return list_gpus();
  if (kind == "nics") return list_nics();
  if (kind == "switches") return list_switches();
  if (kind == "profiles") return list_profiles();
  if (kind == "policies") return list_choices(placement_choices());
  if (kind == "routing") return list_choices(routing_choices());
  return list_choices(fabric_choices());
}

void list(const std::string& kind, const Globals& globals) {
  const std::vector<Item> items = list_items(kind);
  if (!globals.json) {
    for (const Item& item : items) fmt::print("{}\n", item.line);
    return;
  }
  Json rows = Json::array();
  for (const Item& item : items) rows.push_back(item.json);
  fmt::print("{}\n", Json{{"kind", kind}, {"items", rows}}.dump(2));
}

}  // namespace

void add_list_command(CLI::App& app, Globals& globals) {
  const auto kind = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "list", "List the models, GPUs, NICs, switches, kernel profiles, placement policies, routing laws or fabrics");
  command->add_option("kind", *kind, "models, gpus, nics, switches, profiles, policies, routing or fabrics")
      ->required()
      ->check(one_of({"models", "gpus", "nics", "switches", "profiles", "policies", "routing", "fabrics"}));
  add_common_options(*command, globals, "  moesim list models", "  moesim list gpus --json");
  command->callback([kind, &globals] { list(*kind, globals); });
}

}  // namespace moesim
