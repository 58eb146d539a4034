// Which kernels an all-to-all takes, with which copies and parameters, and what each refuses.

#include <algorithm>

#include "models/collectives/collectives.hpp"
#include "models/units/error.hpp"
#include "sim/serving/expert_traffic.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// DeepSeek-V3 decode on 4 nodes of 8 H100, 36 slots... 8 on each GPU.
Deployment plan_of(std::vector<Override> overrides) {
  overrides.push_back({"workload.steps", "1"});
  return plan_deployment(
      load_scenario(std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/deepseek_v3_decode_ep32.yaml", overrides));
}

std::string refusal_of(const std::vector<Override>& overrides) {
  try {
    plan_of(overrides);
  } catch (const InputError& error) {
    return error.what();
  }
  return "taken";
}

/// Of the first MoE layer.
Seconds dispatch_time(const std::vector<Override>& overrides) {
  const Scenario scenario =
      load_scenario(std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/deepseek_v3_decode_ep32.yaml", overrides);
  const Deployment plan = plan_deployment(scenario);
  LayerTraffic loads;
  ExpertTraffic{scenario, plan}.draw(0, 0, batch_of_step(scenario, plan.layout, 0), loads);
  return fluid_time(loads.dispatch_bytes, plan.topology, plan.dispatch).time;
}

const Override kPairwise{"communication.all_to_all", "pairwise"},
    kHierarchical{"communication.all_to_all", "hierarchical"}, kDefaultRails{"communication.rails", ""},
    kOneSided{"communication.all_to_all", "one_sided"},
    kRack{"cluster", "{gpu: gb200-nvl72, nodes: 1, gpus_per_node: 32}"};

}  // namespace

TEST_CASE("Pairwise sends pay a message to each of the 24 ranks of other nodes", "[serving]") {
  const Deployment plan = plan_of({kPairwise});
  const CollectiveParameters catalogue = find_gpu("h100-sxm", "test").all_to_all;
  CHECK(plan.copies == CopyRule::per_expert);
  CHECK(plan.dispatch.latency_inter.value() ==
        Approx(catalogue.latency_inter.value() + 24 * catalogue.latency_per_peer.value()).epsilon(1e-12));
  CHECK_FALSE(plan.dispatch.staged);
  CHECK(plan_of({kPairwise, {"communication.copies", "per_rank"}}).copies == CopyRule::per_rank);
}

TEST_CASE("A hierarchical all-to-all goes inside first and pays a message to each of the 3 other nodes", "[serving]") {
  const Deployment plan = plan_of({kHierarchical, kDefaultRails});
  const CollectiveParameters catalogue = find_gpu("h100-sxm", "test").all_to_all;
  CHECK(plan.dispatch.staged);
  CHECK(plan.combine.latency_inter.value() == Approx(catalogue.latency_intra.value() + catalogue.latency_inter.value() +
                                                     3 * catalogue.latency_per_peer.value())
                                                  .epsilon(1e-12));
  // From GPU 0 to index 5 of another node: NVLink to GPU 5, then the NIC of rail 5.
  const auto route = plan.topology.route(0, 13);
  REQUIRE(route.size() >= 4);
  CHECK(plan.topology.links()[static_cast<std::size_t>(route[0])].tier == Tier::nvlink);
  CHECK(plan.topology.links()[static_cast<std::size_t>(route[1])].tier == Tier::nvlink);
  CHECK(plan.topology.links()[static_cast<std::size_t>(route[2])].tier == Tier::nic);
}

TEST_CASE("A rack of one NVLink domain takes the one-sided kernels by itself", "[serving]") {
  const Deployment plan = plan_of({kRack});
  CHECK(plan.all_to_all == AllToAll::one_sided);
  CHECK(plan.chosen.at("communication.all_to_all") == "one_sided");
  CHECK(plan.copies == CopyRule::per_rank);
  CHECK(plan.dispatch.latency_intra == find_gpu("gb200-nvl72", "test").dispatch_one_sided.latency_intra);
  CHECK(plan_of({kRack, {"communication.copies", "per_expert"}}).all_to_all == AllToAll::deepep_low_latency);
  CHECK(plan_of({}).all_to_all == AllToAll::deepep_low_latency);
}

TEST_CASE("A decode batch of more tokens per rank than low latency is meant for takes the normal mode", "[serving]") {
  const auto with = [](const char* tokens, std::vector<Override> more = {}) {
    more.push_back({"workload.tokens_per_gpu", tokens});
    return plan_of(std::move(more));
  };
  CHECK(with("256").all_to_all == AllToAll::deepep_low_latency);
  const Deployment many = with("257");
  CHECK(many.all_to_all == AllToAll::deepep_normal);
  CHECK(many.copies == CopyRule::per_node);
  CHECK(many.chosen.at("communication.all_to_all") == "deepep_normal");
  CHECK(
      std::count(many.notes.begin(), many.notes.end(),
                 "communication.all_to_all auto: deepep_normal, as 257 tokens per rank are more than the 256 that low "
                 "latency is meant for") == 1);
  // The fullest rank counts; half batches are dispatched apart; a TP group spreads its tokens over its ranks.
  CHECK(with("200", {{"workload.dp_imbalance", "1.3"}}).all_to_all == AllToAll::deepep_normal);
  CHECK(with("512", {{"overlap.two_batch", "true"}}).all_to_all == AllToAll::deepep_low_latency);
  CHECK(with("256", {{"layout.attention.tp", "2"}, {"layout.attention.dp", "16"}}).all_to_all ==
        AllToAll::deepep_low_latency);
  CHECK(with("16", {{"workload.phase", "prefill"}, {"workload.context", "16"}}).all_to_all == AllToAll::deepep_normal);
  // Asked for, it takes as many as its kernels can count.
  const Override low{"communication.all_to_all", "deepep_low_latency"};
  CHECK(with("1024", {low}).all_to_all == AllToAll::deepep_low_latency);
  CHECK(refusal_of({low, {"workload.tokens_per_gpu", "1025"}}) ==
        "communication.all_to_all: got deepep_low_latency with 1025 tokens per rank, expected at most 1024, as many as "
        "its kernels can count; or auto, deepep_normal");
}

TEST_CASE("Nodes without NVLink exchange by the library's sends", "[serving]") {
  const Override cards{"cluster", "{gpu: l40s, nodes: 4}"};
  const Deployment plan = plan_of({cards, {"precision.kv", "bf16"}});
  CHECK(plan.all_to_all == AllToAll::pairwise);
  CHECK(plan.chosen.at("communication.all_to_all") == "pairwise");
  CHECK(std::count(plan.notes.begin(), plan.notes.end(),
                   "communication.all_to_all auto: pairwise, as DeepEP's kernels need NVLink inside the nodes") == 1);
  CHECK(plan_of({cards, {"communication.all_to_all", "deepep_low_latency"}}).all_to_all ==
        AllToAll::deepep_low_latency);
}

TEST_CASE("The results say which all-reduce a size takes", "[serving]") {
  const auto taken = [](const char* tokens, std::vector<Override> more = {}) {
    more.push_back({"workload.tokens_per_gpu", tokens});
    return plan_deployment(load_scenario(std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/qwen3_235b_tp8.yaml", more))
        .chosen;
  };
  CHECK(taken("0.125").at("communication.all_reduce") == "one_shot");  // 8 KB
  CHECK(taken("1024").at("communication.all_reduce") == "nvls");       // 64 MiB
  CHECK(taken("1024", {{"communication.all_reduce", "ring"}}).count("communication.all_reduce") == 0);
}

TEST_CASE("An all-to-all that the cluster or the copies cannot do is refused", "[serving]") {
  CHECK(refusal_of({kOneSided}) ==
        "communication.all_to_all: got one_sided with 32 ranks, expected all ranks in one node (one NVLink domain); "
        "or deepep_low_latency, pairwise");
  CHECK(refusal_of({kHierarchical, kDefaultRails, kRack}) ==
        "communication.all_to_all: got hierarchical with 32 ranks in one node, expected several nodes; or pairwise");
  CHECK(refusal_of({kHierarchical}) ==
        "communication.rails: got forward with all_to_all hierarchical, expected pxn: NVLink first, then the "
        "receiver's rail");
  CHECK(refusal_of({kOneSided, kRack, {"communication.copies", "per_expert"}}) ==
        "communication.copies: got per_expert with all_to_all one_sided, expected auto, per_rank");
  CHECK(refusal_of({kPairwise, {"communication.copies", "per_node"}}) ==
        "communication.copies: got per_node with all_to_all pairwise, expected auto, per_expert, per_rank");
}

// Both move every expert's copy over the NICs once; pairwise waits for 24 messages instead of 3, and stages add NVLink.
TEST_CASE("A small batch gains from stages what messages cost, and DeepEP beats both", "[serving]") {
  const Seconds pairwise = dispatch_time({kPairwise}), hierarchical = dispatch_time({kHierarchical, kDefaultRails});
  CHECK(hierarchical < pairwise);
  CHECK(dispatch_time({}) < hierarchical);
}
