// `moesim replay`: histograms of a simulated run on this machine's processors.

#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include "sim/cli/replay_run.hpp"
#include "sim/cli/replay_sample.hpp"
#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/cli/small_scenario.hpp"
#include "tests/kernels/kernel_model_testing.hpp"
#include "tests/kernels/profile_testing.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

constexpr auto kScenario =
    "model: ./tiny.json\ncluster: {gpu: h100-sxm, gpus_per_node: 2}\nworkload: {phase: decode, tokens_per_gpu: 16, "
    "context: 1024, steps: 4}\nrouting: {kind: zipf, exponent: 1.0}\n";

/// Uniform points of 4 experts at 1 and 1,024 rows, 1 us and 1 ms an expert.
std::string tiny_profile(int hidden, KernelFormat format = KernelFormat::f32) {
  Profile profile = small_profile();
  profile.drift = Drift{3, 0.25};
  profile.points = {profile_point({1, 1, 1, 1}, Seconds{4e-6}), profile_point({1024, 1024, 1024, 1024}, Seconds{4e-3})};
  for (ProfilePoint& point : profile.points) point.shape = {hidden, 128, 4, format};
  return profile_text(profile);
}

CommandResult replay(const TemporaryFolder& scratch, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "replay");
  return run_command(arguments, {.folder = scratch.path().string(), .environment = {{"OMP_NUM_THREADS", "1"}}});
}

/// Experts that take 2 us a row.
class SlowBackend final : public ExpertBackend {
public:
  ProfileDevice device() const override { return {}; }
  std::vector<LibraryVersion> libraries() const override { return {}; }
  std::vector<std::string> notes() const override { return {}; }
  std::vector<KernelFormat> formats() const override { return {KernelFormat::f32}; }
  BytesPerSecond measure_copy() override { return {}; }
  std::vector<FormatRate> measure_gemm(KernelFormat) override { return {}; }
  Bytes memory_needed(const KernelShape&, std::int64_t, std::int32_t) const override { return {}; }
  void prepare(const KernelShape&) override {}
  KernelRun run(std::span<const std::int32_t> rows, int calls, Caches) override {
    Seconds time;
    for (const std::int32_t count : rows) time += Seconds{2e-6 * count};
    return {"toy", std::vector<Seconds>(static_cast<std::size_t>(calls), time)};
  }
};

}  // namespace

TEST_CASE("Histograms are classed by their mean and their peak", "[cli]") {
  using Rows = std::vector<std::int32_t>;
  CHECK(class_of(Rows{1, 0, 0, 0}) == "under 1 row, skewed");
  CHECK(class_of(Rows{3}) == "1 to 4 rows, even");
  CHECK(class_of(Rows{16, 16, 16, 16}) == "16 to 64 rows, even");
  CHECK(class_of(Rows{32, 16, 8, 8}) == "16 to 64 rows, uneven");  // 32 / 16 = 2
  CHECK(class_of(Rows{3, 3, 3, 6}) == "1 to 4 rows, uneven");      // 6 / 3.75 = 1.6
  CHECK(class_of(Rows{500, 12, 0, 0}) == "64 to 256 rows, skewed");
}

TEST_CASE("A sample keeps a few of every class, in turns, and each with the same chance", "[cli]") {
  constexpr int kSeen = 400, kKept = 4, kTries = 200;
  int first_half = 0;
  for (int seed = 0; seed < kTries; ++seed) {
    ReplaySample sample{static_cast<std::uint64_t>(seed), kKept};
    for (int i = 0; i < kSeen; ++i) sample.add({i, 0, 0, {16, 16}});
    sample.add({0, 0, 0, {1, 0}});
    CHECK(sample.seen() == kSeen + 1);
    CHECK(sample.seen("16 to 64 rows, even") == kSeen);
    const auto order = sample.by_priority();
    REQUIRE(order.size() == kKept + 1);
    CHECK(order[0].rows.front() == 16);
    CHECK(order[1].rows.front() == 1);
    for (const RankHistogram& one : order)
      if (one.rows.front() == 16) first_half += one.step < kSeen / 2 ? 1 : 0;
  }
  // 800 kept, half of them of the first half; 5 standard deviations are 71
  CHECK(std::abs(first_half - kTries * kKept / 2) < 71);
}

TEST_CASE("Replay errors are predicted over measured", "[cli]") {
  Profile profile;
  profile.points = {profile_point({1}, Seconds{1e-6}), profile_point({1000}, Seconds{1e-3})};  // 1 us a row
  const KernelShape shape = profile.points[0].shape;
  const std::vector<RankHistogram> histograms{{0, 0, 0, {20, 20}}, {0, 0, 1, {40, 0}}, {1, 0, 0, {2, 2}}};
  ReplaySample sample{1};
  for (const RankHistogram& one : histograms) sample.add(one);
  SlowBackend backend;
  const auto replayed = replay(backend, {shape.hidden, shape.intermediate, 2, shape.format},
                               ProfileInterpolation{profile}, histograms, Seconds{10}, [](std::size_t) {});
  REQUIRE(replayed.size() == 3);
  CHECK(replayed[0].predicted.value() == Approx(40e-6));
  CHECK(replayed[0].measured.value() == Approx(80e-6));
  const auto errors = replay_errors(replayed, sample);
  REQUIRE(errors.size() == 4);
  CHECK(errors[0].name == "all");
  CHECK(errors[0].seen == 3);
  CHECK(errors[0].median == Approx(0.5));
  CHECK(errors[0].bias == Approx(-0.5));
  CHECK(errors[0].predicted.value() == Approx((40e-6 + 40e-6 + 4e-6) / 3));
}

TEST_CASE("A scenario is replayed on the processors", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("tiny.json", kTinyModel);
  scratch.write("s.yaml", kScenario);
  scratch.write("p.json", tiny_profile(256));
  const CommandResult result = replay(scratch, {"s.yaml", "--profile", "p.json", "--budget-seconds", "1", "--json"});
  if (result.exit == 77) {
    WARN("skipped: " << result.err);
    return;
  }
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(schema_violations(json, "replay") == "");
  // 4 steps x 2 layers x 2 ranks of 4 experts; none is without rows at 32 tokens
  CHECK(json["classes"][0]["seen"] == 16);
  CHECK(json["experts"]["slots"] == 4);
  CHECK(json["experts"]["format"] == "f32");
  for (const auto& one : json["histograms"]) {
    CHECK(one["rows"].size() == 4);
    CHECK(one["measured_s"] > 0);
  }
  CHECK(json["notes"].size() == 3);  // bf16 in the scenario, the toy's profile, its drift
  const CommandResult text = replay(scratch, {"s.yaml", "--profile", "p.json", "--budget-seconds", "0.5"});
  CHECK_THAT(text.out, Contains("of 16 expert histograms replayed: 4 slots of 256 x 128 in f32") &&
                           Contains("replayed in f32") &&
                           Contains("the device drifted by 25 % while the profile was measured") &&
                           Contains("the profile is of toy \"CPU\" with 2 processors"));
}

TEST_CASE("A scenario is replayed on a device behind a worker", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("tiny.json", kTinyModel);
  scratch.write("s.yaml", kScenario);
  scratch.write("p.json", tiny_profile(256, KernelFormat::bf16));
  const std::vector<std::string> arguments{
      "s.yaml", "--profile", "p.json", "--backend", "cuda", "--cuda-worker", MOESIM_FAKE_WORKER_BINARY, "--json"};
  const CommandResult result = replay(scratch, arguments);
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(schema_violations(json, "replay") == "");
  CHECK(json["predicted_by"] == "profile");
  CHECK(json["executed"] == true);
  CHECK(json["experts"]["format"] == "bf16");
  // the toy: 10 us an expert with rows and 1 us a row
  for (const auto& one : json["histograms"]) {
    double expected = 0;
    for (const int rows : one["rows"]) expected += rows > 0 ? 1e-5 + 1e-6 * rows : 0;
    CHECK(one["measured_s"].get<double>() == Approx(expected));
  }
  setenv("MOESIM_FAKE_WORKER", "no_device", 1);
  const CommandResult missing = replay(scratch, arguments);
  unsetenv("MOESIM_FAKE_WORKER");
  CHECK(missing.exit == 77);
  CHECK(missing.err == "moesim: replay: no CUDA device: the toy is not plugged in\n");
}

TEST_CASE("What calibrate measures of gpt-oss in its own format is what replay finds", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml",
                "model: gpt-oss-120b\ncluster: {gpu: h100-sxm}\nlayout: {attention: {dp: 8}, experts: {ep: 8}}\n"
                "workload: {phase: decode, tokens_per_gpu: 16, context: 1024, steps: 2}\n");
  const CommandResult calibrated =
      run_command({"calibrate", "--backend", "cuda", "--cuda-worker", MOESIM_FAKE_WORKER_BINARY, "--models",
                   "gpt-oss-120b,mixtral-8x7b", "--quick", "--budget-seconds", "20", "--out", "p.json"},
                  {.folder = scratch.path().string()});
  INFO(calibrated.err);
  REQUIRE(calibrated.exit == 0);
  int in_mxfp4 = 0;
  for (const ProfilePoint& point : load_profile(scratch.path() / "p.json").points)
    if (point.shape.format == KernelFormat::mxfp4) {
      ++in_mxfp4;
      CHECK(point.shape.hidden == 2880);
    }
  CHECK(in_mxfp4 > 0);
  const CommandResult result = replay(scratch, {"s.yaml", "--profile", "p.json", "--backend", "cuda", "--cuda-worker",
                                                MOESIM_FAKE_WORKER_BINARY, "--json"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(schema_violations(json, "replay") == "");
  CHECK(json["experts"]["format"] == "mxfp4");
  CHECK(json["experts"]["slots"] == 16);
  CHECK(json["notes"].empty());
  CHECK(json["classes"][0]["worst_error"].get<double>() < 1e-9);  // the toy's experts add up, and so does the profile
  const CommandResult sliced = replay(
      scratch, {"s.yaml", "--profile", "p.json", "--backend", "profile", "--set", "layout.experts={ep: 2, tp: 4}"});
  // 2880 / 4 = 720 columns are 22.5 blocks of 32: padded to 23
  CHECK_THAT(sliced.err, Contains("got no uniform histogram of experts 2880 x 736 in mxfp4"));
}

TEST_CASE("A profile stands for a device and nothing is executed", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("tiny.json", kTinyModel);
  scratch.write("s.yaml", kScenario);
  scratch.write("p.json", tiny_profile(256, KernelFormat::bf16));
  const CommandResult result = replay(scratch, {"s.yaml", "--profile", "p.json", "--backend", "profile", "--json"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(schema_violations(json, "replay") == "");
  CHECK(json["executed"] == false);
  CHECK(json["predicted_by"] == "simulator (roofline)");
  // 1 us an expert up to one row, 1 ms at 1,024, linear between
  for (const auto& one : json["histograms"]) {
    double expected = 0;
    for (const int rows : one["rows"]) expected += rows > 0 ? 1e-6 + (rows - 1) * (1e-3 - 1e-6) / 1023 : 0;
    CHECK(one["measured_s"].get<double>() == Approx(expected));
    CHECK(one["calls"] == 0);
  }
  REQUIRE(json["at_points"].size() == 2);
  CHECK(json["at_points"][0]["replayed"] == 2);
  CHECK(json["at_points"][1]["histograms"] == "uniform");
  CHECK(json["at_points"][0]["measured_s"].get<double>() == Approx((4e-6 + 4e-3) / 2));
  const CommandResult text = replay(scratch, {"s.yaml", "--profile", "p.json", "--backend", "profile"});
  CHECK_THAT(text.out, Contains("of 16 expert histograms compared with a profile: 4 slots of 256 x 128 in bf16, "
                                "predicted by the simulator (roofline)") &&
                           Contains("nothing was executed") && Contains("measured points"));
  scratch.write("other.json", tiny_profile(256));
  CHECK_THAT(replay(scratch, {"s.yaml", "--profile", "other.json", "--backend", "profile"}).err,
             Contains("other.json: got no uniform histogram of experts 256 x 128 in bf16"));
}

TEST_CASE("The simulator's times in a replay are those of the scenario's own kernels", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario =
      "model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\nlayout: {attention: {dp: 8}, experts: {ep: 8}}\n"
      "workload: {phase: decode, tokens_per_gpu: 16, context: 1024, steps: 1}\n";
  scratch.write("roofline.yaml", scenario);
  scratch.write("published.yaml", scenario + "kernels: {profile: h100-sxm, engine: trtllm}\n");
  Profile profile = small_profile();
  profile.points = {profile_point({1}, Seconds{1e-4}), profile_point({1024}, Seconds{1e-3})};
  for (ProfilePoint& point : profile.points) point.shape = {4096, 14336, 1, KernelFormat::bf16};
  scratch.write("p.json", profile_text(profile));
  const auto replayed = [&](const std::string& file) {
    const CommandResult result = replay(scratch, {file, "--profile", "p.json", "--backend", "profile", "--json"});
    INFO(result.err);
    REQUIRE(result.exit == 0);
    return nlohmann::json::parse(result.out);
  };
  const auto roofline = replayed("roofline.yaml"), published = replayed("published.yaml");
  CHECK(roofline["predicted_by"] == "simulator (roofline)");
  CHECK(published["predicted_by"] == "simulator (published)");
  // the same rows: 32 tokens an expert in the mean, whose weights alone take longer than 352 MB at 3.35 TB/s
  REQUIRE(published["histograms"][0]["rows"] == roofline["histograms"][0]["rows"]);
  CHECK(published["histograms"][0]["predicted_s"] != roofline["histograms"][0]["predicted_s"]);
  CHECK(published["histograms"][0]["predicted_s"] > 352e6 / 3.35e12);
}

TEST_CASE("What replay cannot use is one line", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("tiny.json", kTinyModel);
  scratch.write("s.yaml", kScenario);
  scratch.write("p.json", tiny_profile(256));
  CHECK(replay(scratch, {"s.yaml", "--profile", "p.json", "--backend", "cuda", "--cuda-worker", "./none"}).exit == 1);
  CHECK(replay(scratch, {"s.yaml", "--profile", "none.json"}).exit == 2);
  CHECK_THAT(replay(scratch, {"s.yaml", "--profile", "tiny.json"}).err,
             Contains("expected a kernel profile of moesim calibrate"));
  const auto curves = [&](const std::string& profile) {
    const CommandResult result = replay(scratch, {"s.yaml", "--profile", profile, "--backend", "profile"});
    CHECK(result.exit == 2);
    CHECK(result.err ==
          "moesim: --profile: got " + profile +
              ", curves of balanced times, expected a file of `moesim calibrate`, with the histograms "
              "that it measured; for the times of these curves: moesim run s.yaml --set kernels.profile=" +
              profile + "\n");
  };
  curves("h100-sxm");
  scratch.write("curves.json", kernel_model_text(small_kernel_model()));
  curves("curves.json");
  scratch.write("dense.yaml",
                "model: llama-3.1-8b\ncluster: {gpu: h100-sxm}\nlayout: {attention: {tp: 8}}\n"
                "workload: {phase: decode, tokens_per_gpu: 16, context: 1024, steps: 2}\n");
  CHECK(replay(scratch, {"dense.yaml", "--profile", "p.json"}).err ==
        "moesim: dense.yaml: got a model without experts, expected a model with experts\n");
  scratch.write("other.json", tiny_profile(512));
  const CommandResult other = replay(scratch, {"s.yaml", "--profile", "other.json"});
  if (other.exit == 77) return;
  CHECK(other.err ==
        "moesim: other.json: got no uniform histogram of experts 256 x 128 in f32, expected a profile that has them: "
        "calibrate with the model of s.yaml\n");
}
