#include <algorithm>

#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

std::string origin_of(const Scenario& scenario, const std::string& path) {
  const auto at = std::find_if(scenario.resolved.begin(), scenario.resolved.end(),
                               [&](const ResolvedValue& item) { return item.path == path; });
  return at == scenario.resolved.end() ? "missing" : at->origin;
}

const std::string kFourNodes = "cluster: {gpu: h100-sxm, nodes: 4}\nworkload: {tokens_per_gpu: 64}\n";

}  // namespace

TEST_CASE("Left out, a MoE model's layout is attention DP and EP over all GPUs", "[scenario]") {
  const Scenario scenario = parse("model: deepseek-v3\n" + kFourNodes);
  CHECK(scenario.layout.attention_tp == 1);
  CHECK(scenario.layout.attention_dp == 32);  // 4 nodes x 8
  CHECK(scenario.layout.expert_ep == 32);
  CHECK(scenario.layout.expert_tp == 1);
  CHECK(scenario.layout.pp == 1);
}

TEST_CASE("Left out, a dense model's layout is TP over all GPUs", "[scenario]") {
  const Scenario scenario = parse("model: llama-3.1-70b\ncluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 64}\n");
  CHECK(scenario.layout.attention_tp == 8);
  CHECK(scenario.layout.attention_dp == 1);
  CHECK(scenario.layout.expert_ep == 1);
  CHECK(scenario.layout.expert_tp == 8);
}

TEST_CASE("Of a pair of degrees one follows from the other", "[scenario]") {
  const LayoutSpec tensor = parse(kSmall + "layout: {attention: {tp: 8}, experts: {tp: 8}}\n").layout;
  CHECK(tensor.attention_dp == 1);
  CHECK(tensor.expert_ep == 1);
  const LayoutSpec half = parse(kSmall + "layout: {attention: {dp: 4, tp: 1}}\n").layout;  // 4 of the 8 GPUs
  CHECK(half.expert_ep == 4);
  CHECK(half.expert_tp == 1);
}

TEST_CASE("Weights default to the checkpoint's format, and dispatch follows the experts", "[scenario]") {
  const Scenario v3 = parse("model: deepseek-v3\n" + kFourNodes);
  CHECK(v3.precision.weights == NumberFormat::fp8_block);
  CHECK(v3.precision.experts == NumberFormat::fp8_block);
  CHECK(v3.precision.dispatch == NumberFormat::fp8_block);
  CHECK(v3.precision.combine == NumberFormat::bf16);
  CHECK(v3.precision.kv == NumberFormat::bf16);
  CHECK(v3.precision.embedding == NumberFormat::bf16);
  CHECK(origin_of(v3, "precision.weights") == "checkpoint");
  const Scenario mixtral = parse(kSmall);
  CHECK(mixtral.precision.weights == NumberFormat::bf16);
  CHECK(mixtral.precision.dispatch == NumberFormat::bf16);
  const Scenario bf16 = parse("model: deepseek-v3\nprecision: {experts: bf16}\n" + kFourNodes);
  CHECK(bf16.precision.weights == NumberFormat::fp8_block);
  CHECK(bf16.precision.dispatch == NumberFormat::bf16);
}

TEST_CASE("fp8 is short for block scales where blocks exist, and per tensor for the KV cache", "[scenario]") {
  const Scenario scenario =
      parse(kSmall + "precision: {weights: fp8, experts: fp8_per_tensor, kv: fp8, dispatch: fp8, combine: fp8}\n");
  CHECK(scenario.precision.weights == NumberFormat::fp8_block);
  CHECK(scenario.precision.experts == NumberFormat::fp8);
  CHECK(scenario.precision.kv == NumberFormat::fp8);
  CHECK(scenario.precision.dispatch == NumberFormat::fp8_block);
  CHECK(scenario.precision.combine == NumberFormat::fp8_block);
}

TEST_CASE("The cluster's defaults come from the GPU's catalogue entry", "[scenario]") {
  const Scenario one = parse(kSmall);
  const Gpu gpu = find_gpu("h100-sxm", "test");
  CHECK(one.cluster.gpus_per_node == gpu.gpus_per_node);
  CHECK(one.cluster.fabric.nic == gpu.nic);
  CHECK(one.cluster.price_usd_per_gpu_hour == gpu.price_usd_per_hour);
  CHECK(one.cluster.fabric.kind == FabricKind::single_node);
  CHECK(origin_of(one, "cluster.fabric.nic") == "catalogue");
  CHECK(parse("model: deepseek-v3\n" + kFourNodes).cluster.fabric.kind == FabricKind::rail_optimised);
}

TEST_CASE("Every value of a full scenario arrives", "[scenario]") {
  const Scenario s = parse(R"(question: "Does it: arrive?"
model: deepseek-v3
precision: {weights: int8, experts: int4_group128, kv: int8, dispatch: bf16, combine: fp8_block, embedding: fp8}
cluster:
  gpu: h100-sxm
  nodes: 2
  gpus_per_node: 4
  price: 2.25 USD/h
  fabric: {kind: rail-optimised, nic: 200 Gb/s, oversubscription: 2, switch_ports: 32}
layout: {attention: {tp: 1, dp: 8}, experts: {ep: 8, tp: 1}, pp: 1}
placement: {policy: eplb_global, redundant: 16}
routing: {kind: dirichlet, concentration: 0.5, sampler: token}
workload: {kind: batch, phase: prefill, tokens_per_gpu: 2048, context: 1024, steps: 7, dp_imbalance: 1.5}
communication: {all_to_all: deepep_normal, copies: per_node, all_reduce: ring, rails: pxn, spread: spray,
                replicas: static_nearest, dp_padding: max}
overlap: {shared_experts: false, two_batch: false}
kernels: {profile: roofline, engine: auto, fallback: roofline}
memory_fraction: 0.85
slo: {ttft: 2 s, tpot: 50 ms}
seed: 42
)");
  CHECK(s.name == "s");
  CHECK(s.question == "Does it: arrive?");
  CHECK(s.precision.experts == NumberFormat::int4_group128);
  CHECK(s.precision.embedding == NumberFormat::fp8);
  CHECK(s.cluster.gpus() == 8);
  CHECK(s.cluster.price_usd_per_gpu_hour == 2.25);
  CHECK(s.cluster.fabric.nic.value() == 25e9);  // 200e9 bits / 8
  CHECK(s.cluster.fabric.oversubscription == 2);
  CHECK(s.cluster.fabric.switch_ports == 32);
  CHECK(s.cluster.rails == RailPolicy::pxn);
  CHECK(s.cluster.spread == SpreadPolicy::spray);
  CHECK(s.placement.policy == PlacementPolicy::eplb_global);
  CHECK(s.placement.redundant == 16);
  CHECK(s.routing.kind == RoutingKind::dirichlet);
  CHECK(s.routing.concentration == 0.5);
  CHECK(s.routing.sampler == Sampler::token);
  CHECK(s.workload.phase == Phase::prefill);
  CHECK(s.workload.tokens_per_gpu == 2048);
  CHECK(s.workload.context == 1024);
  CHECK(s.workload.steps == 7);
  CHECK(s.workload.dp_imbalance == 1.5);
  CHECK(s.communication.all_to_all == AllToAll::deepep_normal);
  CHECK(s.communication.copies == CopyRule::per_node);
  CHECK(s.communication.all_reduce == AllReduceAlgorithm::ring);
  CHECK(s.communication.replicas == ReplicaChoice::static_nearest);
  CHECK(s.communication.dp_padding == DpPadding::max);
  CHECK_FALSE(s.overlap_shared_experts);
  CHECK(s.memory_fraction == 0.85);
  CHECK(s.slo.ttft->value() == 2);
  CHECK(s.slo.tpot->value() == 0.05);
  CHECK(s.seed == 42);
  CHECK_FALSE(parse(kSmall).communication.copies.has_value());
  CHECK_FALSE(parse(kSmall).slo.ttft.has_value());
}
