#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/resources.hpp"
#include "models/units/text.hpp"
#include "sim/scenario/keys.hpp"
#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"
#include "tests/scenario/yaml_to_json.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

const nlohmann::json& schema() {
  static const nlohmann::json parsed = nlohmann::json::parse(scenario_schema());
  return parsed;
}

/// The schema of a key, by its path.
nlohmann::json property(std::string_view path) {
  nlohmann::json at = schema();
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t dot = std::min(path.find('.', begin), path.size());
    at = at.at("properties").at(std::string{path.substr(begin, dot - begin)});
    begin = dot + 1;
  }
  return at;
}

/// Checks a section of the schema and returns how many keys are in it and below.
std::size_t check_section(const nlohmann::json& section) {
  std::size_t leaves = 0;
  CHECK(section.at("additionalProperties") == false);
  for (const auto& [name, child] : section.at("properties").items()) {
    INFO(name);
    CHECK(child.at("description").get<std::string>().size() > 3);
    leaves += child.contains("properties") ? check_section(child) : 1;
  }
  return leaves;
}

}  // namespace

TEST_CASE("The committed schema is the one that the parser's table makes", "[scenario]") {
  const std::string file = std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/schema/scenario.schema.json";
  // if this fails: moesim schema > scenarios/schema/scenario.schema.json
  CHECK(read_text_file(file) == scenario_schema());
}

TEST_CASE("Every key of the table is in the schema with a description, and no other", "[scenario]") {
  const std::size_t leaves = check_section(schema());
  CHECK(leaves == scenario_keys().size());
  for (const Key& key : scenario_keys()) CHECK_NOTHROW(property(key.path));
}

TEST_CASE("Defaults in the schema are what the parser takes when a key is left out", "[scenario]") {
  const Scenario scenario = parse(kSmall);
  int compared = 0;
  for (const ResolvedValue& item : scenario.resolved) {
    if (item.origin != "default" || find_key(item.path)->standard.empty()) continue;
    INFO(item.path);
    const nlohmann::json standard = property(item.path).at("default");
    const std::string text = standard.is_string() ? standard.get<std::string>() : standard.dump();
    CHECK((text == item.value || "\"" + text + "\"" == item.value));  // free texts are quoted in YAML
    ++compared;
  }
  CHECK(compared > 20);
}

TEST_CASE("Values that the contract names for later are in the schema and marked there", "[scenario]") {
  for (const Key& key : scenario_keys())
    for (const Choice& choice : key.choices) {
      if (choice.instead.empty() || key.type == KeyType::boolean) continue;
      const nlohmann::json in = property(key.path);
      INFO(fmt::format("{} {}", key.path, choice.name));
      CHECK(std::find(in.at("enum").begin(), in.at("enum").end(), choice.name) != in.at("enum").end());
      const std::string description = in.at("description");
      const auto later = description.find("Not modelled yet: ");
      REQUIRE(later != std::string::npos);
      CHECK(description.find(std::string{choice.name}, later) != std::string::npos);
    }
}

TEST_CASE("The schema takes every unit that the parser takes", "[scenario]") {
  for (const char* nic : {"12.5 TB/s", "12.5 GB/s", "12.5 MB/s", "125000000 kB/s", "125000000 B/s", "12.5 Tb/s",
                          "12.5 Gb/s", "12.5 Mb/s", "125000000 kb/s", "125000000 b/s", "12.5 GiB/s"}) {
    const std::string text = fmt::format(
        "model: mixtral-8x7b\ncluster: {{gpu: h100-sxm, fabric: {{nic: {}}}}}\nworkload: {{tokens_per_gpu: 1}}\n", nic);
    INFO(nic);
    CHECK(schema_complaint(schema(), yaml_to_json(text)) == "");
    CHECK(refusal(text) == "");
  }
  for (const char* unit : {"h", "min", "s", "ms", "us", "ns"}) {
    INFO(unit);
    CHECK(schema_complaint(schema(), yaml_to_json(kSmall + "slo: {ttft: 1e1 " + unit + "}\n")) == "");
    CHECK(refusal(kSmall + "slo: {ttft: 1e1 " + unit + "}\n") == "");
  }
}

TEST_CASE("What the parser refuses by itself the schema refuses too", "[scenario]") {
  CHECK(schema_complaint(schema(), yaml_to_json(kSmall)) == "");
  for (const char* tail : {"sed: 1",
                           "slo: {tpot: 50}",
                           "slo: {tpot: 50 GB}",
                           "slo: 5",
                           "layout: {pp: 0}",
                           "layout: {pp: one}",
                           "layout: {pp: \"1\"}",
                           "layout: {ep: 8}",
                           "memory_fraction: 0",
                           "memory_fraction: 1.5",
                           "seed: -1",
                           "overlap: {shared_experts: yes}",
                           "overlap: {two_batch: \"false\"}",
                           "question: 5",
                           "question: \"\"",
                           "routing: {kind: zipf}",
                           "routing: {kind: histogram}",
                           "placement: {policy: file}",
                           "routing: {where: 5}",
                           "routing: {kind: nonsense}",
                           "precision: {kv: fp9}",
                           "communication: {rails: [forward]}"}) {
    INFO(tail);
    CHECK(refusal(kSmall + tail + "\n") != "");
    CHECK(schema_complaint(schema(), yaml_to_json(kSmall + tail + "\n")) != "");
  }
  for (const char* key : {"model", "cluster", "workload"}) {
    nlohmann::json document = yaml_to_json(kSmall);
    document.erase(key);
    CHECK(schema_complaint(schema(), document) != "");
  }
}
