// `moesim validate` on small files, as a user sees it.

#include <fstream>

#include <nlohmann/json.hpp>

#include "sim/engine/forked.hpp"
#include "sim/validate/predict.hpp"
#include "sim/validate/steady_batch.hpp"
#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/shared_data.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validate/serving_csv.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;
using Json = nlohmann::json;

namespace {

Json json_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "validate");
  arguments.push_back("--json");
  const CommandResult result = run_command(arguments);
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const Json document = Json::parse(result.out);
  CHECK(schema_violations(document, "validate") == "");
  return document;
}

double mean_step(const std::string& scenario) {
  return run_forked("step", [&] { return std::vector<double>{simulate_step(scenario).step.value()}; }).at(0);
}

}  // namespace

TEST_CASE("A decode row is the steps of its steady batch", "[validate]") {
  const TemporaryFolder folder;
  folder.write("silicon_e2e_open.csv", serving_csv({{.concurrency = "16", .tpot = "10"}}));
  const Json document = json_of({folder.path().string(), "--kernels", "roofline"});
  const Json& tpot = document["cases"][0];
  CHECK(tpot["group"] == "llama-3.1-8b, h100-sxm, vllm, tp1");
  CHECK(tpot["case"] == "1000/500 x 16");
  CHECK(tpot["status"] == "predicted");
  CHECK(tpot["kernel_source"] == "roofline");

  const Replica replica{.model = "llama-3.1-8b",
                        .gpu = "h100-sxm",
                        .is_moe = false,
                        .formats = {"fp8_per_tensor", "fp8_per_tensor", "bf16"},
                        .engine = "vllm"};
  const double decode = 1e3 * mean_step(decode_scenario(replica, 16, 1250));
  const double prefill = 1e3 * mean_step(prefill_scenario(replica, 1000, 1000));
  CHECK(tpot["decode_alone"].get<double>() == Approx(decode));
  CHECK(tpot["predicted"].get<double>() == Approx(decode + 15.0 / 500 * prefill));
  CHECK(tpot["error"].get<double>() == Approx(tpot["predicted"].get<double>() / 10 - 1));

  const Json& ttft = document["cases"][1];
  CHECK(ttft["status"] == "not_expressed");
  CHECK(ttft["measured"] == 100);
  CHECK(ttft["reason"] == "time to first token needs arrivals and queues: request-level serving");
}

TEST_CASE("Statistics count clean rows and flagged rows apart", "[validate]") {
  const TemporaryFolder folder;
  folder.write("silicon_e2e_open.csv", serving_csv({{.concurrency = "8", .tpot = "10"},
                                                    {.concurrency = "16", .tpot = "10"},
                                                    {.concurrency = "32", .tpot = "10"},
                                                    {.flags = "queueing_ttft", .tpot = "10"},
                                                    {.flags = "mtp_unlabelled", .tpot = "10"}}));
  const Json document = json_of({folder.path().string()});
  const Json& file = document["files"][0];
  CHECK(file["rows"] == 5);
  CHECK(file["figures"] == Json({{"predicted", 3}, {"flagged", 1}, {"not_expressed", 6}, {"failed", 0}}));
  const Json& lines = document["statistics"];
  REQUIRE(lines.size() == 4);  // the file and its group, twice
  CHECK(lines[0]["group"].is_null());
  CHECK(lines[0]["errors"]["n"] == 3);
  CHECK(lines[0]["errors"]["rank_correlation"].is_null());  // all measured alike
  CHECK(lines[1]["group"] == "llama-3.1-8b, h100-sxm, vllm, tp1");
  CHECK(lines[1]["errors"] == lines[0]["errors"]);
  CHECK(lines[2]["flagged"] == true);
  CHECK(lines[2]["errors"]["n"] == 1);
  // The middle of three is the median of a batch that grows.
  std::vector<double> errors;
  for (const int i : {0, 2, 4}) errors.push_back(std::abs(document["cases"][i]["error"].get<double>()));
  std::sort(errors.begin(), errors.end());
  CHECK(lines[0]["errors"]["median_absolute_error"].get<double>() == Approx(errors[1]));
  CHECK(lines[0]["errors"]["p90_absolute_error"].get<double>() == Approx(errors[1] + 0.8 * (errors[2] - errors[1])));
}

TEST_CASE("What a row cannot say is listed with its reason and never dropped", "[validate]") {
  const TemporaryFolder folder;
  folder.write("silicon_e2e_open.csv",
               serving_csv({{.flags = "gt8gpu|mtp_unlabelled"},
                            {.model = "some/Model-1B"},
                            {.system = "h9000"},
                            {.mode = "disagg"},
                            {.linear = "fp7"},
                            {.model = "deepseek-ai/DeepSeek-V3", .tp = "8", .moe_tp = "2", .moe_ep = "2"},
                            {.concurrency = "", .batch = ""}}));
  const Json cases = json_of({folder.path().string()})["cases"];
  REQUIRE(cases.size() == 14);
  const std::vector<std::string> reasons{
      "speculative decoding with an unknown share of accepted tokens (mtp_unlabelled)",
      "model some/Model-1B is not in the zoo",
      "GPU h9000 is not in the catalogue",
      "prefill and decode on GPUs of their own: how requests wait between them needs request-level serving",
      "number formats fp7 and fp8 are not known",
      "layouts contradict each other: tp 8 x dp 1 is not moe_tp 2 x moe_ep 2",
      "neither concurrency nor batch_size is given"};
  for (std::size_t row = 0; row < reasons.size(); ++row) {
    CHECK(cases[2 * row]["line"] == row + 2);
    CHECK(cases[2 * row]["reason"] == reasons[row]);
    CHECK(cases[2 * row]["status"] == "not_expressed");
  }
}

TEST_CASE("Waiting requests are not decoded: the batch is at most what the engine holds", "[validate]") {
  const TemporaryFolder folder;
  folder.write("silicon_e2e_open.csv",
               serving_csv({{.concurrency = "64", .batch = "16"}, {.concurrency = "", .batch = "16"}}));
  const Json cases = json_of({folder.path().string()})["cases"];
  CHECK(cases[0]["case"] == "1000/500 x 16");
  CHECK(cases[2]["case"] == "1000/500 x 16");
  CHECK(cases[0]["predicted"] == cases[2]["predicted"]);
}

TEST_CASE("A file under another name is known by its header and other files are listed", "[validate]") {
  const TemporaryFolder folder;
  folder.write("kept_back.csv", serving_csv({{.tpot = "10"}}));
  folder.write("notes.csv", "a,b\n1,2\n");
  folder.write("README.md", "no table");
  const Json document = json_of({folder.path().string()});
  CHECK(document["files"][0]["name"] == "kept_back.csv");
  CHECK(document["ignored"] == Json({"notes.csv"}));
}

TEST_CASE("Figures of collectives and kernels are in the units of their rows", "[validate]") {
  const TemporaryFolder folder;
  folder.write("deepep_normal.csv",
               "version,gpu,nic,ep,tokens_per_rank,hidden,topk,topk_groups,precision,dispatch_GBps,combine_GBps,"
               "bottleneck_link,source\nv1,H800,CX7,8,4096,7168,8,4,fp8 dispatch/bf16 combine,153,158,NVLink,x\n");
  folder.write("nccl_intranode_derived.csv",
               "system,nccl_version,op,gpus,bytes,time_us_measured,algbw_GBps_derived,busbw_GBps_derived\n"
               "h100_sxm,2.29.2,broadcast,8,1024,9,1,1\nh100_sxm,2.29.2,all_gather,8,1024,10.0,1,1\n");
  folder.write("deepgemm.csv",
               "version,gpu,precision,toolchain,kind,groups,m_per_group,n,k,tflops_reported,mem_GBps_reported,"
               "speedup_vs_cutlass,time_us_derived_from_tflops,source\n"
               "v,H800 SXM5,\"fp8 (1x128 / 128x128 scales), bf16 out\",x,dense,1,4096,7168,2048,1025,1,1,1,y\n");
  const Json cases = json_of({folder.path().string()})["cases"];
  REQUIRE(cases.size() == 5);
  CHECK(cases[0]["quantity"] == "dispatch");
  CHECK(cases[0]["unit"] == "GB/s");
  CHECK(cases[0]["predicted"].get<double>() == Approx(153).epsilon(0.15));
  CHECK(cases[2]["unit"] == "TFLOP/s");
  CHECK(cases[2]["predicted"].get<double>() == Approx(1025).epsilon(0.4));
  CHECK(cases[3]["reason"] == "operation broadcast is not known");
  CHECK(cases[4]["predicted"].get<double>() == Approx(12).epsilon(0.01));  // the floor of the catalogue
}

TEST_CASE("The text has the rows and their errors on lines of at most 100 characters", "[validate]") {
  const TemporaryFolder folder;
  folder.write("silicon_e2e_open.csv", serving_csv({{.tpot = "10"}, {.flags = "mtp_unlabelled"}}));
  const CommandResult all = run_command({"validate", folder.path().string()});
  CHECK(all.exit == 0);
  CHECK_THAT(all.out, Contains("silicon_e2e_open.csv: 2 rows; 1 predicted, 3 not expressed\n"));
  CHECK_THAT(all.out, Contains("  llama-3.1-8b, h100-sxm, vllm, tp1\n      2  tpot       1000/500 x 16"));
  CHECK_THAT(all.out, Contains("1 tpot: speculative decoding with an unknown share of accepted tokens"));
  CHECK_THAT(all.out, Contains("(lines 2-3)"));
  for (std::size_t begin = 0, end; begin < all.out.size(); begin = end + 1) {
    end = all.out.find('\n', begin);
    INFO(all.out.substr(begin, end - begin));
    CHECK(end - begin <= 100);
  }
  const CommandResult summary = run_command({"validate", folder.path().string(), "--summary"});
  CHECK_THAT(summary.out, !Contains("1000/500 x 16"));
  CHECK_THAT(summary.out, Contains("errors "));
}

TEST_CASE("Only what is asked for is predicted, and the CSV has every figure", "[validate]") {
  const TemporaryFolder folder;
  folder.write("a.csv", serving_csv({{.tpot = "10"}, {.model = "meta-llama/Llama-3.1-70B", .tp = "4", .tpot = "20"}}));
  folder.write("b.csv", serving_csv({{.tpot = "10"}}));
  CHECK(json_of({folder.path().string(), "--only", "b"})["cases"].size() == 2);
  const std::string csv = folder.path("out.txt");
  const Json some = json_of({folder.path().string(), "--only", "70B", "--csv", csv});
  REQUIRE(some["cases"].size() == 2);
  CHECK(some["cases"][0]["group"] == "llama-3.1-70b, h100-sxm, vllm, tp4");
  const std::string text = read(csv);
  CHECK_THAT(text, Contains("file,line,group,case,flags,quantity,unit,status,measured,predicted,error,decode_alone,"
                            "kernel_source,reason\na.csv,3,\"llama-3.1-70b, h100-sxm, vllm, tp4\","));
}

TEST_CASE("Every clean row of the open end-to-end cases is predicted", "[validate]") {
  const std::string file = shared_file("data/ground_truth/silicon_e2e_open.csv");
  if (file.empty()) return;
  const Json document = json_of({shared_file("data/ground_truth"), "--only", "silicon_e2e_open"});
  CHECK(document["files"][0]["rows"] == 202);
  int clean = 0;
  for (const Json& one : document["cases"]) {
    if (one["quantity"] != "tpot" || one["flags"] != "") continue;
    INFO(one.dump());
    CHECK(one["status"] == "predicted");
    ++clean;
  }
  CHECK(clean == 126);
}
