// The collective models with the catalogue's parameters against the open measured cases.
// tests/bench/collective_accuracy prints them one by one.

#include <algorithm>

#include "tests/bench/collective_cases.hpp"
#include "tests/catch_compat.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;
using namespace moesim::bench;

namespace {

/// Cases of an id whose group begins with `group`. Empty when the shared data is absent.
std::vector<CollectiveCase> cases_of(const std::string& id, const std::string& group = "") {
  static const std::vector<CollectiveCase> all = [] {
    testing::shared_file("data/ground_truth/deepep_normal.csv");  // says so loudly when it is not there
    return collective_cases(testing::shared_folder());
  }();
  std::vector<CollectiveCase> some;
  std::copy_if(all.begin(), all.end(), std::back_inserter(some),
               [&](const CollectiveCase& one) { return (id.empty() || one.id == id) && one.group.find(group) == 0; });
  return some;
}

std::vector<CollectiveCase> only(std::vector<CollectiveCase> cases, const std::string& part) {
  std::erase_if(cases, [&](const CollectiveCase& one) { return one.what.find(part) == std::string::npos; });
  return cases;
}

std::vector<CollectiveCase> with_tokens(std::vector<CollectiveCase> cases, double from, double to) {
  std::erase_if(cases, [&](const CollectiveCase& one) {
    const double tokens = std::atof(one.what.c_str() + one.what.find(", ") + 2);
    return tokens < from || tokens > to;
  });
  return cases;
}

}  // namespace

TEST_CASE("Every group of expert-parallel cases comes within 15 % at the median", "[collectives][shared]") {
  const auto all = cases_of("");
  if (all.empty()) return;
  std::vector<std::string> groups;
  std::size_t compared = 0;
  for (const CollectiveCase& one : all)
    if (one.expert_parallel && std::find(groups.begin(), groups.end(), one.group) == groups.end())
      groups.push_back(one.group);
  CHECK(groups.size() == 16);
  for (const std::string& group : groups) {
    const auto cases = cases_of("", group);
    INFO(group << ": " << cases.size() << " cases, median " << 100 * median_error(cases) << " %, worst "
               << 100 * worst_error(cases) << " %");
    CHECK(median_error(cases) <= 0.15);
    compared += cases.size();
  }
  CHECK(compared > 300);
}

// Oracle L25, case C04: 5 % mean, 12 % worst.
TEST_CASE("H800 parameters reproduce DeepEP's published low-latency points within 5 % on average",
          "[collectives][shared]") {
  const auto cases = cases_of("C04");
  if (cases.empty()) return;
  REQUIRE(cases.size() == 6);
  CHECK(mean_error(cases) < 0.05);
  CHECK(worst_error(cases) < 0.12);
}

TEST_CASE("The same parameters predict low latency over RDMA alone within 10 %", "[collectives][shared]") {
  const auto cases = cases_of("C06");
  if (cases.empty()) return;
  REQUIRE(cases.size() == 6);
  CHECK(worst_error(cases) < 0.10);
}

TEST_CASE("Low-latency parameters reproduce their tables within the residuals that they state",
          "[collectives][shared]") {
  if (cases_of("C08").empty()) return;
  const auto one_dispatch = only(with_tokens(cases_of("C08", "DeepEP low latency, h100, 1 node"), 8, 1024), "dispatch");
  const auto one_combine = only(with_tokens(cases_of("C08", "DeepEP low latency, h100, 1 node"), 8, 1024), "combine");
  CHECK(one_dispatch.size() == 13);
  CHECK(median_error(one_dispatch) < 0.02);
  CHECK(worst_error(one_dispatch) < 0.05);
  CHECK(median_error(one_combine) < 0.03);
  CHECK(worst_error(one_combine) < 0.06);
  for (const char* group : {"DeepEP low latency, h100, 2 nodes", "DeepEP low latency, h100, 4 nodes"}) {
    const auto across = with_tokens(cases_of("C08", group), 16, 1024);
    CHECK(across.size() == 18);  // 9 token counts, both ways
    CHECK(median_error(across) < 0.05);
    CHECK(worst_error(across) < 0.09);
  }
  const auto b200 = cases_of("C08", "DeepEP low latency, b200");
  CHECK(b200.size() == 22);
  CHECK(median_error(b200) < 0.03);
  CHECK(worst_error(b200) < 0.07);
}

// C08's own three points, at 128 tokens: 39.8/72.4, 102.1/186.2, 143.0/263.3 us.
TEST_CASE("DeepEP low latency on 1 and 2 and 4 nodes of H100 comes within 5 % on average", "[collectives][shared]") {
  const auto cases = with_tokens(cases_of("C08", "DeepEP low latency, h100"), 128, 128);
  if (cases.empty()) return;
  REQUIRE(cases.size() == 6);
  CHECK(mean_error(cases) < 0.05);
}

// C01 and C02 are what the catalogue's H800 entry was solved from.
TEST_CASE("H800 normal-mode parameters reproduce DeepEP's published bandwidths", "[collectives][shared]") {
  for (const char* id : {"C01", "C02"}) {
    const auto cases = cases_of(id);
    if (cases.empty()) return;
    CHECK(cases.size() == 4);
    CHECK(worst_error(cases) < 0.02);
  }
}

TEST_CASE("H100 normal-mode parameters reproduce the tables of one and two and four nodes", "[collectives][shared]") {
  if (cases_of("C10").empty()) return;
  for (const int nodes : {1, 2, 4}) {
    const auto cases = cases_of(
        "C10", "DeepEP normal, h100, " + std::to_string(nodes) + (nodes == 1 ? " node, 20 SMs" : " nodes, 20 SMs"));
    CHECK(cases.size() == 36);
    CHECK(median_error(cases) <= 0.10);
    CHECK(worst_error(cases) <= (nodes == 1 ? 0.14 : 0.37));  // small batches: one latency for two and four nodes
  }
}

TEST_CASE("Large collectives of H100 and B200 come within 20 % of the measured bus bandwidth",
          "[collectives][shared]") {
  for (const char* gpu : {"h100", "b200"}) {
    const auto cases = cases_of("C18", std::string{"NCCL at 512 MiB, "} + gpu);
    if (cases.empty()) return;
    INFO(gpu);
    CHECK(cases.size() == 4);
    CHECK(worst_error(cases) < 0.20);
    CHECK(median_error(cases) < 0.15);
  }
}

// One line for eager, one-shot and pipelined protocols of NCCL: the middle sizes are the worst.
TEST_CASE("NCCL collectives of 128 KiB to 256 MiB come within 20 % at the median", "[collectives][shared]") {
  for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "alltoall"}) {
    const auto cases = cases_of("C18", std::string{"NCCL "} + op + " 128 KiB-256 MiB, ");
    if (cases.empty()) return;
    INFO(op << ": median " << 100 * median_error(cases) << " %, worst " << 100 * worst_error(cases) << " %");
    CHECK(cases.size() == 24);
    CHECK(median_error(cases) < 0.20);
  }
}

TEST_CASE("NCCL all-to-all over EFA comes within 10 % at 32 and 64 ranks", "[collectives][shared]") {
  const auto cases = cases_of("C20");
  if (cases.empty()) return;
  REQUIRE(cases.size() == 4);
  CHECK(worst_error(cases) < 0.10);
}

// A line of latency and bytes; the kernels are flat to 32 tokens, and EP8 moves its bytes more slowly than EP32.
TEST_CASE("One-sided parameters reproduce TensorRT-LLM's table within the residuals that they state",
          "[collectives][shared]") {
  const auto cases = cases_of("C23");
  if (cases.empty()) return;
  REQUIRE(cases.size() == 48);
  CHECK(median_error(only(cases, "dispatch")) < 0.09);
  CHECK(worst_error(only(cases, "dispatch")) < 0.17);
  CHECK(median_error(only(cases, "combine")) < 0.06);
  CHECK(worst_error(only(cases, "combine")) < 0.25);
}
