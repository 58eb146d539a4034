#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"
#include "tests/scenario/yaml_to_json.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;
using namespace moesim::testing;
namespace fs = std::filesystem;

namespace {

const fs::path kFolder = fs::path{MOESIM_TEST_SOURCE_DIR} / "scenarios";

std::vector<fs::path> shipped() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator{kFolder})
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  return files;
}

}  // namespace

TEST_CASE("Every shipped scenario loads, is valid to its schema, and has a question and a modeline", "[scenario]") {
  REQUIRE(shipped().size() >= 6);
  const nlohmann::json schema = nlohmann::json::parse(read_text_file(kFolder / "schema" / "scenario.schema.json"));
  const std::string readme = read_text_file(kFolder / "README.md");
  for (const fs::path& file : shipped()) {
    INFO(file.string());
    const std::string text = read_text_file(file);
    CHECK(text.starts_with("# yaml-language-server: $schema=schema/scenario.schema.json\n"));
    CHECK(schema_complaint(schema, yaml_to_json(text)) == "");
    const Scenario scenario = load_scenario(file);
    CHECK(scenario.question.size() > 20);
    CHECK(scenario.name == file.stem().string());
    CHECK(readme.find("`" + file.filename().string() + "`") != std::string::npos);
    CHECK(scenario_hash(parse_scenario(resolved_yaml(scenario), "r.yaml", "/")) == scenario_hash(scenario));
  }
}

TEST_CASE("The quickstart's layers each share out a million", "[scenario]") {
  std::ifstream in{kFolder / "routing" / "mixtral_8x7b_mmlu_shares.csv"};
  std::string line;
  REQUIRE(std::getline(in, line));
  CHECK(line == "layer,expert,count");
  std::vector<long> sum(32, 0);
  int rows = 0, layer = 0, expert = 0;
  long count = 0;
  for (char comma = 0; in >> layer >> comma >> expert >> comma >> count; ++rows) {
    REQUIRE(layer == rows / 8);
    REQUIRE(expert == rows % 8);
    sum[static_cast<std::size_t>(layer)] += count;
  }
  CHECK(rows == 256);
  CHECK(sum == std::vector<long>(32, 1000000));
}

TEST_CASE("The quickstart's shares are the published counts, summed over subjects", "[scenario]") {
  const std::string file = shared_file("data/routing/mixtral_8x7b_fiddler/expert_counts.csv");
  if (file.empty()) return;
  std::vector<double> counts(256, 0), layers(32, 0);
  for (const std::string& line : read_lines(file)) {
    if (!line.starts_with("mixtral_8x7b_original,")) continue;
    int layer = 0, expert = 0;
    long count = 0;
    const std::size_t second = line.find(',', line.find(',') + 1);
    REQUIRE(std::sscanf(line.c_str() + second, ",%d,%d,%ld", &layer, &expert, &count) == 3);
    counts[static_cast<std::size_t>(layer * 8 + expert)] += static_cast<double>(count);
    layers[static_cast<std::size_t>(layer)] += static_cast<double>(count);
  }
  const auto lines = read_lines(kFolder / "routing" / "mixtral_8x7b_mmlu_shares.csv");
  REQUIRE(lines.size() == 257);
  for (std::size_t i = 0; i < 256; ++i) {
    INFO(lines[i + 1]);
    const double share = std::stod(lines[i + 1].substr(lines[i + 1].rfind(',') + 1));
    REQUIRE(std::abs(share - 1e6 * counts[i] / layers[i / 8]) < 1);
  }
}
