// `moesim profile`: tables of others in, a profile and its errors out.

#include <algorithm>
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

TEST_CASE("A missed bound fails a profile's check only when strict", "[cli]") {
  const TemporaryFolder scratch;
  // one operation's inside bound, 3 and 10 %, kept; one collective's, 10 %, missed; one regime without a bound
  const auto error = [](const std::string& operation, const std::string& regime, const std::string& median) {
    return "{\"operation\":\"" + operation + "\",\"regime\":\"" + regime + "\",\"points\":9,\"median\":" + median +
           ",\"p90\":0.09,\"sigma\":0.1,\"bias\":0,\"baseline\":\"roofline\",\"baseline_median\":0.5,"
           "\"baseline_p90\":0.6}";
  };
  const auto profile = [&](const std::string& all_reduce) {
    return R"({"format":"moesim kernel model","version":2,"name":"toy","gpu":"h100-sxm","device":"toy","origin":)"
           R"({"source":"published","name":"us","revision":"1","date":"2026","licence":"ours","notes":[]},"engines":)"
           R"([{"engine":"toy","version":"1","errors":[)" +
           error("gemm", "inside", "0.02") + "," + error("gemm", "between", "0.4") +
           R"(],"tables":[{"operation":"gemm","kernel":"k","format":"bf16","dimensions":{},"axes":["n","k"],)"
           R"("size":"m","curves":[[[128,256],[1],[9]]]}]}],"collectives":[{"library":"nccl","version":"1","errors":[)" +
           error("all_reduce", "4 ranks", all_reduce) +
           R"(],"tables":[{"operation":"all_reduce","kernel":"k","format":"bf16","dimensions":{"ranks":4},)"
           R"("axes":[],"size":"bytes","curves":[[[],[1],[9]]]}]}]})";
  };
  const std::string kept = scratch.write("kept.json", profile("0.1")),
                    missed = scratch.write("missed.json", profile("0.11"));
  CHECK(run_command({"profile", "check", kept, "--strict"}).exit == 0);
  CHECK(run_command({"profile", "check", missed}).exit == 0);
  const CommandResult strict = run_command({"profile", "check", missed, "--strict"});
  CHECK(strict.exit == 1);
  CHECK(strict.err == "");
  CHECK_THAT(strict.out, Contains("MISS all_reduce") && Contains("1 of 2 bounds missed"));
  const CommandResult as_json = run_command({"profile", "check", missed, "--strict", "--json"});
  CHECK(as_json.exit == 1);
  const auto json = nlohmann::json::parse(as_json.out);
  CHECK(schema_violations(json, "profile_check") == "");
  CHECK(json["bounded"] == 2);
  CHECK(json["missed"] == 1);
  CHECK(json["all_kept"] == false);
}

TEST_CASE("A profile tells which shapes it holds and whose they are", "[cli]") {
  const CommandResult shown = run_command({"profile", "show", "h100-sxm"});
  REQUIRE(shown.exit == 0);
  // Mixtral's experts are 14,336 wide, over 1 to 32 GPUs 448: the widths of a table that expert TP cuts
  CHECK_THAT(shown.out, Contains("4096 wide, 8 experts, top 2: bf16 448..14336 (6 widths)") &&
                            Contains("slots 1..8, rows 1..32768 · mixtral-8x7b"));
  CHECK_THAT(shown.out, Contains("head_dim 128: bf16, fp8 · heads_per_kv_head 1..96, tokens 1..16384"));
  CHECK_THAT(shown.out, Contains("ranks 8: bf16"));

  const auto json = nlohmann::json::parse(run_command({"profile", "show", "h100-sxm", "--json"}).out);
  CHECK(schema_violations(json, "profile_show") == "");
  int of_mixtral = 0;
  for (const auto& shape : json["engines"][0]["shapes"]) {
    const auto& models = shape["models"];
    if (std::find(models.begin(), models.end(), "mixtral-8x7b") == models.end()) continue;
    ++of_mixtral;
    CHECK(shape["dimensions"]["hidden"] == 4096);
    CHECK(14336 % shape["dimensions"]["expert_hidden"].get<int>() == 0);
    CHECK(shape["axes"]["slots"]["most"] == 8);
  }
  CHECK(of_mixtral == 6 + 6 + 5);  // bf16, fp8 and fp8_block, which wants multiples of 128 columns
  int tables = 0;
  for (const auto& operation : json["engines"][0]["operations"]) tables += operation["tables"].get<int>();
  CHECK(json["engines"][0]["shapes"].size() == static_cast<std::size_t>(tables));
}

TEST_CASE("A profile of a few rows says that it rests on nearly nothing", "[cli]") {
  const TemporaryFolder scratch;
  std::string rows = "engine,version,operation,kernel,format,n,k,m,microseconds\n";
  for (const char* row : {"1,9", "64,11", "4096,90"})
    rows += "mine,1,gemm,mm,bf16,4096,4096," + std::string{row} + "\n";
  scratch.write("mine.csv", rows);
  const auto moesim = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "profile");
    const CommandResult result = run_command(arguments, {.folder = scratch.path().string()});
    INFO(result.err);
    REQUIRE(result.exit == 0);
    return result.out;
  };
  const std::string thin = "mine 1: gemm: its table rests on fewer than 5 measured times (the least on 3)",
                    unjudged = "mine 1: gemm: judged on 0 rows that no fit saw, fewer than 10: its error is not known";
  // 4096 x 4096 and 4096 rows are 137 GFLOP: 139 us at the peak of which 0.8 is believed
  const CommandResult refused =
      run_command({"profile", "import", "--from", "csv", "mine.csv", "--gpu", "h100-sxm", "--out", "mine.json"},
                  {.folder = scratch.path().string()});
  CHECK(refused.exit == 2);
  CHECK_THAT(refused.err, Contains("mine.csv:4: microseconds: got 90, expected at least 111.1"));
  scratch.write("mine.csv", rows.substr(0, rows.rfind("90")) + "210\n");
  CHECK_THAT(moesim({"import", "--from", "csv", "mine.csv", "--gpu", "h100-sxm", "--out", "mine.json"}),
             Contains("  warning    " + thin) && Contains("  warning    " + unjudged));
  CHECK_THAT(moesim({"show", "mine.json"}), Contains(thin) && Contains("3 measured times"));
  CHECK_THAT(moesim({"check", "mine.json"}), Contains(thin) && Contains("measured times: gemm 3 in 1 tables"));
  const auto json = nlohmann::json::parse(moesim({"show", "mine.json", "--json"}));
  CHECK(schema_violations(json, "profile_show") == "");
  CHECK(json["warnings"].size() == 2);
  CHECK(json["engines"][0]["shapes"][0]["points"] == 3);
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
