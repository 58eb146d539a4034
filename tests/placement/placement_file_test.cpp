#include <algorithm>
#include <fstream>

#include "models/placement/placement.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/own_folder.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;

namespace {

/// A placement file of this text in the current folder, gone at the end of the test.
class TextFile {
public:
  TextFile(const std::string& name, const std::string& text) : name_{name} { std::ofstream{name_} << text; }
  ~TextFile() { std::filesystem::remove(name_); }
  const std::string& name() const { return name_; }

private:
  std::string name_;
};

Placement read(const std::string& text, int ranks, int layers, int experts) {
  const TextFile file{"placement_under_test.csv", text};
  return load_placement(file.name(), ranks, layers, experts);
}

constexpr int kV3Layers = 58, kV3Experts = 256;

std::string shared_placement(const std::string& name) {
  return moesim::testing::shared_file("data/placement/deepseek_v3_omni_infer/" + name);
}

}  // namespace

TEST_CASE("Ranks with fewer experts get empty slots", "[placement]") {
  const Placement placement = read("layer,rank,experts\n0,1,2\n0,0,0 1\n", 2, 1, 3);
  CHECK(placement.slots_per_rank == 2);
  CHECK(placement.expert_of == std::vector<int>{0, 1, 2, -1});
}

TEST_CASE("A placement file's columns may come in any order, with others between", "[placement]") {
  const Placement placement = read("experts,note,rank,layer\n1,a,0,0\n0,b,1,0\n", 2, 1, 2);
  CHECK(placement.expert_of == std::vector<int>{1, 0});
}

TEST_CASE("A placement file that does not fit is refused with its line", "[placement]") {
  const std::string head = "layer,rank,experts\n";
  CHECK_THROWS_WITH(
      read("rank,layers,experts\n", 2, 1, 2),
      "placement_under_test.csv:1:1: got columns rank, layers, experts, expected a column layer; did you mean layers?");
  CHECK_THROWS_WITH(
      read("", 2, 1, 2),
      "placement_under_test.csv:1:1: got no header line, expected the names of the columns, separated by commas");
  CHECK_THROWS_WITH(read(head + "0,0\n", 2, 1, 2),
                    "placement_under_test.csv:2:1: got 2 fields, expected 3 fields as in the header");
  CHECK_THROWS_WITH(read(head + "0,0,0\n0,2,1\n", 2, 1, 2),
                    "placement_under_test.csv:3:3: got rank \"2\", expected a whole number from 0 to 1");
  CHECK_THROWS_WITH(read(head + "0,0,0 x\n", 2, 1, 2),
                    "placement_under_test.csv:2:7: got expert \"x\", expected a whole number from 0 to 1");
  CHECK_THROWS_WITH(read(head + "0,0,0 7\n", 2, 1, 2),
                    "placement_under_test.csv:2:7: got expert \"7\", expected a whole number from 0 to 1");
  CHECK_THROWS_WITH(read(head + "0,0,0\n0,0,1\n", 2, 1, 2),
                    "placement_under_test.csv:3:3: got layer 0, rank 0 again, expected one row for each");
  CHECK_THROWS_WITH(read(head + "0,0,0 1\n", 2, 1, 2),
                    "placement_under_test.csv: got no row for layer 0, rank 1, expected 1 layers x 2 ranks = 2 rows");
  CHECK_THROWS_WITH(
      read(head + "0,0,0\n0,1,0\n", 2, 1, 2),
      "placement_under_test.csv: got no rank holds expert 1 in layer 0, expected all 2 experts in every layer");
  CHECK_THROWS_WITH(read(head + "0,0,0 1 0\n", 2, 1, 2),
                    "placement_under_test.csv:2:5: got 3 experts on one rank, expected at most the model's 2");
}

TEST_CASE("A file states its replicas itself", "[placement]") {
  CHECK_THROWS_WITH(place({.policy = PlacementPolicy::file, .redundant = 2, .file = "x.csv"}, {.ranks = 2}, 1, 2, {}),
                    "placement.redundant: got 2, expected 0: the file states the replicas");
}

TEST_CASE("The recorded baseline placement of DeepSeek-V3 is the linear one", "[placement]") {
  const std::string file = shared_placement("baseline_16ranks.csv.gz");
  if (file.empty()) return;
  const std::vector<double> loads(kV3Layers * kV3Experts, 1.0);
  const auto read_back =
      place({.policy = PlacementPolicy::file, .redundant = 0, .file = file}, {.ranks = 16}, kV3Layers, kV3Experts, {});
  const auto linear = place({}, {.ranks = 16}, kV3Layers, kV3Experts, loads);
  CHECK(read_back.slots_per_rank == 16);
  CHECK(read_back.expert_of == linear.expert_of);
}

TEST_CASE("Recorded placements without redundancy hold every expert once", "[placement]") {
  const std::string name =
      GENERATE(as<std::string>{}, "naivebalance3_16ranks.csv.gz", "prefill_16ranks_rearranged.csv.gz");
  const std::string file = shared_placement(name);
  if (file.empty()) return;
  const auto placement = load_placement(file, 16, kV3Layers, kV3Experts);
  for (int layer = 0; layer < kV3Layers; ++layer) CHECK(placement.replicas(layer) == std::vector<int>(kV3Experts, 1));
  CHECK_THROWS_AS(load_placement(file, 32, kV3Layers, kV3Experts), InputError);
  CHECK_THROWS_AS(load_placement(file, 8, kV3Layers, kV3Experts), InputError);
  CHECK_THROWS_AS(load_placement(file, 16, kV3Layers - 1, kV3Experts), InputError);
  CHECK_THROWS_AS(load_placement(file, 16, kV3Layers + 1, kV3Experts), InputError);
}

TEST_CASE("The recorded redundant placement keeps its copies, at most four, and its empty slots", "[placement]") {
  const std::string file = shared_placement("sc_32ranks_redundant.csv.gz");
  if (file.empty()) return;
  const auto placement = load_placement(file, 32, kV3Layers, kV3Experts);
  CHECK(placement.slots_per_rank == 9);
  int most = 0;
  for (int layer = 0; layer < kV3Layers; ++layer) {
    const auto copies = placement.replicas(layer);
    most = std::max(most, *std::max_element(copies.begin(), copies.end()));
    CHECK(*std::min_element(copies.begin(), copies.end()) == 1);
  }
  CHECK(most == 4);
  // 8 of the file's 1,856 rows list 8 experts instead of 9 (58 layers x 32 ranks)
  CHECK(std::count(placement.expert_of.begin(), placement.expert_of.end(), -1) == 8);
}
