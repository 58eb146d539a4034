#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("The smallest scenario has three keys", "[scenario]") {
  CHECK(refusal(kSmall) == "");
  CHECK(refusal("cluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 64}\n") ==
        "s.yaml: model: got nothing, expected a model's name, or a path to a config.json: this key is required");
  CHECK(refusal("model: mixtral-8x7b\nworkload: {tokens_per_gpu: 64}\n") ==
        "s.yaml: cluster.gpu: got nothing, expected text: this key is required");
  CHECK(refusal("model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\n") ==
        "s.yaml: workload.tokens_per_gpu: got nothing, expected a number above 0 and at most 10000000: "
        "this key is required");
}

TEST_CASE("An unknown key is refused with its place and the nearest key", "[scenario]") {
  CHECK(refusal(kSmall + "precison: {kv: bf16}\n") ==
        "s.yaml:4:1: got the unknown key 'precison', expected one of question, model, precision, offload, "
        "quality_penalty, extra_ops, "
        "cluster, layout, "
        "placement, routing, workload, communication, overlap, kernels, memory_fraction, slo, seed; did you mean "
        "precision?");
  CHECK(refusal(kSmall + "layout:\n  atention: {tp: 8}\n") ==
        "s.yaml:5:3: layout: got the unknown key 'atention', expected one of attention, experts, pp, "
        "microbatches, stage_layers; did you mean "
        "attention?");
  CHECK(refusal(kSmall + "layout: {ep: 8}\n") ==
        "s.yaml:4:10: layout: got the unknown key 'ep', expected one of attention, experts, pp, "
        "microbatches, stage_layers; did you mean "
        "layout.experts.ep?");
  CHECK(refusal(kSmall + "layout.pp: 1\n").find("s.yaml:4:1: got the unknown key 'layout.pp'") == 0);
}

TEST_CASE("A model and a GPU that nobody knows are refused with the nearest name", "[scenario]") {
  CHECK(refusal("model: mixtral-8x7\ncluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 64}\n") ==
        "s.yaml:1:8: model: got \"mixtral-8x7\", expected a name of `moesim list models`, or a path to a config.json; "
        "did you mean mixtral-8x7b?");
  const std::string gpu = refusal("model: mixtral-8x7b\ncluster: {gpu: h100-smx}\nworkload: {tokens_per_gpu: 64}\n");
  CHECK(gpu.find("s.yaml:2:16: cluster.gpu: got ") == 0);
  CHECK(gpu.find("; did you mean h100-sxm?") != std::string::npos);
}

TEST_CASE("A bare number for a value with a dimension is refused with the fix", "[scenario]") {
  CHECK(
      refusal("model: mixtral-8x7b\ncluster: {gpu: h100-sxm, fabric: {nic: 400}}\nworkload: {tokens_per_gpu: 64}\n") ==
      "s.yaml:2:40: cluster.fabric.nic: got the bare number 400, expected a unit: write 400 Gb/s");
  CHECK(refusal(kSmall + "slo: {tpot: 50}\n") ==
        "s.yaml:4:13: slo.tpot: got the bare number 50, expected a unit: write 50 ms");
  CHECK(refusal(kSmall, {{"workload.host_time", "61 s"}}) ==
        "--set workload.host_time=61 s: got the text '61 s', expected a time of at most 60 s, as '2 ms'");
  CHECK(refusal(kSmall, {{"workload.host_time", "0 ms"}}).empty());
  CHECK(refusal(kSmall, {{"cluster.price", "2.5"}}) ==
        "--set cluster.price=2.5: got the bare number 2.5, expected a unit: write 2.5 USD/h");
}

TEST_CASE("A bandwidth lies between what a cable can be, wherever it is written", "[scenario]") {
  const std::string range = ", expected a bandwidth from 1 Mb/s to 100 TB/s, as '400 Gb/s'";
  for (const std::string nic : {"1e300 Gb/s", "1e-300 Gb/s", "0 Gb/s", "0.9 Mb/s", "101 TB/s"}) {
    CHECK(refusal(kSmall, {{"cluster.fabric.nic", nic}}) ==
          "--set cluster.fabric.nic=" + nic + ": got the text '" + nic + "'" + range);
    CHECK(refusal("model: mixtral-8x7b\ncluster: {gpu: h100-sxm, nodes: [{count: 1, nic: " + nic +
                  "}]}\nworkload: {tokens_per_gpu: 64}\n") ==
          "s.yaml:2:50: cluster.nodes.nic: got the text '" + nic + "'" + range);
  }
  for (const std::string nic : {"1 Mb/s", "100 TB/s"}) CHECK(refusal(kSmall, {{"cluster.fabric.nic", nic}}) == "");
  CHECK(
      refusal(kSmall, {{"cluster.links", "[{name: n0g1 -> nvswitch0, factor: 1e-300}]"}}) ==
      "--set cluster.links=[{name: n0g1 -> nvswitch0, factor: 1e-300}]: got 1e-300, expected a number from 1e-06 to 1");
}

TEST_CASE("A name in capitals is refused with the name", "[scenario]") {
  CHECK(refusal(kSmall, {{"cluster.gpu", "H100"}}).find("; did you mean h100-sxm?") != std::string::npos);
  CHECK(refusal(kSmall, {{"precision.weights", "FP8"}}).find("; did you mean fp8?") != std::string::npos);
  CHECK(refusal(kSmall, {{"model", "Mixtral-8x7B"}}).find("; did you mean mixtral-8x7b?") != std::string::npos);
  CHECK(refusal(kSmall, {{"Workload.Steps", "5"}}).find("; did you mean workload.steps?") != std::string::npos);
}

TEST_CASE("A wrong unit is refused", "[scenario]") {
  CHECK(refusal(kSmall, {{"cluster.fabric.nic", "400 Gb"}}).find("--set cluster.fabric.nic=400 Gb: got unit 'Gb'") ==
        0);
  CHECK(refusal(kSmall + "slo: {ttft: 2 GB}\n").find("s.yaml:4:13: slo.ttft: got unit 'GB'") == 0);
  CHECK(refusal(kSmall, {{"cluster.price", "2.5 EUR/h"}}) ==
        "--set cluster.price=2.5 EUR/h: got the text '2.5 EUR/h', expected a price, as '2.5 USD/h'");
  CHECK(refusal(kSmall, {{"slo.ttft", "0 s"}}) ==
        "--set slo.ttft=0 s: got the text '0 s', expected a time above 0, as '50 ms'");
}

TEST_CASE("A value of the wrong type is refused", "[scenario]") {
  const auto steps = [](const std::string& value) { return refusal(kSmall + "layout: {pp: " + value + "}\n"); };
  const std::string expected = ", expected an integer from 1 to 65536";
  CHECK(steps("many") == "s.yaml:4:14: layout.pp: got the text 'many'" + expected);
  CHECK(steps("\"1\"") == "s.yaml:4:14: layout.pp: got the text '1'" + expected);
  CHECK(steps("1.0") == "s.yaml:4:14: layout.pp: got 1.0" + expected);
  CHECK(steps("010") == "s.yaml:4:14: layout.pp: got 010" + expected);
  CHECK(steps("-1") == "s.yaml:4:14: layout.pp: got -1" + expected);
  CHECK(steps("0") == "s.yaml:4:14: layout.pp: got 0" + expected);
  CHECK(steps("99999999999999999999") == "s.yaml:4:14: layout.pp: got 99999999999999999999" + expected);
  CHECK(steps("[1]") == "s.yaml:4:14: layout.pp: got a list" + expected);
  CHECK(steps("{}") == "s.yaml:4:14: layout.pp: got a map" + expected);
  CHECK(steps("~") == "s.yaml:4:14: layout.pp: got nothing" + expected);
  CHECK(refusal(kSmall + "layout: 8\n") ==
        "s.yaml:4:9: layout: got 8, expected a map with keys of attention, experts, pp, microbatches, stage_layers");
  CHECK(refusal(kSmall + "slo: [1]\n") == "s.yaml:4:6: slo: got a list, expected a map with keys of ttft, tpot");
  CHECK(refusal(kSmall + "question: 5\n") == "s.yaml:4:11: question: got 5, expected text");
}

TEST_CASE("Numbers that are not finite, or out of range, are refused", "[scenario]") {
  const auto fraction = [](const std::string& value) { return refusal(kSmall + "memory_fraction: " + value + "\n"); };
  const std::string expected = ", expected a number above 0 and at most 1";
  CHECK(fraction("nan") == "s.yaml:4:18: memory_fraction: got nan, expected a finite number");
  CHECK(fraction("inf") == "s.yaml:4:18: memory_fraction: got inf, expected a finite number");
  CHECK(fraction(".nan") == "s.yaml:4:18: memory_fraction: got the text '.nan'" + expected);
  CHECK(fraction("1e999") == "s.yaml:4:18: memory_fraction: got the text '1e999'" + expected);
  CHECK(fraction("-0.5") == "s.yaml:4:18: memory_fraction: got -0.5" + expected);
  CHECK(fraction("0") == "s.yaml:4:18: memory_fraction: got 0" + expected);
  CHECK(fraction("1.01") == "s.yaml:4:18: memory_fraction: got 1.01" + expected);
  CHECK(fraction("1") == "");
  CHECK(refusal(kSmall, {{"seed", "9007199254740991"}}) == "");  // 2^53 - 1
  CHECK(refusal(kSmall, {{"seed", "9007199254740993"}}) ==
        "--set seed=9007199254740993: got 9007199254740993, expected an integer from 0 to 9007199254740991");
}

TEST_CASE("Only true and false are booleans", "[scenario]") {
  const auto shared = [](const std::string& value) {
    return refusal(kSmall + "overlap: {shared_experts: " + value + "}\n");
  };
  const std::string got = "s.yaml:4:27: overlap.shared_experts: got the text ";
  CHECK(shared("true") == "");
  CHECK(shared("yes") == got + "'yes', expected true or false; did you mean true?");
  CHECK(shared("off") == got + "'off', expected true or false; did you mean false?");
  CHECK(shared("\"true\"") == got + "'true', expected true or false; did you mean true?");
  CHECK(shared("1") == "s.yaml:4:27: overlap.shared_experts: got 1, expected true or false");
}

TEST_CASE("A name outside a closed set is refused with the modelled names and the nearest", "[scenario]") {
  CHECK(refusal(kSmall + "communication: {rails: forwards}\n") ==
        "s.yaml:4:24: communication.rails: got the text 'forwards', expected one of forward, pxn, spine; did you mean "
        "forward?");
  CHECK(refusal(kSmall + "precision: {kv: 8}\n") ==
        "s.yaml:4:17: precision.kv: got 8, expected one of bf16, fp8, int8, fp16, mxfp8, nvfp4");
}

TEST_CASE("A key that belongs to another kind is refused, a needed one is asked for", "[scenario]") {
  CHECK(refusal(kSmall + "routing: {exponent: 0.6}\n") ==
        "s.yaml:4:21: routing.exponent: got 0.6, expected no such key with routing.kind uniform (only with zipf, "
        "markov)");
  CHECK(refusal(kSmall + "routing: {kind: zipf}\n") ==
        "s.yaml: routing.exponent: got nothing, expected a number from 0 to 10: routing.kind zipf needs it");
  CHECK(refusal(kSmall + "routing: {kind: histogram}\n") ==
        "s.yaml: routing.file: got nothing, expected the path of a file: routing.kind histogram needs it");
  CHECK(refusal(kSmall + "placement: {policy: file}\n") ==
        "s.yaml: placement.file: got nothing, expected the path of a file: placement.policy file needs it");
  CHECK(
      refusal(kSmall + "routing: {kind: zipf, exponent: 0.6}\n", {{"routing.kind", "uniform"}}) ==
      "s.yaml:4:33: routing.exponent: got 0.6, expected no such key with routing.kind uniform (only with zipf, markov; "
      "--set routing.exponent= takes it out)");
}
