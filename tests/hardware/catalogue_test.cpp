#include <algorithm>

#include "models/hardware/catalogue_json.hpp"
#include "models/hardware/gpu.hpp"
#include "models/hardware/network_parts.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

std::string entry(const std::string& name) {
  return read_text_file(resource_folder(Resource::catalogue) / (name + ".json"));
}

/// The H100's entry with one piece of text exchanged.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = entry("h100-sxm");
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("An H100 has the figures of its data sheet", "[hardware]") {
  const Gpu gpu = find_gpu("h100-sxm", "cluster.gpu");
  CHECK(gpu.name == "h100-sxm");
  CHECK(gpu.memory.value() == 85899345920.0);  // 80 GiB
  CHECK(gpu.memory_bandwidth.value() == 3.35e12);
  CHECK(gpu.bf16.value() == 989.5e12);  // 1979 with sparsity
  CHECK(gpu.fp8.value() == 1979e12);
  CHECK(gpu.sms == 132);
  CHECK(gpu.nvlink.value() == 450e9);
  CHECK(gpu.nic.value() == 50e9);  // 400 Gb/s
  CHECK(gpu.kernel_launch.value() == 3e-6);
}

TEST_CASE("GPUs differ where their data sheets do", "[hardware]") {
  CHECK(find_gpu("a100-sxm", "t").fp8.value() == 0);  // no fp8 units
  CHECK(find_gpu("a100-sxm", "t").nvlink.value() == 300e9);
  CHECK(find_gpu("h200-sxm", "t").memory.value() == 141e9);  // decimal
  CHECK(find_gpu("h200-sxm", "t").memory_bandwidth.value() == 4.8e12);
  CHECK(find_gpu("h800-sxm", "t").nvlink.value() == 200e9);
  CHECK(find_gpu("b200-sxm", "t").nvlink.value() == 900e9);
}

TEST_CASE("GPUs without an NVSwitch say how their nodes are joined", "[hardware]") {
  const Gpu card = find_gpu("l40s", "t");
  CHECK(card.links == NodeLinks::pcie);
  CHECK(card.nvlink.value() == 0);
  CHECK(card.pcie.value() == 32e9);                                             // Gen4 x16
  CHECK(card.all_reduce.pcie_efficiency == card.all_reduce.nvlink_efficiency);  // its only links
  CHECK(find_gpu("a100-pcie", "t").fp8.value() == 0);
  const Gpu mesh = find_gpu("mi300x", "t");
  CHECK(mesh.links == NodeLinks::mesh);
  CHECK(mesh.nvlink.value() == 7 * 64e9);  // to each of 7 neighbours
  const Gpu rack = find_gpu("gb200-nvl72", "t");
  CHECK(rack.links == NodeLinks::nvswitch);
  CHECK(rack.gpus_per_node == 72);  // one NVLink domain
  CHECK(rack.rails == 4);           // GPUs of a tray
  CHECK(find_gpu("gb300-nvl72", "t").nic.value() == 100e9);
  CHECK(find_gpu("h20-sxm", "t").bf16.value() == 148e12);
  CHECK(find_gpu("h100-sxm", "t").all_reduce.pcie_efficiency == kPcieEfficiency);
}

TEST_CASE("A GPU with NVLinks of no bandwidth is refused unless it has PCIe only", "[hardware]") {
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"450 GB/s\"", "\"0 GB/s\""), "mine.json"),
                      "mine.json: nvlink: got 0 B/s, expected more than zero");
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"nvswitch\"", "\"ring\""), "mine.json"),
                      "mine.json: links.value: got ring, expected nvswitch, mesh or pcie");
}

TEST_CASE("Two-sided and one-sided kernels state other figures than the rest", "[hardware]") {
  REQUIRE_THROWS_WITH(
      parse_gpu(changed("\"latency_per_peer\": \"5.8 us\"", "\"latency_per_peer\": \"5.8 GB/s\""), "mine.json"),
      Catch::Matchers::Contains("mine.json: collectives.all_to_all.latency_per_peer: got"));
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"latency\": \"17.2 us\"", "\"latency_intra\": \"17.2 us\""), "mine.json"),
                      Catch::Matchers::Contains("mine.json: collectives.dispatch_one_sided"));
  const Gpu rack = find_gpu("gb200-nvl72", "t");
  CHECK(rack.dispatch_one_sided.nvlink_efficiency == 0.61);
  CHECK(rack.all_to_all.latency_per_peer.value() == Approx(5.8e-6));
  CHECK(rack.dispatch.latency_per_peer.value() == 0);
}

TEST_CASE("Every GPU names a source for every figure and a class for every collective", "[hardware]") {
  for (const std::string& name : gpu_names()) {
    INFO(name);
    const Gpu gpu = find_gpu(name, "test");
    CHECK(gpu.sources.size() == 24);  // 15 figures, 9 collectives
    for (const CollectiveParameters* parameters :
         {&gpu.dispatch, &gpu.combine, &gpu.dispatch_normal, &gpu.combine_normal, &gpu.dispatch_one_sided,
          &gpu.combine_one_sided, &gpu.all_to_all, &gpu.all_reduce, &gpu.all_gather}) {
      const std::string provenance = parameters->source.substr(0, parameters->source.find_first_of(": "));
      CHECK((provenance == "published" || provenance == "transferred" || provenance == "assumption"));
      CHECK(parameters->latency_intra <= parameters->latency_inter);
      CHECK(parameters->latency_intra.value() > 1e-6);
    }
  }
  CHECK(gpu_names() == std::vector<std::string>{"a100-pcie", "a100-sxm", "b200-sxm", "gb200-nvl72", "gb300-nvl72",
                                                "h100-sxm", "h20-sxm", "h200-sxm", "h800-sxm", "l40s", "mi300x",
                                                "rtx-4090"});
}

TEST_CASE("An unknown GPU is refused with the nearest name", "[hardware]") {
  REQUIRE_THROWS_WITH(find_gpu("h100-sx", "a.yaml:4:16: cluster.gpu"),
                      "a.yaml:4:16: cluster.gpu: got 'h100-sx', expected a GPU of the catalogue: a100-pcie, a100-sxm, "
                      "b200-sxm, gb200-nvl72, gb300-nvl72, h100-sxm, h20-sxm, h200-sxm, h800-sxm, l40s, mi300x, "
                      "rtx-4090; did you mean h100-sxm?");
  REQUIRE_THROWS_WITH(find_gpu("b200", "cluster.gpu"), Catch::Matchers::Contains("; did you mean b200-sxm?"));
  REQUIRE_THROWS_AS(find_gpu("../h100-sxm", "cluster.gpu"), InputError);
}

TEST_CASE("A key is twice only within one object, however it is spelled", "[hardware]") {
  const auto repeated = [](const std::string& text) {
    try {
      parse_catalogue_json(text, "t.json");
      return std::string{};
    } catch (const InputError& error) {
      return std::string{error.what()};
    }
  };
  CHECK(repeated(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": "{"}, {"b": "\"a\": }"}], "c": "a"})").empty());
  CHECK(repeated(R"([{"b": 0, "a": {"b": {}}, "b" : 1}])") == "t.json: got key \"b\" twice, expected each key once");
  CHECK(repeated(R"({"ab": 0, "a\u0062": 1})") == "t.json: got key \"ab\" twice, expected each key once");
}

TEST_CASE("A catalogue entry that is not whole is refused by its key", "[hardware]") {
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"memory\":", "\"memry\":"), "mine.json"),
                      Catch::Matchers::Contains("mine.json: got unknown key 'memry', expected one of name, memory") &&
                          Catch::Matchers::Contains("did you mean memory?"));
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"value\": \"80 GiB\",", "\"value\": \"80 GiB\", \"note\": 1,"), "mine.json"),
                      "mine.json: memory: got unknown key 'note', expected one of value, source");
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"value\": 132,", "\"value\": 132, \"value\": 133,"), "mine.json"),
                      "mine.json: got key \"value\" twice, expected each key once");
  REQUIRE_THROWS_WITH(parse_gpu("[1]", "mine.json"),
                      Catch::Matchers::Contains("mine.json: got [1], expected an object"));
  REQUIRE_THROWS_WITH(parse_gpu("{\"name\": ", "mine.json"),
                      "mine.json:1:10: got the end of the file, expected a value");
}

TEST_CASE("A figure without a source is refused", "[hardware]") {
  std::string text = entry("h100-sxm");
  const std::size_t begin = text.find("\"source\""), end = text.find('\n', begin);
  text.replace(begin, end - begin, "\"source\": \"\"");
  REQUIRE_THROWS_WITH(parse_gpu(text, "mine.json"),
                      "mine.json: memory.source: got \"\", expected a text that is not empty");
  const std::size_t comma = text.rfind(',', begin);
  text.erase(comma, text.find('}', comma) - comma);
  REQUIRE_THROWS_WITH(parse_gpu(text, "mine.json"),
                      "mine.json: memory: got no key 'source', expected it; every key is required");
}

TEST_CASE("A figure in the wrong unit or out of range is refused", "[hardware]") {
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"80 GiB\"", "\"80\""), "mine.json"),
                      "mine.json: memory.value: got the bare number 80, expected a unit, as '80 GiB'");
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"80 GiB\"", "80"), "mine.json"),
                      "mine.json: memory.value: got 80, expected a text that is not empty");
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"80 GiB\"", "\"0 GiB\""), "mine.json"),
                      Catch::Matchers::Contains("expected more than zero"));
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"nvlink_efficiency\": 0.55", "\"nvlink_efficiency\": 55"), "mine.json"),
                      "mine.json: collectives.dispatch.nvlink_efficiency: got 55, expected a number from 0.01 to 1");
  REQUIRE_THROWS_WITH(parse_gpu(changed("\"value\": 132", "\"value\": 132.5"), "mine.json"),
                      "mine.json: sms.value: got 132.5, expected a count of at least 1");
}

TEST_CASE("NICs and switches are found by name", "[hardware]") {
  CHECK(find_nic("connectx-7-400g", "t").bandwidth.value() == 50e9);
  const SwitchPart leaf = find_switch("qm9700", "t");
  CHECK(leaf.ports == 64);
  CHECK(leaf.port.value() == 50e9);
  CHECK(find_switch("qm8700", "t").ports == 40);
  for (const NicPart& nic : nic_parts()) CHECK(!nic.source.empty());
  for (const SwitchPart& part : switch_parts()) CHECK(!part.source.empty());
  REQUIRE_THROWS_WITH(find_switch("qm970", "cluster.fabric.switch"),
                      "cluster.fabric.switch: got 'qm970', expected a switch of the catalogue: qm8700, qm9700, q3400, "
                      "sn5600; did you mean qm9700?");
  REQUIRE_THROWS_WITH(find_nic("x", "cluster.fabric.nic"),
                      "cluster.fabric.nic: got 'x', expected a NIC of the catalogue: connectx-6-200g, "
                      "connectx-7-200g, connectx-7-400g, bluefield-3-400g, thor2-400g, connectx-8-800g");
}
