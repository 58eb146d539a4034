#include "models/hardware/network_parts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/hardware/catalogue_json.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

std::string file_text(const std::string& file) {
  return read_text_file(resource_folder(Resource::catalogue) / "network" / file);
}

NicPart make_nic(const nlohmann::json& json, const std::string& where) {
  const CatalogueObject part{json, where, {"name", "bandwidth", "source"}};
  return {part.text("name"), parse_bandwidth(part.text("bandwidth"), part.where("bandwidth")), part.text("source")};
}

SwitchPart make_switch(const nlohmann::json& json, const std::string& where) {
  const CatalogueObject part{json, where, {"name", "ports", "port", "source"}};
  return {part.text("name"), part.count("ports"), parse_bandwidth(part.text("port"), part.where("port")),
          part.text("source")};
}

template <typename Part>
Part find_part(const std::vector<Part>& parts, const std::string& name, const std::string& where,
               const std::string& kind) {
  std::vector<std::string> names;
  for (const Part& part : parts) {
    if (part.name == name) return part;
    names.push_back(part.name);
  }
  throw InputError{where, fmt::format("'{}'", name),
                   fmt::format("a {} of the catalogue: {}", kind, fmt::join(names, ", ")), nearest(name, names)};
}

}  // namespace

std::vector<NicPart> nic_parts() {
  return parse_parts<NicPart>(file_text("nics.json"), "network/nics.json", "nics", make_nic);
}
std::vector<SwitchPart> switch_parts() {
  return parse_parts<SwitchPart>(file_text("switches.json"), "network/switches.json", "switches", make_switch);
}

std::string bandwidth_range() {
  return fmt::format("from {} to {}", to_text(kLeastBandwidth), to_text(kMostBandwidth));
}

NicPart find_nic(const std::string& name, const std::string& where) {
  return find_part(nic_parts(), name, where, "NIC");
}
SwitchPart find_switch(const std::string& name, const std::string& where) {
  return find_part(switch_parts(), name, where, "switch");
}

}  // namespace moesim
