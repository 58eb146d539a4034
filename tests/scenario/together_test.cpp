#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("A layout that does not fit is refused at the key that has to change", "[scenario]") {
  // 8 GPUs; Mixtral has 32 heads and 8 experts
  CHECK(refusal(kSmall + "layout: {attention: {tp: 3}}\n") ==
        "s.yaml:4:26: layout.attention.tp: got 3, expected a divisor of the 8 ranks, since the other degree is not "
        "given; did you mean 2 or 4?");
  CHECK(
      refusal(kSmall + "layout: {experts: {ep: 5}}\n") ==
      "s.yaml:4:24: layout.experts.ep: got 5, expected a divisor of the 8 ranks, since the other degree is not given; "
      "did you mean 4 or 8?");
  CHECK(refusal(kSmall + "layout: {attention: {tp: 1, dp: 16}, experts: {ep: 16, tp: 1}}\n") ==
        "s.yaml: layout: got attention tp 1 x dp 16 = 16 ranks, expected at most 8: the cluster has 8 GPUs");
  CHECK(refusal(kSmall + "layout: {attention: {dp: 8}, experts: {ep: 4, tp: 1}}\n") ==
        "s.yaml:4:26: layout.attention.dp: got 8, expected a divisor of the 4 ranks, since the other degree is not "
        "given; did you mean 4?");
  CHECK(refusal(kSmall + "layout: {attention: {dp: 8}, pp: 2}\n") ==
        "s.yaml:4:26: layout.attention.dp: got 8, expected a divisor of the 4 ranks (8 GPUs / pp 2), since the other "
        "degree is not given; did you mean 4?");
}

TEST_CASE("A default that cannot be is called one, so that one knows which key to set", "[scenario]") {
  // 32 GPUs: the default is whole experts on all of them, and Mixtral has 8
  CHECK(refusal(kSmall, {{"cluster.nodes", "4"}}) ==
        "s.yaml: layout.experts.ep: got 32, the default (ranks / layout.experts.tp; all ranks for a MoE model, 1 for a "
        "dense one), expected a divisor of 8 experts + 0 redundant = 8 slots; did you mean 8?");
  CHECK(refusal(kSmall, {{"cluster.nodes", "4"}, {"layout.experts.ep", "8"}}) == "");
}

TEST_CASE("A dense model takes no routing and no placement", "[scenario]") {
  const std::string dense = "model: llama-3.1-8b\ncluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 64}\n";
  CHECK(refusal(dense) == "");
  CHECK(refusal(dense + "routing: {kind: zipf, exponent: 1}\n") ==
        "s.yaml:4:17: routing.kind: got zipf, expected no such key: llama-3.1-8b is dense, it has no experts; --set "
        "routing= takes the section out");
  CHECK(refusal(dense + "routing: {kind: zipf, exponent: 1}\n", {{"routing", ""}}) == "");
  CHECK(refusal(dense, {{"placement.policy", "eplb"}}) ==
        "--set placement.policy=eplb: got eplb, expected no such key: llama-3.1-8b is dense, it has no experts; --set "
        "placement= takes the section out");
}

TEST_CASE("Redundant experts need a policy that places them and must fill whole slots", "[scenario]") {
  CHECK(refusal(kSmall + "placement: {redundant: 8}\n") ==
        "s.yaml:4:24: placement.redundant: got 8, expected 0 with placement.policy linear (only eplb, eplb_global and "
        "eplb_hierarchical choose what to replicate)");
  CHECK(refusal(kSmall + "placement: {policy: eplb, redundant: 8}\n") == "");
  // 8 + 3 = 11 slots do not divide over 8 ranks
  CHECK(refusal(kSmall + "placement: {policy: eplb, redundant: 3}\n")
            .find(", expected a divisor of 8 experts + 3 redundant = 11 slots; did you mean 1 or 11?") !=
        std::string::npos);
}

TEST_CASE("Two nodes need a network", "[scenario]") {
  CHECK(refusal("model: mixtral-8x7b\ncluster: {gpu: h100-sxm, nodes: 2, fabric: {kind: single_node}}\n"
                "layout: {attention: {dp: 8}, experts: {ep: 8, tp: 1}}\nworkload: {tokens_per_gpu: 64}\n") ==
        "s.yaml:2:51: cluster.fabric.kind: got single_node with 2 nodes, expected a network between the nodes; did you "
        "mean rail-optimised?");
}

TEST_CASE("Sequences of an attention rank are whole", "[scenario]") {
  const std::string tp8 = "layout: {attention: {tp: 8}, experts: {ep: 1, tp: 8}}\n";
  CHECK(refusal(kSmall + tp8, {{"workload.tokens_per_gpu", "0.5"}}) == "");  // 4 sequences on the one TP group of 8
  CHECK(refusal(kSmall + tp8, {{"workload.tokens_per_gpu", "0.3"}}) ==
        "--set workload.tokens_per_gpu=0.3: got 0.3, expected whole tokens per attention-DP rank: 0.3 x attention tp 8 "
        "= 2.4");
}

TEST_CASE("A context longer than the model's, and more imbalance than ranks, are refused", "[scenario]") {
  CHECK(refusal(kSmall, {{"workload.context", "32768"}}) == "");
  CHECK(refusal(kSmall, {{"workload.context", "32769"}}) ==
        "--set workload.context=32769: got 32769, expected at most 32768, the longest context of mixtral-8x7b");
  CHECK(refusal(kSmall, {{"workload.dp_imbalance", "8.5"}}) ==
        "--set workload.dp_imbalance=8.5: got 8.5, expected at most 8, as one of 8 attention-DP ranks holds all tokens "
        "then");
}

TEST_CASE("A file that is not there is refused where it is named", "[scenario]") {
  const std::string file = refusal(kSmall + "routing: {kind: histogram, file: routing/none.csv}\n");
  CHECK(file.find("s.yaml:4:34: routing.file: got '") == 0);
  CHECK(file.find("scenarios/routing/none.csv', which does not exist, expected a file") != std::string::npos);
  const std::string folder = refusal(kSmall + "routing: {kind: histogram, file: routing}\n");
  CHECK(folder.find("scenarios/routing', which is no regular file, expected a file") != std::string::npos);
  const std::string model = refusal(kSmall, {{"model", "none/config.json"}});
  CHECK(model.find("--set model=none/config.json: got '") == 0);
}

TEST_CASE("More GPUs than any topology can hold are refused, not allocated", "[scenario]") {
  CHECK(refusal(kSmall, {{"cluster.nodes", "65536"}, {"cluster.gpus_per_node", "1024"}}) ==
        "--set cluster.nodes=65536: got 65536, expected at most 65536 GPUs in all");
}
