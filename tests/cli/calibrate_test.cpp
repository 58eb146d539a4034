// `moesim calibrate`: a profile of this machine in seconds, or one clear line.

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A Mixtral so small that a point takes a millisecond: 3 x 256 x 128 weights an expert.
constexpr auto kTinyModel = R"({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_size": 256,
"intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
"vocab_size": 1000, "max_position_embeddings": 4096, "num_local_experts": 8, "num_experts_per_tok": 2,
"tie_word_embeddings": false})";

/// One thread: OpenMP's threads wait for each other in circles when the tests beside this one take the cores.
CommandResult calibrate(const TemporaryFolder& scratch, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "calibrate");
  return run_command(arguments, {.folder = scratch.path().string(), .environment = {{"OMP_NUM_THREADS", "1"}}});
}

/// Whether this moesim was built with oneDNN; says so when not.
bool has_cpu_backend() {
  const auto doctor = nlohmann::json::parse(run_command({"doctor", "--json"}).out);
  for (const auto& part : doctor["optional"])
    if (part["name"] == "cpu_calibration" && part["on"] == true) return true;
  WARN("skipped: this moesim has no CPU backend (libdnnl-dev)");
  return false;
}

}  // namespace

TEST_CASE("A calibration of seconds writes a valid profile", "[cli]") {
  if (!has_cpu_backend()) return;
  const TemporaryFolder scratch;
  scratch.write("tiny.json", kTinyModel);
  const CommandResult result = calibrate(scratch, {"--backend", "cpu", "--models", "./tiny.json", "--budget-seconds",
                                                   "3", "--out", "new/p.json", "--json"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(schema_violations(json, "calibrate") == "");
  const auto profile = nlohmann::json::parse(read(scratch.path() / "new/p.json"));
  CHECK(schema_violations(profile, "profile") == "");
  CHECK(json["profile"] == "new/p.json");
  CHECK(json["points"] == profile["points"].size());
  CHECK(profile["device"]["kind"] == "cpu");
  CHECK(profile["device"]["copy_bytes_per_s"] > 1e8);
  CHECK(profile["provenance"]["libraries"][0]["name"] == "onednn");
  for (const auto& point : profile["points"]) CHECK(point["hidden"] == 256);

  const std::vector<std::string> again{"--models", "./tiny.json", "--budget-seconds", "3",
                                       "--quick",  "--out",       "new/p.json"};
  const CommandResult refused = calibrate(scratch, again);
  CHECK(refused.exit == 2);
  CHECK(refused.err ==
        "moesim: --out: got 'new/p.json', which exists, expected a new file, or --force to replace it\n");
  std::vector<std::string> forced = again;
  forced.emplace_back("--force");
  const CommandResult text = calibrate(scratch, forced);
  REQUIRE(text.exit == 0);
  CHECK_THAT(text.out, Contains("ceilings   copy ") && Contains("profile    new/p.json") && Contains("OpenMP threads"));
}

TEST_CASE("A terminated calibration keeps what it measured", "[cli]") {
  if (!has_cpu_backend()) return;
  const TemporaryFolder scratch;
  const std::string file = scratch.path("p.json");
  // the profile is written after the first point: then the signal comes
  const CommandResult result =
      run_program("sh", {"-c", std::string{"OMP_NUM_THREADS=1 '"} + MOESIM_BINARY +
                                   "' calibrate --models olmoe-1b-7b --out '" + file + "' & pid=$!; while [ ! -e '" +
                                   file + "' ] && kill -0 $pid; do sleep 0.05; done; kill $pid; wait $pid"});
  INFO(result.err);
  CHECK(result.exit == 128 + 15);
  CHECK_THAT(result.err, Contains("moesim: interrupted: ") && Contains(" points are in " + file));
  const auto profile = nlohmann::json::parse(read(file));
  CHECK(schema_violations(profile, "profile") == "");
  CHECK(profile["complete"] == false);
  CHECK(std::distance(fs::directory_iterator{scratch.path()}, fs::directory_iterator{}) == 1);  // no temporaries
}

TEST_CASE("A backend that is not there is one line and exit 77", "[cli]") {
  const TemporaryFolder scratch;
  const CommandResult result = calibrate(scratch, {"--backend", "cuda", "--out", "p.json"});
  CHECK(result.exit == 77);
  CHECK(result.err == "moesim: calibrate: this moesim has no CUDA backend; --backend cpu measures the processors\n");
  CHECK_FALSE(fs::exists(scratch.path() / "p.json"));
}

TEST_CASE("Wrong input to calibrate is one line before anything is measured", "[cli]") {
  const TemporaryFolder scratch;
  const auto refusal = [&](const std::vector<std::string>& arguments) {
    const CommandResult result = calibrate(scratch, arguments);
    CHECK(result.exit == 2);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    return result.err;
  };
  CHECK_THAT(refusal({"--models", "mixtral-8x7c", "--out", "p.json"}), Contains("did you mean mixtral-8x7b?"));
  CHECK(refusal({"--models", "llama-3.1-8b", "--out", "p.json"}) ==
        "moesim: --models: got llama-3.1-8b, which has no experts, expected models with experts\n");
  CHECK(refusal({"--models", "switch-base-8", "--out", "p.json"}) ==
        "moesim: --models: switch-base-8 (experts of two matrices) is not modelled yet; use a model with gated "
        "experts\n");
  CHECK_THAT(refusal({"--budget-seconds", "0", "--out", "p.json"}), Contains("--budget-seconds: got '0'"));
  CHECK_THAT(refusal({"--backend", "cqu", "--out", "p.json"}), Contains("did you mean"));
  CHECK_THAT(refusal({}), Contains("--out"));
  scratch.write("file", "");
  CHECK_THAT(refusal({"--out", "."}), Contains("which is a folder"));
  if (!has_cpu_backend()) return;
  CHECK_THAT(refusal({"--out", "file/p.json"}),
             Contains("--out: got") && Contains("expected a file that can be written"));
  CHECK_THAT(refusal({"--budget-seconds", "0.001", "--models", "olmoe-1b-7b", "--out", "p.json"}),
             Contains("moesim: --budget-seconds: got 0.001, expected at least ") && Contains(" for one point"));
  CHECK_FALSE(fs::exists(scratch.path() / "p.json"));
}
