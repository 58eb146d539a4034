// `moesim calibrate`: a profile of this machine in seconds, or one clear line.

#include <chrono>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGTERM and kill are POSIX

#include "models/kernels/calibration.hpp"
#include "models/llm/architecture.hpp"
#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/cli/small_scenario.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// One thread: OpenMP's threads wait for each other in circles when the tests beside this one take the cores.
CommandResult calibrate(const TemporaryFolder& scratch, std::vector<std::string> arguments,
                        std::vector<std::pair<std::string, std::string>> environment = {}) {
  arguments.insert(arguments.begin(), "calibrate");
  environment.emplace_back("OMP_NUM_THREADS", "1");
  return run_command(arguments, {.folder = scratch.path().string(), .environment = environment});
}

/// In three seconds, or on a machine so busy that those do not hold a point, in thirty.
CommandResult calibrate_soon(const TemporaryFolder& scratch, const std::vector<std::string>& arguments) {
  CommandResult result;
  for (const char* budget : {"3", "30"}) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--budget-seconds", budget});
    result = calibrate(scratch, all);
    if (result.err.find(" for one point of these models here") == std::string::npos) break;
  }
  return result;
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
  const CommandResult result =
      calibrate_soon(scratch, {"--backend", "cpu", "--models", "./tiny.json", "--out", "new/p.json", "--json"});
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

  const std::vector<std::string> again{"--models", "./tiny.json", "--quick", "--out", "new/p.json"};
  const CommandResult refused = calibrate_soon(scratch, again);
  CHECK(refused.exit == 2);
  CHECK(refused.err ==
        "moesim: --out: got 'new/p.json', which exists, expected a new file, or --force to replace it\n");
  std::vector<std::string> forced = again;
  forced.emplace_back("--force");
  const CommandResult text = calibrate_soon(scratch, forced);
  REQUIRE(text.exit == 0);
  CHECK_THAT(text.out, Contains("ceilings   copy ") && Contains("profile    new/p.json") && Contains("OpenMP threads"));
}

TEST_CASE("A terminated calibration keeps what it measured", "[cli]") {
  if (!has_cpu_backend()) return;
  const TemporaryFolder scratch;
  const std::string file = scratch.path("p.json");
  // the profile is written after the first point: then the signal comes
  RunningProgram running = start_command({"calibrate", "--backend", "cpu", "--models", "olmoe-1b-7b", "--out", file},
                                         {.environment = {{"OMP_NUM_THREADS", "1"}}});
  REQUIRE(soon([&] { return fs::exists(file); }));
  running.send(SIGTERM);
  const CommandResult result = running.wait();
  INFO(result.err);
  CHECK(result.exit == 128 + SIGTERM);
  CHECK_THAT(result.err, Contains("moesim: interrupted: ") && Contains(" points are in " + file));
  const auto profile = nlohmann::json::parse(read(file));
  CHECK(schema_violations(profile, "profile") == "");
  CHECK(profile["complete"] == false);
  CHECK(std::distance(fs::directory_iterator{scratch.path()}, fs::directory_iterator{}) == 1);  // no temporaries
}

TEST_CASE("A backend that is not there is one line and exit 77", "[cli]") {
  const TemporaryFolder scratch;
  const CommandResult result =
      calibrate(scratch, {"--backend", "cuda", "--cuda-worker", MOESIM_FAKE_WORKER_BINARY, "--out", "p.json"},
                {{"MOESIM_FAKE_WORKER", "no_device"}});
  CHECK(result.exit == 77);
  CHECK(result.err == "moesim: calibrate: no CUDA device: the toy is not plugged in\n");
  CHECK_FALSE(fs::exists(scratch.path() / "p.json"));
  const CommandResult unbuilt = calibrate(scratch, {"--backend", "cuda", "--out", "p.json"});
  CHECK(unbuilt.exit == 77);
  // without a worker, or with one that finds no device here; or this machine has a GPU, and the budget is the default
  CHECK_THAT(unbuilt.err, Contains("moesim: calibrate: no "));
}

TEST_CASE("A GPU behind a worker is verified and calibrated", "[cli]") {
  const TemporaryFolder scratch;
  const std::vector<std::string> arguments{
      "--backend",    "cuda",  "--cuda-worker", MOESIM_FAKE_WORKER_BINARY, "--budget-seconds", "5", "--models",
      "mixtral-8x7b", "--out", "g.json"};
  std::vector<std::string> with_json = arguments;
  with_json.emplace_back("--json");
  const CommandResult result = calibrate(scratch, with_json);
  INFO(result.err);
  REQUIRE(result.exit == 0);
  CHECK(schema_violations(nlohmann::json::parse(result.out), "calibrate") == "");
  const auto profile = nlohmann::json::parse(read(scratch.path() / "g.json"));
  CHECK(schema_violations(profile, "profile") == "");
  CHECK(profile["device"]["kind"] == "cuda");
  CHECK(profile["device"]["gemm"][1]["kernel"] == "toy_mma");
  CHECK(profile["operations"][0]["operation"] == "gqa_decode");
  CHECK_THAT(profile["provenance"]["notes"][0].get<std::string>(),
             Contains("1 kernels verified against double precision: relative error 1.0e-03 at worst, seed "));

  std::vector<std::string> again = arguments;
  again.emplace_back("--force");
  const CommandResult wrong = calibrate(scratch, again, {{"MOESIM_FAKE_WORKER", "wrong"}});
  CHECK(wrong.exit == 1);
  CHECK_THAT(wrong.err,
             Contains("toy_mma gemm 1 is wrong on this device (relative error inf, expected 0.004 at most") &&
                 Contains("nothing was timed"));
}

TEST_CASE("When a GPU's worker dies the profile has what was measured", "[cli]") {
  const TemporaryFolder scratch;
  for (const std::string program : {MOESIM_BINARY, MOESIM_CALIBRATE_DEVICE_BINARY}) {
    INFO(program);
    const bool whole = program == MOESIM_BINARY;
    std::vector<std::string> arguments{"calibrate", "--cuda-worker", MOESIM_FAKE_WORKER_BINARY, "--out"};
    if (!whole) arguments = {MOESIM_FAKE_WORKER_BINARY};
    arguments.emplace_back(whole ? "a.json" : "b.json");
    arguments.insert(arguments.end(), {"--models", "mixtral-8x7b", "--budget-seconds", "5"});
    const CommandResult result = run_program(
        program, arguments, {.folder = scratch.path().string(), .environment = {{"MOESIM_FAKE_WORKER", "dies"}}});
    CHECK(result.exit == 1);
    CHECK_THAT(result.err, Contains("died of signal 9; the 1 points measured before are in "));
    const auto profile = nlohmann::json::parse(read(scratch.path() / (whole ? "a.json" : "b.json")));
    CHECK(schema_violations(profile, "profile") == "");
    CHECK(profile["complete"] == false);
  }
}

TEST_CASE("A worker ends with the moesim that started it, also one that hangs", "[cli]") {
  const auto [fault, signal] =
      GENERATE(table<std::string, int>({{"hangs", SIGKILL}, {"hangs", SIGINT}, {"slow", SIGINT}}));
  INFO(fault);
  const TemporaryFolder scratch;
  RunningProgram running =
      start_command({"calibrate", "--backend", "cuda", "--cuda-worker", MOESIM_FAKE_WORKER_BINARY, "--out", "p.json"},
                    {.folder = scratch.path().string(), .environment = {{"MOESIM_FAKE_WORKER", fault}}});
  const pid_t worker = running.next_child();
  REQUIRE(worker > 0);
  REQUIRE(soon([&] { return fs::exists(scratch.path() / "p.json"); }));  // the first point
  CHECK(runs(worker));
  running.send(signal);
  const CommandResult result = running.wait();
  CHECK(result.exit == 128 + signal);
  CHECK(soon([&] { return !runs(worker); }));
  CHECK(schema_violations(nlohmann::json::parse(read(scratch.path() / "p.json")), "profile") == "");
  if (signal == SIGINT) CHECK_THAT(result.err, Contains("moesim: interrupted: ") && Contains(" points are in p.json"));
}

TEST_CASE("The program for a machine with nothing but a GPU writes the same profile", "[cli]") {
  const TemporaryFolder scratch;
  const auto run = [&](std::vector<std::string> arguments, const std::string& fault = "") {
    arguments.insert(arguments.begin(), MOESIM_FAKE_WORKER_BINARY);
    return run_program(MOESIM_CALIBRATE_DEVICE_BINARY, arguments,
                       {.folder = scratch.path().string(), .environment = {{"MOESIM_FAKE_WORKER", fault}}});
  };
  const CommandResult good =
      run({"new/p.json", "--quick", "--budget-seconds", "5", "--models", "64x32x4,mixtral-8x7b"});
  INFO(good.err);
  REQUIRE(good.exit == 0);
  CHECK_THAT(good.out, Contains("Toy GPU") && Contains("toy_library bf16 1.0 TFLOP/s"));
  const auto profile = nlohmann::json::parse(read(scratch.path() / "new/p.json"));
  CHECK(schema_violations(profile, "profile") == "");
  CHECK(profile["provenance"]["program_version"] == MOESIM_EXPECTED_VERSION);
  CHECK(run({"p.json"}, "no_device").exit == 77);
  CHECK(run({"p.json"}, "no_device").err == "calibrate_device: no CUDA device: the toy is not plugged in\n");
  CHECK(run({"p.json", "--models", "mixtral-8x7c"}).exit == 2);
  CHECK_THAT(run({"p.json", "--models", "mixtral-8x7c"}).err, Contains("did you mean mixtral-8x7b?"));
  CHECK_THAT(run({"p.json", "--budget-seconds", "x"}).err, Contains("--budget-seconds: got 'x', expected a positive"));
  CHECK_THAT(run({"p.json", "--dance"}).err, Contains("got the unknown option --dance"));
  CHECK(run({}).exit == 2);
}

TEST_CASE("The script for a GPU compiles only what has changed since the last time", "[cli]") {
  const TemporaryFolder scratch;
  // a compiler that notes what it is asked for; one source includes a header of the test's own
  const std::string compiler = scratch.write("compiler", R"(#!/bin/bash
while [ $# -gt 0 ]; do
  case $1 in -o) out=$2 ;; -MF) list=$2 ;; -c) source=$2 ;; esac
  shift
done
if [ -z "$out" ]; then cat > /dev/null; exit; fi
[ -z "$source" ] || echo "$out: $source" > "$list"
[[ $source != *expert_kernels.cu ]] || echo "  $NOTES/header" >> "$list"
touch "$out"
basename "$out" >> "$NOTES/made"
)");
  fs::permissions(compiler, fs::perms::owner_all);
  scratch.write("header", "");
  const auto built = [&] {
    scratch.write("made", "");
    const CommandResult result = run_program(
        MOESIM_TEST_SOURCE_DIR "/models/kernels/cuda/calibrate.sh", {"--build-only", "--build", scratch.path("build")},
        {.environment = {{"NVCC", compiler}, {"CXX", compiler}, {"NOTES", scratch.path().string()}}});
    INFO(result.err);
    CHECK(result.exit == 0);
    std::istringstream lines{read(scratch.path() / "made")};
    return std::set<std::string>{std::istream_iterator<std::string>{lines}, {}};
  };
  const auto first = built();
  CHECK(first.size() > 40);
  CHECK(first.count("calibrate_device") == 1);
  CHECK(built().empty());
  // a file system may keep times by the tick of the clock
  fs::last_write_time(scratch.path() / "header", fs::file_time_type::clock::now() + std::chrono::seconds{1});
  const auto again = built();
  CHECK(again ==
        std::set<std::string>{"models_kernels_cuda_expert_kernels.cu.o", "moesim-cuda-worker", "time_experts"});
  fs::remove(scratch.path() / "build/sim_cli_signals.cpp.o");
  CHECK(built().count("sim_cli_signals.cpp.o") == 1);
}

TEST_CASE("The usual layers are those of the zoo", "[cli]") {
  for (const moesim::NamedLayer& usual : moesim::usual_layers()) {
    const moesim::Architecture model = moesim::load_architecture(std::string{usual.model});
    CHECK(usual.layer.hidden == model.hidden);
    CHECK(usual.layer.intermediate == model.moe->expert_hidden);
    CHECK(usual.layer.experts == model.moe->experts);
    CHECK(usual.layer.mxfp4 == (model.checkpoint_experts == moesim::NumberFormat::mxfp4));
  }
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
