#include "sim/metrics/summary_reader.hpp"

#include <fstream>
#include <iterator>

#include "models/units/error.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/metrics/tables.hpp"
#include "tests/catch_compat.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using Catch::Matchers::Contains;
using moesim::testing::TemporaryFolder;

namespace {

/// Every field that a result folder holds differs from its default.
Summary full_summary() {
  Summary of;
  of.scenario_name = "s";
  of.question = "how \"fast\" <is> it, 速い?";
  of.headline = "a model · 2 x gpu";
  of.chosen = {{"routing.sampler", "token"}};
  of.notes = {"first", "second"};
  of.model = "a model";
  of.gpu = "gpu";
  of.gpus = 2;
  of.cluster_gpus = 4;
  of.nodes = 1;
  of.gpus_per_node = 4;
  of.output_tokens_per_s = 201;  // 201 tokens in 1 s
  of.input_tokens_per_s = 0;
  of.total_tokens_per_s = 201;
  of.step = {Seconds{0.5}, Seconds{0.25}, Seconds{0.75}, Seconds{1}};
  of.tpot = of.itl = of.step;
  of.expert_imbalance = MeanMax{1.5, 2};
  of.gpu_imbalance = MeanMax{1.25, 1.75};
  of.nic_imbalance = MeanMax{1.125, 3};
  of.imbalance_cost = {0.25, 0.125, 0.0625};
  of.critical_path = {0.5, 0, 0.25, 0, 0.125, 0.125};
  of.hotspots = {
      {Hotspot::Kind::stage, Hotspot::Cause::uneven_stages, "stage 1", std::nullopt, 0.25, "it works", "even stages"},
      {Hotspot::Kind::expert, Hotspot::Cause::hot_expert, "layer 3 expert 7", 3, 0.125, "hot", "replica"}};
  of.hotspots[1].set = {{"placement.policy", "eplb"}, {"placement.file", ""}};
  of.hotspots[1].gain = Seconds{-0.25};
  of.hotspots[1].gain_note = "longer";
  of.memory = {{{"expert weights", "weights", Bytes{1024}, "1 x 1024"}},
               Bytes{1024},
               Bytes{4096},
               Bytes{8192},
               Bytes{16},
               true,
               0,
               77,
               ""};
  of.quality_penalty = 0.5;
  of.audit = Audit{3, SampleError{0.5, -1, 0.25}, SampleError{0.125, 0.25, std::nullopt},
                   1, SampleError{0.5, 0.5, {}},  0.0625};
  of.tokens_conserved = of.bytes_conserved = true;
  of.version = "1.2.3";
  of.scenario_hash = "0123456789abcdef";
  of.simgrid = "3.32";
  of.kernel_source = "roofline";
  of.seed = 5;
  of.usd_per_hour = 20;
  of.usd_per_million_output_tokens = 0.5;
  of.slo = {{"tpot", Seconds{0.5}, Seconds{0.25}, true}, {"ttft", Seconds{2}, std::nullopt, false}};
  of.links = {{"n0g0 -> leaf0", "nic", Bytes{4096}, 0.25, 0.5}};
  GpuUse first{"n0g0", {}, Seconds{0.5}, 12, 0.25}, second{"n0g1", {}, Seconds{0.125}, 4, 0.75};
  first.busy[static_cast<std::size_t>(Cause::experts)] = Seconds{0.25};
  of.gpu_table = {first, second};
  of.experts = {{3, 0, 0, 0, 12}, {3, 1, 1, 1, 4}, {4, 0, 0, -1, 9}};
  of.steps = {{0, Seconds{0}, Seconds{0.25}, 100}, {1, Seconds{0.25}, Seconds{0.75}, 101}};
  return of;
}

void write_all(const TemporaryFolder& folder, const Summary& summary) {
  folder.write("summary.json", summary_json(summary));
  folder.write("steps.csv", steps_csv(summary));
  folder.write("experts.csv", experts_csv(summary));
  folder.write("gpus.csv", gpus_csv(summary));
  folder.write("links.csv", links_csv(summary));
}

std::string refusal(const TemporaryFolder& folder) {
  try {
    read_summary(folder.path(), "1.2.3");
  } catch (const InputError& error) {
    std::string text = error.what();
    const auto at = text.find(folder.path().string() + "/");
    return at == std::string::npos ? text : text.erase(at, folder.path().string().size() + 1);
  }
  return "";
}

void replace_in(const TemporaryFolder& folder, const std::string& file, const std::string& from,
                const std::string& to) {
  std::ifstream in{folder.path(file)};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  folder.write(file, text.replace(at, from.size(), to));
}

}  // namespace

TEST_CASE("A result folder reads back to the same files", "[metrics]") {
  const TemporaryFolder folder;
  const Summary summary = full_summary();
  write_all(folder, summary);
  const Summary read = read_summary(folder.path(), "1.2.3");
  CHECK(summary_json(read) == summary_json(summary));
  CHECK(steps_csv(read) == steps_csv(summary));
  CHECK(experts_csv(read) == experts_csv(summary));
  CHECK(gpus_csv(read) == gpus_csv(summary));
  CHECK(links_csv(read) == links_csv(summary));
}

TEST_CASE("A result folder that is not whole is refused by its file and place", "[metrics]") {
  const TemporaryFolder folder;
  CHECK(refusal(folder) == "summary.json: got no such file, expected a whole result folder of moesim");
  write_all(folder, full_summary());
  REQUIRE(refusal(folder) == "");

  SECTION("cut off") {
    folder.write("summary.json", "{\"scenario\": \"s");
    CHECK(refusal(folder) == "summary.json: got damaged JSON at byte 16 of 15, expected results as moesim writes them");
  }
  SECTION("another version") {
    replace_in(folder, "summary.json", "1.2.3", "0.0.9");
    CHECK(refusal(folder) ==
          "summary.json: provenance.version: got 0.0.9, expected results of this moesim 1.2.3; run its "
          "scenario.resolved.yaml again");
  }
  SECTION("a key is gone") {
    replace_in(folder, "summary.json", "\"mean_ms\"", "\"median_ms\"");
    CHECK(refusal(folder) == "summary.json: step: got no key 'mean_ms', expected whole results");
  }
  SECTION("a text for a number") {
    replace_in(folder, "summary.json", "\"gpus\": 2", "\"gpus\": \"two\"");
    CHECK(refusal(folder) == "summary.json: gpus: got \"two\", expected a whole number from 1 to 2147483647");
  }
  SECTION("a kind that does not exist") {
    replace_in(folder, "summary.json", "\"kind\": \"stage\"", "\"kind\": \"stag\"");
    CHECK_THAT(refusal(folder), Contains("summary.json: hotspots[0].kind: got stag, expected one of ") &&
                                    Contains("did you mean stage?"));
  }
  SECTION("a table is missing") {
    std::filesystem::remove(folder.path("links.csv"));
    CHECK_THAT(refusal(folder), Contains("links.csv"));
  }
  SECTION("a GPU nobody knows") {
    replace_in(folder, "experts.csv", "n0g1", "n9g9");
    CHECK(refusal(folder) == "experts.csv:3:7: got 'n9g9', expected a GPU of gpus.csv, or all");
  }
  SECTION("tables of another run") {
    folder.write("steps.csv", "step,start_ms,took_ms,tokens\n0,0,1,5\n");
    CHECK(refusal(folder) == "steps.csv: got 1 rows, expected 2, the steps of summary.json beside it");
  }
  SECTION("a folder for a file") {
    std::filesystem::remove(folder.path("links.csv"));
    std::filesystem::create_directory(folder.path("links.csv"));
    CHECK(refusal(folder) == "links.csv: got what is no regular file, expected a whole result folder of moesim");
  }
  SECTION("a number beyond a double") {
    replace_in(folder, "summary.json", "\"per_gpu_max_bytes\": 1024.0", "\"per_gpu_max_bytes\": 1e999");
    CHECK(refusal(folder) == "summary.json: got a number beyond all bounds, expected results as moesim writes them");
  }
  SECTION("a line is cut off") {
    replace_in(folder, "gpus.csv", ",0.750000\n", "\n");
    CHECK_THAT(refusal(folder), Contains("gpus.csv:3:"));
  }
}

TEST_CASE("Numbers that no run can have are refused at their place", "[metrics]") {
  struct Case {
    std::string from, to, refusal;
  };
  const auto [from, to, expected] = GENERATE(values<Case>({
      {"\"gpus\": 2", "\"gpus\": -2", "gpus: got -2, expected a whole number from 1 to 2147483647"},
      {"\"gpus\": 2", "\"gpus\": 5000000000", "gpus: got 5000000000, expected a whole number from 1 to 2147483647"},
      {"\"output_tokens_per_s\": 201.0", "\"output_tokens_per_s\": -201.0",
       "throughput.output_tokens_per_s: got -201.0, expected at least 0"},
      {"\"total_tokens_per_s\": 201.0", "\"total_tokens_per_s\": 402.0",
       "throughput.total_tokens_per_s: got 402.0, expected the tokens over the time of steps.csv beside it"},
      {"\"mean_ms\": 500.0", "\"mean_ms\": 400.0", "step.mean_ms: got 400.0, expected the mean of steps.csv beside it"},
      {"\"p90_ms\": 750.0", "\"p90_ms\": 100.0", "step.p90_ms: got 100.0, expected at least p50"},
      {"\"attention\": 0.5", "\"attention\": 0.4", "critical_path: got "},
      {"\"attention\": 0.5", "\"attention\": -0.5", "critical_path.attention: got -0.5, expected at least 0"},
      {"\"mean\": 1.5", "\"mean\": 0.5", "imbalance.expert.mean: got 0.5, expected at least 1"},
      {"\"max\": 2.0", "\"max\": 1.25", "imbalance.expert.max: got 1.25, expected at least 1.5"},
      {"\"share_of_time\": 0.25", "\"share_of_time\": 25",
       "hotspots[0].share_of_time: got 25, expected a share from 0 to 1"},
      {"\"capacity_bytes\": 4096.0", "\"capacity_bytes\": 512.0",
       "memory.fits: got true, expected what the bytes beside it say"},
      {"\"met\": true", "\"met\": false", "slo[0].met: got false, expected what the times beside it say"},
      {"\"seed\": 5", "\"seed\": -5", "provenance.seed: got -5, expected a whole number of at least 0"},
      {"\"usd_per_hour\": 20.0", "\"usd_per_hour\": -20.0", "cost.usd_per_hour: got -20.0, expected at least 0"},
      {"\"sampled\": 3", "\"sampled\": 0", "audit.sampled: got 0, expected a whole number from 1 to 2147483647"},
  }));
  INFO(expected);
  const TemporaryFolder folder;
  write_all(folder, full_summary());
  replace_in(folder, "summary.json", from, to);
  CHECK_THAT(refusal(folder), Catch::Matchers::StartsWith("summary.json: " + expected));
}
