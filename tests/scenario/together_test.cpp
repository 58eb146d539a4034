#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("A layout that does not fit is refused at the key that has to change", "[scenario]") {
  // 8 GPUs; Mixtral has 32 heads and 8 experts
  CHECK(refusal(kSmall + "layout: {attention: {tp: 3}}\n") ==
        "s.yaml:4:26: layout.attention.tp: got 3, expected a divisor of the 8 ranks, since the other degree is not "
        "given");
  CHECK(
      refusal(kSmall + "layout: {experts: {ep: 5}}\n") ==
      "s.yaml:4:24: layout.experts.ep: got 5, expected a divisor of the 8 ranks, since the other degree is not given");
  CHECK(refusal(kSmall + "layout: {attention: {tp: 1, dp: 16}, experts: {ep: 16, tp: 1}}\n") ==
        "s.yaml: layout: got attention tp 1 x dp 16 = 16 ranks, expected at most 8: the cluster has 8 GPUs");
  CHECK(refusal(kSmall + "layout: {attention: {dp: 8}, experts: {ep: 4, tp: 1}}\n") ==
        "s.yaml:4:26: layout.attention.dp: got 8, expected a divisor of the 4 ranks, since the other degree is not "
        "given");
}

TEST_CASE("Redundant experts need a policy that places them and must fill whole slots", "[scenario]") {
  CHECK(refusal(kSmall + "placement: {redundant: 8}\n") ==
        "s.yaml:4:24: placement.redundant: got 8, expected 0 with placement.policy linear (only eplb, eplb_global and "
        "eplb_hierarchical choose what to replicate)");
  CHECK(refusal(kSmall + "placement: {policy: eplb, redundant: 8}\n") == "");
  // 8 + 3 = 11 slots do not divide over 8 ranks
  CHECK(refusal(kSmall + "placement: {policy: eplb, redundant: 3}\n")
            .find("got 8, expected a divisor of 8 experts + 3") != std::string::npos);
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
