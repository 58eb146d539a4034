// `moesim topo` and what its cluster may be.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
namespace fs = std::filesystem;

namespace {

std::string text_of(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

CommandResult topo(std::vector<std::string> more) {
  more.insert(more.begin(), {"topo", "--gpu", "h100-sxm", "--nodes", "2"});
  return run_command(more);
}

nlohmann::json topo_json(const std::string& file) {
  const CommandResult result = run_command({"topo", file, "--json"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto document = nlohmann::json::parse(result.out);
  CHECK(schema_violations(document, "topo") == "");
  return document;
}

}  // namespace

TEST_CASE("A drawing replaces a file only when asked to", "[cli]") {
  const TemporaryFolder scratch;
  const std::string svg = scratch.path("a.svg"), dot = scratch.write("keep.dot", "mine");
  REQUIRE(topo({"--svg", svg}).exit == 0);
  CHECK_THAT(text_of(svg), StartsWith("<svg"));
  for (const char* option : {"--svg", "--dot"}) {
    const CommandResult refused = topo({option, dot});
    CHECK(refused.exit == 2);
    CHECK(refused.out.empty());
    CHECK(refused.err == "moesim: " + std::string{option} + ": got '" + dot +
                             "', which exists, expected a new file, or --force to replace it\n");
    CHECK(text_of(dot) == "mine");
  }
  CHECK(topo({"--dot", dot, "--force"}).exit == 0);
  CHECK_THAT(text_of(dot), StartsWith("graph topology {"));
}

TEST_CASE("A drawing goes through a link and not over it", "[cli]") {
  const TemporaryFolder scratch;
  fs::create_symlink("real.svg", scratch.path("link.svg"));
  REQUIRE(topo({"--svg", scratch.path("link.svg")}).exit == 0);
  CHECK(fs::is_symlink(scratch.path("link.svg")));
  CHECK_THAT(text_of(scratch.path("real.svg")), StartsWith("<svg"));
}

TEST_CASE("Notes come after the cluster, whose first line stays whole", "[cli]") {
  const TemporaryFolder scratch;
  const std::string xml =
      scratch.write("node.xml",
                    "<system version=\"1\"><cpu numaid=\"0\"><pci busid=\"0000:01:00.0\" class=\"0x060400\">"
                    "<pci busid=\"0000:02:00.0\" class=\"0x030200\"><gpu dev=\"0\"/></pci>"
                    "<pci busid=\"0000:03:00.0\" class=\"0x030200\"><gpu dev=\"1\"/></pci>"
                    "<pci busid=\"0000:04:00.0\" class=\"0x020700\"><nic><net name=\"mlx5_0\" dev=\"0\" "
                    "speed=\"400000\" port=\"1\"/></nic></pci>"
                    "</pci></cpu></system>\n");
  const CommandResult result = run_command({"topo", xml, "--gpu", "h100-sxm", "--nodes", "2", "--node-links", "pcie"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  CHECK_THAT(result.out, StartsWith("4 x h100-sxm (2 nodes x 2) · rails forward · spread ecmp\n"));
  CHECK(result.out.find("\nnote: ") > result.out.find("\nroutes\n"));
  CHECK(result.out.find("\nnote: ") != std::string::npos);
}

TEST_CASE("Nodes of several kinds have several ways out and their NICs", "[cli]") {
  const TemporaryFolder scratch;
  const std::string mixed = scratch.write(
      "mixed.yaml", "cluster: {gpu: h100-sxm, nodes: [{count: 3}, {count: 1, nics_per_node: 4, nic: 200 Gb/s}]}\n");
  const CommandResult result = run_command({"topo", mixed});
  // the fourth node: 4 NICs of 200 Gb/s are 100 GB/s
  CHECK_THAT(result.out, Contains("\nout of a node 100 GB/s to ") && Contains(" GB/s, by its kind\n"));
  const auto document = topo_json(mixed);
  CHECK(document["node_kinds"][0]["nics"] == 8);
  CHECK(document["node_kinds"][1]["nics"] == 4);
  CHECK(document["node_kinds"][0]["cut_bytes_per_s"] > document["node_kinds"][1]["cut_bytes_per_s"]);
  CHECK(document["node_kinds"][1]["cut_bytes_per_s"] == 100e9);
  CHECK(document["node_cut_bytes_per_s"] == 100e9);
  CHECK_THAT(topo({}).out, Contains("\nout of a node 400 GB/s\n"));
}

TEST_CASE("A NIC goes by its bandwidth or by a name that list shows", "[cli]") {
  CHECK_THAT(topo({"--nic", "connectx-8-800g"}).out, Contains("NIC 100 GB/s"));
  const CommandResult unknown = topo({"--nic", "cx8"});
  CHECK(unknown.exit == 2);
  CHECK(unknown.err.rfind("moesim: --nic: got 'cx8', expected a bandwidth, as '400 Gb/s', or a NIC of the catalogue: "
                          "connectx-6-200g, ",
                          0) == 0);
  CHECK_THAT(topo({"--nic", "connectx-8"}).err, Contains("; did you mean connectx-8-800g?"));
  CHECK_THAT(topo({"--switch", "QM9700"}).err, Contains("; did you mean qm9700?"));
  CHECK_THAT(run_command({"list", "nics"}).out, Contains("connectx-7-400g      50 GB/s (400 Gb/s)\n"));
  CHECK_THAT(run_command({"list", "switches"}).out, Contains("qm9700               64 ports of 50 GB/s (400 Gb/s)\n"));
}

TEST_CASE("A fabric without nodes to join and a node larger than built are noted", "[cli]") {
  const CommandResult torus = run_command({"topo", "--gpu", "h100-sxm", "--fabric", "torus"});
  CHECK_THAT(torus.out, Contains("\nnote: cluster.fabric.kind torus has no effect: there is one node\n"));
  const std::string scenario = std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/quickstart.yaml";
  const CommandResult checked =
      run_command({"check", scenario, "--set", "cluster.gpus_per_node=16", "--set", "layout=", "--set",
                   "layout.experts.ep=8", "--set", "cluster.fabric.kind=torus"});
  INFO(checked.err);
  CHECK(checked.exit == 0);
  CHECK_THAT(checked.out,
             Contains("\n  note   cluster.gpus_per_node 16: the catalogue's node has 8 h100-sxm; all 16 are taken as "
                      "joined by one NVSwitch\n") &&
                 Contains("\n  note   cluster.fabric.kind torus has no effect: there is one node\n"));
}

TEST_CASE("Weights that a GPU cannot multiply, and copies that no engine makes, are noted", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write(
      "s.yaml",
      "model: mixtral-8x7b\ncluster: {gpu: a100-sxm}\nprecision: {weights: bf16, experts: fp8_per_tensor}\n"
      "workload: {tokens_per_gpu: 16, context: 256, steps: 1}\ncommunication: {copies: per_rank}\n");
  const std::string weights =
      "precision.experts fp8_per_tensor: a100-sxm has no fp8 units, so they are read in 8 bits and multiplied in bf16";
  const std::string copies =
      "communication.copies per_rank: a what-if, as deepep_low_latency sends a copy per chosen expert";
  const CommandResult people = run_command({"run", scenario, "--out", scratch.path("people")});
  CHECK_THAT(people.out, Contains("\n  note   " + weights + "\n  note   " + copies + "\n  report "));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"check", scenario, "--json"},
                                                  {"run", scenario, "--out", scratch.path("json"), "--json"}}) {
    const auto notes = nlohmann::json::parse(run_command(command).out)["notes"].get<std::vector<std::string>>();
    CHECK(std::count(notes.begin(), notes.end(), weights) == 1);
    CHECK(std::count(notes.begin(), notes.end(), copies) == 1);
  }
  CHECK_THAT(
      run_command({"check", scenario, "--set", "cluster.gpu=h100-sxm", "--set", "communication.copies=per_expert"}).out,
      !Contains("  note "));
}

TEST_CASE("GPUs that the layout leaves idle are noted by check and by run", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write(
      "s.yaml",
      "model: mixtral-8x7b\ncluster: {gpu: h100-sxm, nodes: 2}\nworkload: {tokens_per_gpu: 8, context: 256, steps: 1}\n"
      "layout: {attention: {dp: 8}, experts: {ep: 8, tp: 1}}\n");
  const std::string note =
      "\n  note   8 of 16 GPUs are idle; figures per GPU are those of the 8 in use, costs those of all\n";
  CHECK_THAT(run_command({"check", scenario}).out, Contains(note));
  CHECK_THAT(run_command({"run", scenario, "--out", scratch.path("r")}).out, Contains(note));
}
