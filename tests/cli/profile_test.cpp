// `moesim profile`: tables of others in, a profile and its errors out.

#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

/// Three engines' worth of nothing but what an import needs, one row each; 16 rows of experts with a skewed one.
void write_tables(const std::filesystem::path& folder) {
  const auto write = [&](const std::string& kind, const std::string& stem, const std::string& text) {
    const auto into = folder / kind / "trtllm" / "1.0";
    std::filesystem::create_directories(into);
    std::ofstream{into / (stem + ".csv")} << text;
  };
  std::string moe =
      "device,kernel_source,moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,"
      "distribution,latency\n";
  for (int tokens = 1; tokens <= 4096; tokens *= 2)
    for (const int ranks : {1, 2, 4})
      for (const char* routing : {"balanced", "power_law_1.2"})
        moe += "NVIDIA H100,cutlass,bfloat16," + std::to_string(tokens) + ",1024,512,2,8,1," + std::to_string(ranks) +
               "," + routing + "," + std::to_string(0.03 + 0.0001 * tokens / ranks) + "\n";
  write("moe", "moe_perf", moe);
  write("gemm", "gemm_perf",
        "device,kernel_source,gemm_dtype,m,n,k,latency\nNVIDIA H100,torch,bfloat16,1,128,256,0.004\n");
  const std::string attention =
      "device,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,"
      "latency\nNVIDIA H100,flash,2,64,16,4,128,bfloat16,fp8,0,0.02\n";
  write("attention", "context_attention_perf", attention);
  write("attention", "generation_attention_perf", attention);
  std::string nccl = "device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency\n";
  for (int size = 256; size <= 1 << 20; size *= 2)
    nccl +=
        "NVIDIA H100,all_reduce,NCCL,half,4," + std::to_string(size) + "," + std::to_string(0.01 + 1e-6 * size) + "\n";
  std::filesystem::create_directories(folder / "comm/nccl/2.1");
  std::ofstream{folder / "comm/nccl/2.1/nccl_perf.csv"} << nccl;
}

}  // namespace

TEST_CASE("An import writes a profile that show and check read", "[cli]") {
  const TemporaryFolder scratch;
  write_tables(scratch.path() / "tables");
  const auto moesim = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "profile");
    return run_command(arguments, {.folder = scratch.path().string()});
  };
  const std::vector<std::string> import{"import", "--from", "aiconfigurator", "tables", "--out", "new/p.json"};
  std::vector<std::string> as_json = import;
  as_json.emplace_back("--json");
  const CommandResult result = moesim(as_json);
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(schema_violations(json, "profile_import") == "");
  CHECK(json["gpu"] == "h100-sxm");
  CHECK(json["tables_read"][0]["used"] == 78);  // 13 sizes, 3 counts of ranks, 2 routings
  CHECK(schema_violations(nlohmann::json::parse(read(scratch.path() / "new/p.json")), "kernel_model") == "");

  const CommandResult refused = moesim(import);
  CHECK(refused.exit == 2);
  CHECK(refused.err ==
        "moesim: --out: got 'new/p.json', which exists, expected a new file, or --force to replace it\n");
  // what is asked for is looked at before the tables: these are damaged
  std::ofstream{scratch.path() / "tables/gemm/trtllm/1.0/gemm_perf.csv"} << "device\n";
  const auto refusal = [&](const std::string& option, const std::string& value) {
    std::vector<std::string> arguments{"import", "--from", "aiconfigurator", "tables", option, value};
    if (option != "--out") arguments.insert(arguments.end(), {"--out", "other.json"});
    const CommandResult other = moesim(arguments);
    CHECK(other.exit == 2);
    return other.err;
  };
  CHECK(refusal("--nccl", "2.2") ==
        "moesim: --nccl: got 2.2, expected auto, or a version in tables/comm/nccl: 2.1; did you mean 2.1?\n");
  CHECK(refusal("--out", "new/p.json/q.json") ==
        "moesim: --out: got 'new/p.json/q.json': Not a directory, expected a file that can be written\n");
  CHECK_THAT(refusal("--gpu", "h100-sxn"), Contains("moesim: --gpu: got 'h100-sxn', ") && Contains("h100-sxm?"));
  CHECK_THAT(refusal("--gpu", "h100-sxm"), Contains("gemm_perf.csv:1: got no column"));
  CHECK_THAT(refusal("--gpu", "b200-sxm"),
             Contains("--gpu: got b200-sxm, expected h100-sxm: ") && Contains("was measured on 'NVIDIA H100'"));
  CHECK(refusal("--device", "caf\xE9") ==
        "moesim: --device: got the byte 0xE9, expected text in UTF-8 without control characters\n");
  CHECK(moesim({"import", "--from", "csv", "new/p.json", "--gpu", "h100-sxm", "--out", "new/p.json", "--force"}).err ==
        "moesim: --out: got 'new/p.json', which are the tables, expected another file\n");

  const CommandResult shown = moesim({"show", "new/p.json", "--json"});
  REQUIRE(shown.exit == 0);
  CHECK(schema_violations(nlohmann::json::parse(shown.out), "profile_show") == "");
  CHECK_THAT(moesim({"show", "new/p.json"}).out, Contains("trtllm 1.0") && Contains("experts"));

  const CommandResult checked = moesim({"check", "new/p.json", "--json"});
  REQUIRE(checked.exit == 0);
  const auto verdicts = nlohmann::json::parse(checked.out);
  CHECK(schema_violations(verdicts, "profile_check") == "");
  // the tables' time is linear in tokens: what is held out lies on a chord
  const auto& errors = verdicts["engines"][0]["errors"];
  REQUIRE(errors[0]["regime"] == "balanced");
  CHECK(errors[0]["median"] < 0.03);
  CHECK(errors[0]["kept"] == true);
  CHECK_THAT(moesim({"check", "new/p.json"}).out, Contains("at most 3 and 10 %"));
  // and so is the all-reduce's in bytes
  REQUIRE(verdicts["collectives"].size() == 1);
  CHECK(verdicts["collectives"][0]["library"] == "nccl");
  CHECK(verdicts["collectives"][0]["errors"][0]["regime"] == "4 ranks");
  CHECK(verdicts["collectives"][0]["errors"][0]["most_median"] == 0.10);
  CHECK(verdicts["collectives"][0]["errors"][0]["kept"] == true);
  CHECK_THAT(moesim({"check", "new/p.json"}).out, Contains("nccl 2.1: error on sizes left out one by one"));
}

TEST_CASE("Profiles are compared where both were measured", "[cli]") {
  const CommandResult same = run_command({"profile", "compare", "h100-sxm", "h100-sxm", "--json"});
  REQUIRE(same.exit == 0);
  const auto json = nlohmann::json::parse(same.out);
  CHECK(schema_violations(json, "profile_compare") == "");
  REQUIRE(json["engines"].size() == 3);
  for (const auto& engine : json["engines"])
    for (const auto& operation : engine["operations"]) {
      CHECK(operation["b_over_a"]["median"] == 1.0);
      CHECK(operation["b_over_a"]["p90"] == 1.0);
      CHECK(operation["only_a"].empty());
    }
  CHECK(json["collectives"].size() == 5);

  const CommandResult other = run_command({"profile", "compare", "h100-sxm", "b200-sxm"});
  CHECK_THAT(other.out, Contains("A h100-sxm") && Contains("decode_attention") && Contains("nccl 2.29.2"));
  const CommandResult engines =
      run_command({"profile", "compare", "h100-sxm", "h100-sxm", "--engines", "trtllm,vllm", "--shapes"});
  CHECK_THAT(engines.out, Contains("A trtllm 1.3.0rc10, B vllm 0.19.0") && Contains("hidden 4096"));
}

TEST_CASE("Collectives inside a node take the profile's curves unless an algorithm is asked for", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml",
                "model: mixtral-8x7b\ncluster: {gpu: h100-sxm, nodes: 1}\n"
                "layout: {attention: {tp: 4, dp: 1}, experts: {ep: 1, tp: 4}}\n"
                "workload: {kind: batch, phase: decode, tokens_per_gpu: 8, context: 1024, steps: 2}\n"
                "kernels: {profile: h100-sxm, engine: vllm}\n");
  const auto summary = [&](const std::string& all_reduce) {
    std::vector<std::string> arguments{"run", "s.yaml", "--json", "--set", "communication.all_reduce=" + all_reduce};
    const CommandResult result = run_command(arguments, {.folder = scratch.path().string()});
    INFO(result.err);
    REQUIRE(result.exit == 0);
    return nlohmann::json::parse(result.out);
  };
  const auto of_curve = summary("auto");
  CHECK(schema_violations(of_curve, "summary") == "");
  CHECK(of_curve["chosen"]["communication.all_reduce"].get<std::string>().find("as vllm 0.19.0 measured it") == 0);
  const auto& use = of_curve["kernels"].back();
  CHECK(use["op_class"] == "all_reduce");
  CHECK(use["source"] == "published");
  CHECK(use["kernel"] == "vllm 0.19.0");
  CHECK(use["sigma"] > 0);
  const auto modelled = summary("ring");
  CHECK(modelled["kernels"].back()["op_class"] != "all_reduce");
  CHECK(modelled["notes"].dump().find("all_reduce over 4 GPUs: communication.all_reduce ring is asked for") !=
        std::string::npos);
}

TEST_CASE("What a profile lacks is told at the line of the scenario that asks for it", "[cli]") {
  const TemporaryFolder scratch;
  const auto refusal = [&](const std::string& kernels, const std::vector<std::string>& more = {}) {
    scratch.write("s.yaml",
                  "model: mixtral-8x7b\ncluster: {gpu: h100-sxm, nodes: 1}\n"
                  "layout: {attention: {tp: 8, dp: 1}, experts: {ep: 1, tp: 8}}\n"
                  "workload: {kind: batch, phase: decode, tokens_per_gpu: 8, context: 1024, steps: 2}\n"
                  "kernels: " +
                      kernels + "\n");
    std::vector<std::string> arguments{"check", "s.yaml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = run_command(arguments, {.folder = scratch.path().string()});
    CHECK(result.exit == 2);
    return result.err;
  };
  CHECK(refusal("{profile: h100-sxm, engine: vlm}") ==
        "moesim: s.yaml:5:38: kernels.engine: got vlm, expected an engine of profile h100-sxm: trtllm, sglang, vllm; "
        "did you mean vllm?\n");
  CHECK_THAT(refusal("{profile: h100-sxm}", {"--set", "kernels.engine=vlm"}),
             Contains("moesim: --set kernels.engine=vlm: got vlm, expected"));
  CHECK_THAT(refusal("{profile: h100-sxm, engine: vllm}", {"--set", "precision.experts=mxfp8"}),
             Contains("moesim: s.yaml:5:20: kernels.profile (h100-sxm, vllm): got experts of 4096 x 1792 in mxfp8"));
  CHECK_THAT(refusal("{profile: gb200-nvl72}"),
             Contains("moesim: s.yaml:5:20: kernels.profile: got times of gb200-nvl72 for h100-sxm"));
}

TEST_CASE("A comparison of profiles is refused with what there is", "[cli]") {
  const CommandResult three = run_command({"profile", "compare", "h100-sxm", "b200-sxm", "--engines", "a,b,c"});
  CHECK(three.exit == 2);
  CHECK(three.err == "moesim: --engines: got a,b,c, expected one engine of A and one of B: trtllm,vllm\n");
  const CommandResult engine = run_command({"profile", "compare", "h100-sxm", "b200-sxm", "--engines", "trtllm,vlm"});
  CHECK(engine.exit == 2);
  CHECK_THAT(engine.err, Contains("--engines: got vlm, expected an engine of profile b200-sxm: trtllm, sglang, vllm"));
  const CommandResult absent = run_command({"profile", "compare", "h100-sxm", "h100"});
  CHECK(absent.exit == 2);
  CHECK_THAT(absent.err, Contains("profile: got h100, expected a file, or one of"));
}

TEST_CASE("A hand-edited profile that cannot be is refused where it is taken", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("mine.csv",
                "engine,version,operation,kernel,format,n,k,m,microseconds\nme,1,gemm,mm,bf16,128,256,1,4\n");
  const auto moesim = [&](const std::vector<std::string>& arguments) {
    return run_command(arguments, {.folder = scratch.path().string()});
  };
  REQUIRE(moesim({"profile", "import", "--from", "csv", "mine.csv", "--gpu", "h100-sxm", "--out", "p.json"}).exit == 0);
  std::string text = read(scratch.path() / "p.json");
  const std::size_t at = text.find("[1],[4]");
  REQUIRE(at != std::string::npos);
  scratch.write("p.json", text.replace(at, 7, "[1],[0.004]"));
  const CommandResult shown = moesim({"profile", "show", "p.json"});
  CHECK(shown.exit == 2);
  // (128 x 256 x 2 + 2 x 128 + 2 x 256) B at 3.35 TB/s, of which 0.9 x 0.5
  CHECK(shown.err ==
        "moesim: p.json: engines[0].tables[0].curves, curve 0: got 0.004 us at m 1, expected at least 0.008907: the "
        "peaks of h100-sxm allow no less for gemm in bf16\n");
}

TEST_CASE("A profile that is none is refused", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("other.json", "{\"format\": \"other\"}");
  const CommandResult other = run_command({"profile", "show", scratch.path("other.json")});
  CHECK(other.exit == 2);
  CHECK_THAT(other.err, Contains("got no \"format\": \"moesim kernel model\""));
  const CommandResult absent = run_command({"profile", "show", scratch.path("absent.json")});
  CHECK(absent.exit == 2);
  CHECK_THAT(absent.err, Contains("no such file"));
}
