#include "models/placement/expert_loads.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "models/placement/placement.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/own_folder.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;

namespace {

using Where = std::vector<std::pair<std::string, std::string>>;

ExpertLoads read(const std::string& text, const Where& where = {}, const std::string& name = "loads_under_test.csv") {
  std::ofstream{name} << text;
  struct Gone {
    std::string file;
    ~Gone() { std::filesystem::remove(file); }
  } gone{name};
  return read_expert_loads(name, where);
}

ExpertLoads json(const std::string& text) {
  return read(text, {}, "loads_under_test.json");
}

}  // namespace

TEST_CASE("All forms of a recording read alike", "[placement]") {
  const std::vector<double> counts{1, 2, 3, 4, 5, 6};
  const auto text = GENERATE(as<std::string>{}, "layer,expert,count\n0,0,1\n0,1,2\n0,2,3\n1,0,4\n1,1,5\n1,2,6\n",
                             "count,layer,expert\n6,1,2\n5,1,1\n4,1,0\n3,0,2\n2,0,1\n1,0,0\n", "1,2,3\n4,5,6\n",
                             "e0,e1,e2\n1,2,3\n4,5,6\n", "layer,e0,e1,e2\n0,1,2,3\n1,4,5,6\n");
  INFO(text);
  const ExpertLoads loads = read(text);
  CHECK(loads.experts == 3);
  CHECK(loads.layer_ids == std::vector<int>{0, 1});
  CHECK(loads.counts == counts);
  CHECK(loads.summed_over.empty());
  CHECK(json("[[1,2,3],[4,5,6.0]]").counts == counts);
}

TEST_CASE("Layers keep the file's numbers", "[placement]") {
  CHECK(read("layer,expert,count\n7,0,1\n15,0,2\n").layer_ids == std::vector<int>{7, 15});
  CHECK(read("layer,a,b\n3,1,2\n4,5,6\n").layer_ids == std::vector<int>{3, 4});
}

TEST_CASE("Rows that differ in another column are added up or filtered", "[placement]") {
  const std::string text = "domain,layer,expert,count\nlaw,0,0,1\nlaw,0,1,2\nmath,0,0,10\nmath,0,1,20\n";
  const ExpertLoads all = read(text);
  CHECK(all.counts == std::vector<double>{11, 22});
  CHECK(all.summed_over == std::vector<std::string>{"domain"});
  const ExpertLoads math = read(text, {{"domain", "math"}});
  CHECK(math.counts == std::vector<double>{10, 20});
  CHECK(math.summed_over.empty());
  // a column that differs without two rows for one expert adds nothing up
  CHECK(read("layer,expert,count,share\n0,0,1,0.25\n0,1,3,0.75\n").summed_over.empty());
  // rows that differ in nothing are a mistake, whatever the constant columns
  CHECK_THROWS_WITH(read("domain,layer,expert,count\nlaw,0,0,1\nlaw,0,0,1\n"),
                    "loads_under_test.csv:3:7: got layer 0, expert 0 again, expected one row for each");
}

TEST_CASE("A recording that is broken is refused with its place", "[placement]") {
  CHECK_THROWS_WITH(read(""),
                    "loads_under_test.csv:1:1: got no header line, expected the names of the columns or numbers, "
                    "separated by commas");
  CHECK_THROWS_WITH(read("1,2,3\n4,5\n"),
                    "loads_under_test.csv:2:1: got 2 fields, expected 3 fields as in the first line");
  CHECK_THROWS_WITH(read("a,b\n1,2\n1,2,3\n"),
                    "loads_under_test.csv:3:1: got 3 fields, expected 2 fields as in the header");
  CHECK_THROWS_WITH(read("1,2\n3,-4\n"), "loads_under_test.csv:2:3: got count \"-4\", expected a finite number >= 0");
  CHECK_THROWS_WITH(read("1,2\n3,nan\n"), "loads_under_test.csv:2:3: got count \"nan\", expected a finite number >= 0");
  CHECK_THROWS_WITH(read("1,2\n3,inf\n"), "loads_under_test.csv:2:3: got count \"inf\", expected a finite number >= 0");
  CHECK_THROWS_WITH(read("1,2\n3,\n"), "loads_under_test.csv:2:3: got count \"\", expected a finite number >= 0");
  CHECK_THROWS_WITH(read("layer,a\n1,2\n1,2\n"),
                    "loads_under_test.csv:3:1: got layer 1 after layer 1, expected ascending layers");
  CHECK_THROWS_WITH(read("a,b\n"), "loads_under_test.csv: got no rows, expected one row per layer");
  const std::string head = "layer,expert,count\n";
  CHECK_THROWS_WITH(read(head + "0,0,1\n0,1,x\n"),
                    "loads_under_test.csv:3:5: got count \"x\", expected a finite number >= 0");
  CHECK_THROWS_WITH(read(head + "0,0,1\n0,0,1\n"),
                    "loads_under_test.csv:3:3: got layer 0, expert 0 again, expected one row for each");
  CHECK_THROWS_WITH(read(head + "0,0,1\n0,-1,1\n"),
                    "loads_under_test.csv:3:3: got expert \"-1\", expected a whole number from 0 to 65535");
  CHECK_THROWS_WITH(read(head), "loads_under_test.csv: got no rows, expected at least one row that the filter keeps");
}

TEST_CASE("An expert missing in a layer is named, wherever it is missing", "[placement]") {
  const std::string head = "layer,expert,count\n";
  const std::string all = ", expected all 2 experts in every layer";
  CHECK_THROWS_WITH(read(head + "0,0,1\n0,1,1\n1,0,1\n"),
                    "loads_under_test.csv: got no row for layer 1, expert 1" + all);
  CHECK_THROWS_WITH(read(head + "0,0,1\n0,1,1\n1,1,1\n"),
                    "loads_under_test.csv: got no row for layer 1, expert 0" + all);
  CHECK_THROWS_WITH(read(head + "0,0,1\n1,0,1\n1,1,1\n"),
                    "loads_under_test.csv: got no row for layer 0, expert 1" + all);
}

TEST_CASE("JSON that is no table of counts is refused", "[placement]") {
  const std::string table = ", expected an array with one array of counts per layer";
  CHECK_THROWS_WITH(json("[[1,2],[3"), "loads_under_test.json: got broken JSON" + table);
  CHECK_THROWS_WITH(json("{}"), "loads_under_test.json: got object" + table);
  CHECK_THROWS_WITH(json("[[1,2],[3]]"),
                    "loads_under_test.json: layer 1: got 1 experts, expected 2 as in the rows before");
  CHECK_THROWS_WITH(json("[[1,null]]"), "loads_under_test.json: layer 0: got null, expected an array of counts");
  CHECK_THROWS_WITH(json("[[1,-2]]"), "loads_under_test.json: layer 0: got count -2, expected a finite number >= 0");
}

TEST_CASE("A filter needs its column and keeps something", "[placement]") {
  const std::string text = "domain,layer,expert,count\nlaw,0,0,1\n";
  CHECK_THROWS_WITH(read(text, {{"domian", "law"}}),
                    "loads_under_test.csv:1:1: got columns domain, layer, expert, count, expected a column domian; did "
                    "you mean domain?");
  CHECK_THROWS_WITH(read(text, {{"domain", "art"}}),
                    "loads_under_test.csv: got no rows, expected at least one row that the filter keeps");
  CHECK_THROWS_WITH(
      read("1,2\n", {{"domain", "law"}}),
      "loads_under_test.csv: got a filter on domain, expected a file with the columns layer, expert and count");
}

namespace {

/// Layer 7 of OLMoE on one domain, 64 experts; empty when the data is absent.
std::vector<double> olmoe_layer(const std::string& domain) {
  const std::string file = moesim::testing::shared_file("data/routing/olmoe_mixtral/expert_counts.csv");
  if (file.empty()) return {};
  return read_expert_loads(file, {{"model", "olmoe"}, {"domain", domain}, {"kind", "expert_counts"}, {"layer", "7"}})
      .counts;
}

Placement on_eight(PlacementPolicy policy, int slots, const std::vector<double>& loads) {
  return place({.policy = policy, .redundant = 0, .file = {}}, {.ranks = 8, .slots = slots}, 1, 64, loads);
}

double served(const Placement& placement, const std::vector<double>& loads) {
  const auto on_ranks = rank_loads(placement, 0, loads);
  return *std::max_element(on_ranks.begin(), on_ranks.end()) * 8 / std::accumulate(loads.begin(), loads.end(), 0.0);
}

}  // namespace

TEST_CASE("Recorded OLMoE loads balance as published, and a plan of another domain does not", "[placement]") {
  const auto c4 = olmoe_layer("c4"), arxiv = olmoe_layer("arxiv");
  if (arxiv.empty()) return;
  REQUIRE(arxiv.size() == 64);
  CHECK(served(on_eight(PlacementPolicy::eplb, 72, arxiv), arxiv) == Approx(1.0047).margin(5e-5));
  CHECK(served(on_eight(PlacementPolicy::eplb, 72, c4), arxiv) == Approx(1.8362).margin(5e-5));
}

TEST_CASE("Recorded Mixtral and DeepSeek-V2-Lite loads read whole", "[placement]") {
  const std::string mixtral = moesim::testing::shared_file("data/routing/mixtral_8x7b_fiddler/expert_counts.csv");
  if (!mixtral.empty()) {
    const ExpertLoads loads = read_expert_loads(mixtral);
    CHECK(loads.layers() == 32);
    CHECK(loads.experts == 8);
    CHECK(loads.summed_over == std::vector<std::string>{"domain"});
  }
  const std::string lite = moesim::testing::shared_file("data/routing/deepseek_v2_lite_esft/expert_counts.csv");
  if (!lite.empty()) {
    const ExpertLoads loads = read_expert_loads(lite);
    CHECK(loads.layers() == 26);
    CHECK(loads.experts == 64);
  }
}
