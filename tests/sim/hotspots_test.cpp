// Planted hotspots come out on top, with their cause and the keys that remove them.

#include <fmt/format.h>

#include "tests/catch_compat.hpp"
#include "tests/sim/forked_summary.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

/// Without anything planted it has no hotspot: every expert of 8 GPUs gets the same tokens.
const std::string kEven =
    "model: mixtral-8x7b\n"
    "cluster: {gpu: h100-sxm}\n"
    "routing: {kind: balanced}\n"
    "workload: {phase: decode, tokens_per_gpu: 64, context: 1024, steps: 3}\n";

/// 16 GPUs with a NIC each, joined by leaves of two GPUs and spines.
const std::string kFabric =
    "model: mixtral-8x7b\n"
    "cluster: {gpu: h100-sxm, nodes: 4, gpus_per_node: 4, fabric: {kind: fat-tree, switch_ports: 8}}\n"
    "layout: {attention: {dp: 16}, experts: {ep: 8, tp: 2}}\n"
    "routing: {kind: balanced}\n"
    "workload: {phase: prefill, tokens_per_gpu: 4096, context: 4096, steps: 1}\n";

Scenario parse(const std::string& text, const std::vector<Override>& overrides = {}) {
  return parse_scenario(text, "planted.yaml", ".", overrides);
}

std::vector<Override> set_of(const nlohmann::json& spot) {
  std::vector<Override> set;
  if (!spot["set"].is_null())
    for (const auto& item : spot["set"]) set.emplace_back(item["key"], item["value"]);
  return set;
}

double step(const nlohmann::json& summary) {
  return summary["step"]["mean_ms"];
}

/// The planted hotspot is first, and its remedy saves what it costs: at most, and here nearly that.
void check_planted(const std::string& text, std::vector<Override> planted, const std::string& id,
                   const std::string& cause, double share_saved) {
  const auto before = forked_summary(parse(text, planted));
  INFO(before["hotspots"].dump(1));
  REQUIRE(!before["hotspots"].empty());
  const auto& top = before["hotspots"][0];
  CHECK(top["id"] == id);
  CHECK(top["cause"] == cause);
  const std::vector<Override> remedy = set_of(top);
  REQUIRE(!remedy.empty());
  planted.insert(planted.end(), remedy.begin(), remedy.end());
  const auto after = forked_summary(parse(text, planted));
  const double cost = top["share_of_time"].get<double>() * step(before), gain = step(before) - step(after);
  INFO(fmt::format("costs {} ms, gain {} ms of {}", cost, gain, step(before)));
  CHECK(gain > share_saved * cost);
  CHECK(gain < 1.1 * cost);
}

}  // namespace

TEST_CASE("An even deployment has no hotspot", "[hotspots]") {
  CHECK(forked_summary(parse(kEven))["hotspots"].empty());
}

TEST_CASE("An expert with half of the tokens of a layer is the top hotspot", "[hotspots]") {
  const TemporaryFolder scratch;
  std::string csv = "layer,expert,count\n";
  for (int layer = 0; layer < 32; ++layer)
    for (int expert = 0; expert < 8; ++expert)  // 70 of 140: every token takes it
      csv += fmt::format("{},{},{}\n", layer, expert, layer == 5 && expert == 3 ? 70 : 10);
  const std::vector<Override> planted{{"routing.kind", "histogram"},
                                      {"routing.file", scratch.write("r.csv", csv)},
                                      {"workload.tokens_per_gpu", "512"},
                                      {"workload.context", "128"}};
  const auto summary = forked_summary(parse(kEven, planted));
  const auto& top = summary["hotspots"][0];
  CHECK(top["kind"] == "expert");
  CHECK(top["id"] == "layer 5 expert 3");
  CHECK(top["layer"] == 5);
  CHECK(top["reason"] == "alone it has 4.00x the tokens of a mean GPU (on n0g3)");
  // A decode step waits for weights, and replicas are more of these; a prefill step gains.
  auto prefill = planted;
  for (const auto& [key, value] : std::vector<Override>{
           {"workload.phase", "prefill"}, {"workload.tokens_per_gpu", "4096"}, {"workload.context", "4096"}})
    prefill.emplace_back(key, value);
  check_planted(kEven, prefill, "layer 5 expert 3", "hot_expert", 0.3);
}

TEST_CASE("An expert that is hot in all layers is one hotspot", "[hotspots]") {
  const TemporaryFolder scratch;
  std::string csv = "layer,expert,count\n";
  for (int layer = 0; layer < 32; ++layer)
    for (int expert = 0; expert < 8; ++expert) csv += fmt::format("{},{},{}\n", layer, expert, expert == 3 ? 70 : 10);
  const auto summary =
      forked_summary(parse(kEven, {{"routing.kind", "histogram"}, {"routing.file", scratch.write("r.csv", csv)}}));
  const auto& top = summary["hotspots"][0];
  CHECK(top["id"] == "expert 3");
  CHECK(top["layer"].is_null());
  CHECK_THAT(top["reason"].get<std::string>(), Contains("and is hot in 32 layers (on n0g3)"));
  CHECK(top["share_of_time"] == Approx(summary["imbalance"]["cost"]["experts"].get<double>()).epsilon(0.01));
}

TEST_CASE("A slow GPU is the top hotspot", "[hotspots]") {
  const std::string layout = GENERATE("attention: {dp: 8}", "attention: {tp: 8}",
                                      "attention: {tp: 2}, experts: {tp: 2}", "attention: {tp: 1}, pp: 2");
  INFO(layout);
  const std::string text = kEven + "layout: {" + layout + "}\n";
  check_planted(text, {{"cluster.slow_gpus", "[{name: n0g5, factor: 0.7}]"}}, "n0g5", "slow_gpu", 0.95);
}

TEST_CASE("A slow link is the top hotspot", "[hotspots]") {
  const std::string layout =
      GENERATE("attention: {dp: 8}", "attention: {tp: 8}", "attention: {tp: 2}, experts: {tp: 2}");
  INFO(layout);
  check_planted(kEven + "layout: {" + layout + "}\n", {{"cluster.links", "[{name: n0g3 -> n0 nvswitch, factor: 0.2}]"}},
                "n0g3 -> n0 nvswitch", "slow_link", 0.8);
}

TEST_CASE("A full spine is the top hotspot and full bisection its remedy", "[hotspots]") {
  check_planted(kFabric, {{"cluster.fabric.oversubscription", "3"}, {"communication.spread", "spray"}}, "spine links",
                "oversubscription", 0.9);
}

TEST_CASE("A slow cable between switches is the top hotspot", "[hotspots]") {
  check_planted(
      kFabric,
      {{"communication.spread", "spray"}, {"cluster.links", "[{name: leaf1 -> spine (bundle of 4), factor: 0.2}]"}},
      "leaf1 -> spine (bundle of 4)", "slow_link", 0.9);
}

TEST_CASE("Flows hashed onto one uplink make it the top hotspot", "[hotspots]") {
  const auto summary = forked_summary(parse(kFabric));
  const auto& top = summary["hotspots"][0];
  INFO(summary["hotspots"].dump(1));
  CHECK(top["kind"] == "link");
  CHECK(top["cause"] == "collision");
  CHECK(set_of(top) == std::vector<Override>{{"communication.spread", "spray"}});
  check_planted(kFabric, {}, top["id"], "collision", 0.5);
}

TEST_CASE("Uplinks that are built thinner than others are hashed onto and not faulty", "[hotspots]") {
  // The leaf of slower NICs has slower uplinks.
  const auto summary = forked_summary(parse(
      kFabric, {{"cluster.nodes", "[{count: 3}, {count: 1, nic: 200 Gb/s}]"}, {"cluster.fabric.nic", "400 Gb/s"}}));
  INFO(summary["hotspots"].dump(1));
  REQUIRE(!summary["hotspots"].empty());
  for (const auto& spot : summary["hotspots"])
    if (spot["id"].get<std::string>().find("spine") != std::string::npos) CHECK(spot["cause"] == "collision");
}

TEST_CASE("A slow link is named where work hides it or other pools wait for it", "[hotspots]") {
  const std::string layout = GENERATE("layout: {attention: {dp: 8}}\noverlap: {two_batch: true}\n",
                                      "layout: {attention: {dp: 4}, experts: {ep: 4, apart: true}, microbatches: 2}\n",
                                      "layout: {attention: {tp: 1}, pp: 2, microbatches: 1}\n");
  INFO(layout);
  const auto summary =
      forked_summary(parse(kEven + layout, {{"cluster.links", "[{name: n0g3 -> n0 nvswitch, factor: 0.01}]"},
                                            {"workload.phase", "prefill"},
                                            {"workload.tokens_per_gpu", "1024"}}));
  INFO(summary["hotspots"].dump(1));
  REQUIRE(!summary["hotspots"].empty());
  CHECK(summary["hotspots"][0]["id"] == "n0g3 -> n0 nvswitch");
  CHECK(summary["hotspots"][0]["cause"] == "slow_link");
  CHECK(set_of(summary["hotspots"][0]) == std::vector<Override>{{"cluster.links", ""}});
}

TEST_CASE("Uneven data-parallel batches are named with their remedy", "[hotspots]") {
  const auto summary = forked_summary(parse(kEven, {{"workload.dp_imbalance", "1.5"}, {"workload.steps", "1"}}));
  const auto& top = summary["hotspots"][0];
  CHECK(top["cause"] == "uneven_batches");
  CHECK(set_of(top) == std::vector<Override>{{"workload.dp_imbalance", "1"}});
}

TEST_CASE("One slow GPU stretches a step by its factor over the part that computes (L8)", "[hotspots]") {
  const std::string text =
      "model: llama-2-13b\ncluster: {gpu: h100-sxm}\nlayout: {attention: {tp: 8}}\n"
      "workload: {tokens_per_gpu: 8, steps: 2}\n";
  const auto even = forked_summary(parse(text));
  const auto slowed = forked_summary(parse(text, {{"cluster.slow_gpus", "[{name: n0g7, factor: 0.8}]"}}));
  const double computes = 1 - even["critical_path"]["tp_collective"].get<double>();
  REQUIRE(computes > 0.5);
  CHECK(step(slowed) / step(even) == Approx(1 + computes * (1 / 0.8 - 1)).epsilon(1e-9));
}

TEST_CASE("GPUs that are as slow are repaired together", "[hotspots]") {
  const auto summary = forked_summary(parse(
      kEven,
      {{"cluster.slow_gpus", "[{name: n0g1, factor: 0.5}, {name: n0g2, factor: 0.5}, {name: n0g3, factor: 0.9}]"}}));
  CHECK(summary["hotspots"][0]["id"] == "n0g1");
  CHECK(set_of(summary["hotspots"][0]) ==
        std::vector<Override>{{"cluster.slow_gpus", "[{name: \"n0g3\", factor: 0.9}]"}});
}

TEST_CASE("A remedy is only offered where the scenario can state it", "[hotspots]") {
  // Spraying is not modelled on a custom graph, and a cable built thin is no fault to repair.
  const auto summary = forked_summary(parse(
      "model: mixtral-8x7b\n"
      "cluster:\n  gpu: h100-sxm\n  nodes: 2\n  gpus_per_node: 4\n  fabric:\n    kind: graph\n"
      "    vertices: [left, right]\n    links:\n"
      "      - {from: n0g0, to: left, bandwidth: 400 Gb/s}\n      - {from: n0g1, to: left, bandwidth: 400 Gb/s}\n"
      "      - {from: n0g2, to: left, bandwidth: 400 Gb/s}\n      - {from: n0g3, to: left, bandwidth: 50 Gb/s}\n"
      "      - {from: n1g0, to: right, bandwidth: 400 Gb/s}\n      - {from: n1g1, to: right, bandwidth: 400 Gb/s}\n"
      "      - {from: n1g2, to: right, bandwidth: 400 Gb/s}\n      - {from: n1g3, to: right, bandwidth: 400 Gb/s}\n"
      "      - {from: left, to: right, bandwidth: 3200 Gb/s}\n"
      "routing: {kind: balanced}\nworkload: {phase: prefill, tokens_per_gpu: 2048, context: 2048, steps: 1}\n"));
  const auto& top = summary["hotspots"][0];
  INFO(summary["hotspots"].dump(1));
  CHECK(top["cause"] == "slow_link");
  CHECK_THAT(top["id"].get<std::string>(), Contains("n0g3"));
  CHECK(top["set"].is_null());
}
