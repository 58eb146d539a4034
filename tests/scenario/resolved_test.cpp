#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "models/units/random.hpp"
#include "sim/scenario/keys.hpp"
#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;
namespace fs = std::filesystem;

namespace {

/// Values without the places they come from.
std::vector<std::string> values(const Scenario& scenario) {
  std::vector<std::string> lines;
  for (const ResolvedValue& item : scenario.resolved) lines.push_back(item.path + "=" + item.value);
  return lines;
}

/// A random value of a key that is fine whatever the other keys say, "" for keys that are left alone.
std::string random_value(const Key& key, Random& random) {
  const double most = std::min(key.most, 1000.0);
  if (!key.only_with.path.empty() || key.path.starts_with("layout") || key.path.starts_with("cluster")) return {};
  switch (key.type) {
    case KeyType::choice: {
      std::vector<std::string> names;
      for (const Choice& choice : key.choices)
        if (choice.instead.empty()) names.emplace_back(choice.name);
      return names[random.below(static_cast<std::uint32_t>(names.size()))];
    }
    case KeyType::integer:
      return fmt::format("{}", static_cast<long>(key.least) + random.below(100));
    case KeyType::number:
      return key.path == "workload.tokens_per_gpu"
                 ? "8"
                 : fmt::format("{}", key.least + (most - key.least) * random.uniform() / 200);
    case KeyType::seconds:
      return fmt::format("{} us", 1 + random.below(1000000));
    case KeyType::text:
      return "a \"quoted\" text: with # signs, \\ and {braces}";
    default:
      return {};
  }
}

}  // namespace

TEST_CASE("The resolved scenario loads back to the same values and the same hash", "[scenario]") {
  int compared = 0;
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    Random random{seed, Purpose::test, 0, 0};
    std::vector<Override> overrides;
    for (const Key& key : scenario_keys()) {
      // refused unless drawn together: a policy with its factor, a place with what stays, a share with its format
      const auto among = [&](std::string_view section) { return key.path.starts_with(section); };
      if (among("routing.capacity.") || among("offload.") || among("precision.cold_experts.")) continue;
      if (const std::string value = random_value(key, random); !value.empty() && random.below(2) == 0)
        overrides.emplace_back(key.path, value);
    }
    INFO("seed " << seed);
    Scenario scenario;
    try {
      scenario = parse(kSmall, overrides);
    } catch (const InputError&) {
      continue;  // values that do not go together, as routing.kind: file without a file
    }
    const Scenario again = parse_scenario(resolved_yaml(scenario), "r.yaml", "/");
    REQUIRE(values(again) == values(scenario));
    REQUIRE(scenario_hash(again) == scenario_hash(scenario));
    ++compared;
  }
  CHECK(compared > 40);
}

TEST_CASE("The resolved scenario names every key with its origin", "[scenario]") {
  const Scenario scenario = parse(kSmall, {{"seed", "7"}});
  const std::string yaml = resolved_yaml(scenario);
  CHECK(scenario.resolved.size() == scenario_keys().size());
  for (const ResolvedValue& item : scenario.resolved)
    CHECK(yaml.find(item.path.substr(item.path.rfind('.') + 1) + ": ") != std::string::npos);
  CHECK(yaml.find("\nseed: 7  # --set\n") != std::string::npos);
  CHECK(yaml.find("\n  gpu: \"h100-sxm\"  # input\n") != std::string::npos);
  CHECK(yaml.find("\n    kind: single_node  # default\n") != std::string::npos);
  CHECK(yaml.find("\n# slo.ttft: not set\n") != std::string::npos);
}

TEST_CASE("The hash changes with a value, not with its spelling, place or origin", "[scenario]") {
  const std::string hash = scenario_hash(parse(kSmall));
  CHECK(hash.size() == 16);
  CHECK(scenario_hash(parse(kSmall + "seed: 1\n")) == hash);  // written out, still the default
  CHECK(scenario_hash(parse(kSmall, {{"precision.kv", "bf16"}})) == hash);
  CHECK(scenario_hash(parse("# a comment\n" + kSmall)) == hash);
  CHECK(scenario_hash(parse(kSmall + "seed: 2\n")) != hash);
  const auto nic = [](const char* text) { return scenario_hash(parse(kSmall, {{"cluster.fabric.nic", text}})); };
  CHECK(nic("400 Gb/s") == nic("50 GB/s"));
  CHECK(nic("400 Gb/s") != nic("200 Gb/s"));
}

TEST_CASE("A file counts by its content, wherever it lies", "[scenario]") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("moesim-scenario-{}", ::getpid());
  const auto hash_with = [&](const char* name, const std::string& content) {
    fs::create_directories(folder / name);
    std::ofstream{folder / name / "h.csv"} << content;
    return scenario_hash(parse_scenario(kSmall + "routing: {kind: histogram, file: h.csv}\n", "s.yaml", folder / name));
  };
  const std::string here = hash_with("a", "layer,expert,count\n0,0,1\n");
  CHECK(hash_with("b", "layer,expert,count\n0,0,1\n") == here);
  CHECK(hash_with("b", "layer,expert,count\n0,0,2\n") != here);
  fs::remove_all(folder);
}

TEST_CASE("A path is relative to the scenario's folder, and absolute once resolved", "[scenario]") {
  const Scenario scenario =
      parse(kSmall + "routing: {kind: histogram, file: routing/../routing/mixtral_8x7b_mmlu_shares.csv}\n");
  const std::string expected = std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/routing/mixtral_8x7b_mmlu_shares.csv";
  CHECK(scenario.routing.file == expected);
  CHECK(resolved_yaml(scenario).find("  file: \"" + expected + "\"  # input") != std::string::npos);
}

TEST_CASE("A question with control characters resolves to a file that loads back to it", "[scenario]") {
  const Scenario first = parse_scenario(
      "question: \"bell \\a, escape \\e, delete \\x7f and \\\"quotes\\\"\"\nmodel: mixtral-8x7b\n"
      "cluster: {gpu: h100-sxm}\nworkload: {phase: decode, tokens_per_gpu: 4, context: 64, steps: 1}\n",
      "s.yaml", ".");
  CHECK(first.question == "bell \a, escape \x1b, delete \x7f and \"quotes\"");
  const Scenario again = parse_scenario(resolved_yaml(first), "resolved.yaml", ".");
  CHECK(again.question == first.question);
  CHECK(scenario_hash(again) == scenario_hash(first));
}
