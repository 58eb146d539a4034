#include "sim/scenario/keys.hpp"

#include <algorithm>
#include <array>

#include "sim/scenario/key_parts.hpp"

namespace moesim {
namespace {

std::vector<Key> all_keys() {
  std::vector<Key> keys;
  for (const auto& part : {model_keys(), expert_keys(), cluster_keys(), layout_keys(), routing_keys(), workload_keys(),
                           communication_keys(), run_keys()})
    keys.insert(keys.end(), part.begin(), part.end());
  return keys;
}

constexpr std::array<std::array<std::string_view, 2>, 17> kSections{{
    {"", "A question to moesim: a model, a cluster, a layout and a workload"},
    {"precision", "Number format of every class of tensor"},
    {"precision.cold_experts", "Experts with few tokens in a narrower format"},
    {"offload", "Routed experts that lie outside the GPU and are fetched when tokens want them"},
    {"cluster", "The machine"},
    {"cluster.fabric", "The network between nodes"},
    {"layout", "Which rank does what: attention tp x dp = experts ep x tp = GPUs / pp"},
    {"layout.attention", "Attention: tp x dp"},
    {"layout.experts", "Experts: ep x tp"},
    {"placement", "Which slot of which rank holds which expert; not with a dense model"},
    {"routing", "How tokens choose experts; not with a dense model"},
    {"routing.capacity", "A limit on the tokens of an expert"},
    {"workload", "What the deployment works on"},
    {"communication", "How tokens and partial sums travel"},
    {"overlap", "What runs at the same time"},
    {"kernels", "How long a kernel takes"},
    {"slo", "Limits to judge against; a missed one is a verdict, not an error"},
}};

}  // namespace

const std::vector<Key>& scenario_keys() {
  static const std::vector<Key> keys = all_keys();
  return keys;
}

const Key* find_key(std::string_view path) {
  for (const Key& key : scenario_keys())
    if (key.path == path) return &key;
  return nullptr;
}

std::string_view section_doc(std::string_view path) {
  for (const auto& [section, doc] : kSections)
    if (section == path) return doc;
  return {};
}

std::vector<std::string> names_below(std::string_view section) {
  const std::string prefix = section.empty() ? "" : std::string{section} + ".";
  std::vector<std::string> names;
  for (const Key& key : scenario_keys()) {
    if (!key.path.starts_with(prefix)) continue;
    const std::string_view rest = key.path.substr(prefix.size());
    const std::string name{rest.substr(0, rest.find('.'))};
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

}  // namespace moesim
