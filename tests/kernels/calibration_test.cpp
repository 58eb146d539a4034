// Calibration on a device of known law: what is measured, left out, cut off and predicted.

#include "models/kernels/calibration.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "models/kernels/profile_interpolation.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/profile_testing.hpp"
#include "tests/kernels/toy_backend.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

TEST_CASE("A histogram has its rows, and the same ones for the same seed", "[kernels]") {
  const auto kind = GENERATE(HistogramKind::uniform, HistogramKind::multinomial, HistogramKind::zipf,
                             HistogramKind::one_hot, HistogramKind::half_empty);
  INFO(name_of(kind));
  const TokenHistogram histogram = draw_histogram(kind, 1.0, 8, 160, 5);
  CHECK(histogram.rows.size() == 8);
  CHECK(histogram.total() == 160);
  CHECK(histogram == draw_histogram(kind, 1.0, 8, 160, 5));
}

TEST_CASE("Histograms have the form of their kind", "[kernels]") {
  using Rows = std::vector<std::int32_t>;
  CHECK(draw_histogram(HistogramKind::uniform, 0, 4, 8, 1).rows == Rows{2, 2, 2, 2});
  CHECK(draw_histogram(HistogramKind::one_hot, 0, 4, 8, 1).rows == Rows{8, 0, 0, 0});
  CHECK(draw_histogram(HistogramKind::half_empty, 0, 5, 8, 1).rows == Rows{3, 0, 3, 0, 2});
  // zipf 1 over 4 experts: 12/25 of 100,000 rows to the most popular, 3/25 to the least; 5 sigma is 790
  Rows zipf = draw_histogram(HistogramKind::zipf, 1.0, 4, 100'000, 3).rows;
  std::sort(zipf.begin(), zipf.end());
  CHECK(std::abs(zipf[3] - 48'000) < 790);
  CHECK(std::abs(zipf[0] - 12'000) < 790);
  const Rows even = draw_histogram(HistogramKind::multinomial, 0, 4, 100'000, 3).rows;
  for (const std::int32_t rows : even) CHECK(std::abs(rows - 25'000) < 685);
}

TEST_CASE("The plan brings the widest view first, and holds all skew out", "[kernels]") {
  const auto plan = calibration_plan(toy_request(), {KernelFormat::f32, KernelFormat::bf16});
  CHECK(std::is_sorted(plan.begin(), plan.end(), [](const auto& a, const auto& b) { return a.stage < b.stage; }));
  std::set<std::pair<KernelFormat, std::int64_t>> first;
  for (const PlannedPoint& point : plan) {
    const bool uniform = point.histogram.kind == HistogramKind::uniform;
    CHECK((uniform || point.held_out));
    CHECK(point.histogram.rows.size() == static_cast<std::size_t>(point.shape.experts));
    if (point.stage == 0 && uniform) first.emplace(point.shape.format, point.histogram.rows.front());
  }
  CHECK(first.size() == 8);  // 1, 8, 64, 256 rows in two formats
  CHECK(plan == calibration_plan(toy_request(), {KernelFormat::f32, KernelFormat::bf16}));
  auto other = toy_request();
  other.seed = 2;
  CHECK_FALSE(plan == calibration_plan(other, {KernelFormat::f32, KernelFormat::bf16}));
}

TEST_CASE("Layers that are stored in mxfp4 are measured in it and no others are", "[kernels]") {
  CalibrationRequest request = toy_request();
  request.layers = {{256, 128, 8}, {2880, 2880, 8, true}};
  std::set<std::pair<KernelFormat, int>> widths;
  for (const PlannedPoint& point : calibration_plan(request, {KernelFormat::bf16, KernelFormat::mxfp4}))
    widths.emplace(point.shape.format, point.shape.hidden);
  CHECK(widths == std::set<std::pair<KernelFormat, int>>{
                      {KernelFormat::bf16, 256}, {KernelFormat::bf16, 2880}, {KernelFormat::mxfp4, 2880}});
}

TEST_CASE("Ranks hold no more than 1 GiB of experts", "[kernels]") {
  CalibrationRequest request = toy_request();
  request.layers = {{4096, 14336, 8}};  // Mixtral: 0.66 GiB an expert in f32, 0.33 GiB in bf16
  std::set<std::pair<KernelFormat, int>> uniform;
  for (const PlannedPoint& point : calibration_plan(request, {KernelFormat::f32, KernelFormat::bf16}))
    if (point.histogram.kind == HistogramKind::uniform) uniform.emplace(point.shape.format, point.shape.experts);
  CHECK(uniform == std::set<std::pair<KernelFormat, int>>{
                       {KernelFormat::f32, 1}, {KernelFormat::bf16, 1}, {KernelFormat::bf16, 2}});
}

TEST_CASE("A device whose experts add up is predicted exactly", "[kernels]") {
  ToyBackend backend;
  Profile profile = dated_profile();
  calibrate(backend, toy_request(), silent(), profile);
  CHECK(profile.complete);
  CHECK(static_cast<int>(profile.points.size()) == profile.planned);
  REQUIRE_FALSE(profile.hold_out.empty());
  CHECK(profile.hold_out.front().histograms == "all");
  CHECK(profile.hold_out.front().points > 20);
  CHECK(profile.hold_out.front().p90 < 1e-9);
  // one hot, 8 experts: 64 rows take 74 us, the mean of 8 rows on each would take 144 us
  const auto one_hot = std::find_if(profile.hold_out.begin(), profile.hold_out.end(),
                                    [](const HoldOutError& error) { return error.histograms == "one_hot"; });
  REQUIRE(one_hot != profile.hold_out.end());
  CHECK(one_hot->mean_only_median == Approx(144.0 / 74 - 1));
  CHECK(profile.drift->worst == Approx(0).margin(1e-12));
  // 8 experts, 8 rows each: 8 (10 + 8) us
  const auto point = std::find_if(profile.points.begin(), profile.points.end(), [](const ProfilePoint& p) {
    return p.histogram.rows == std::vector<std::int32_t>(8, 8);
  });
  REQUIRE(point != profile.points.end());
  CHECK(point->median.value() == Approx(144e-6));
  CHECK(point->repetitions == 30);
  CHECK(parse_profile(profile_text(profile), "p.json") == profile);
}

TEST_CASE("A stopped calibration leaves a valid profile", "[kernels]") {
  ToyBackend backend;
  Profile profile = dated_profile();
  std::size_t told = 0;
  calibrate(backend, toy_request(),
            {[&] { return told == 5; }, [&](const Profile&, const CalibrationProgress& p) { told = p.done; }}, profile);
  CHECK_FALSE(profile.complete);
  CHECK(profile.points.size() == 5);
  CHECK(parse_profile(profile_text(profile), "p.json") == profile);
  Profile nothing;
  REQUIRE_THROWS_WITH(calibrate(backend, toy_request(), {[] { return true; }, silent().progress}, nothing),
                      "stopped before the first point was measured");
}

TEST_CASE("A budget too small for one point is refused", "[kernels]") {
  ToyBackend backend;
  backend.copy = BytesPerSecond{1000};  // 393,216 B of one expert take 393 s
  Profile profile;
  CHECK_THROWS_WITH(calibrate(backend, toy_request(), silent(), profile),
                    Catch::Matchers::Contains("--budget-seconds: got 100, expected at least ") &&
                        Catch::Matchers::Contains(" for one point of these models here"));
  CHECK(profile.points.empty());
}

TEST_CASE("A point is not begun when the last one's time is more than what is left of the budget", "[kernels]") {
  struct Slow : ToyBackend {  // as on a machine that others use: the calls are quick, all around them is not
    void prepare(const KernelShape& shape) override {
      ToyBackend::prepare(shape);
      ++prepares;
      std::this_thread::sleep_for(std::chrono::milliseconds{300});
    }
    int prepares = 0;
  } slow;
  CalibrationRequest request = toy_request();
  request.budget = Seconds{0.5};  // 0.2 s are left after the first point
  Profile profile = dated_profile();
  calibrate(slow, request, silent(), profile);
  CHECK(slow.prepares == 1);
  CHECK(profile.points.size() == 1);
  CHECK_FALSE(profile.complete);
}

TEST_CASE("A calibration that overshoots its budget by more than a fifth says so", "[kernels]") {
  struct Slow : ToyBackend {
    BytesPerSecond measure_copy() override {
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
      return copy;
    }
    void prepare(const KernelShape& shape) override {
      ToyBackend::prepare(shape);
      std::this_thread::sleep_for(std::chrono::milliseconds{400});
    }
  } slow;
  CalibrationRequest request = toy_request();
  request.budget = Seconds{0.3};
  Profile profile = dated_profile();
  calibrate(slow, request, silent(), profile);
  REQUIRE(profile.points.size() == 1);
  CHECK_THAT(profile.provenance.notes.back(), Contains(" s of a budget of 0.3 s: "));
}

TEST_CASE("Points that the memory or the budget does not hold are left out with a note", "[kernels]") {
  ToyBackend backend;
  backend.memory = Bytes{2 * 4 * 393216.0};  // half of it holds 4 experts in f32, 8 in bf16
  Profile profile;
  calibrate(backend, toy_request(), silent(), profile);
  CHECK(profile.complete);
  for (const ProfilePoint& point : profile.points)
    CHECK(point.shape.experts <= (point.shape.format == KernelFormat::f32 ? 4 : 8));
  REQUIRE(profile.provenance.notes.size() == 1);
  CHECK_THAT(profile.provenance.notes[0], Catch::Matchers::Contains("points left out: they need more than"));
}

TEST_CASE("Between measured rows the time is linear, and beyond them as their ends say", "[kernels]") {
  Profile profile;
  // 2 experts: 2 ms at 4 rows each, 4 ms at 8 rows each, so 1 ms and 2 ms an expert
  profile.points = {profile_point({4, 4}, 2.0_ms), profile_point({8, 8}, 4.0_ms)};
  const ProfileInterpolation model{profile};
  const KernelShape shape = profile.points[0].shape;
  const auto ms = [&](std::vector<std::int32_t> rows) { return 1e3 * model.time(shape, rows)->value(); };
  CHECK(ms({0, 4}) == Approx(1.0));
  CHECK(ms({5, 6}) == Approx(1.25 + 1.5));
  CHECK(ms({1, 2}) == Approx(2.0));   // weights are read all the same
  CHECK(ms({16, 0}) == Approx(4.0));  // 2 ms x 16 / 8
  CHECK(1e3 * model.time_of_mean(shape, std::vector<std::int32_t>{12, 0})->value() == Approx(3.0));  // 2 x 1.5 at 6
  CHECK_FALSE(model.time({64, 33, 2, KernelFormat::f32}, std::vector<std::int32_t>{1, 1}));
  CHECK_FALSE(model.time({64, 32, 2, KernelFormat::bf16}, std::vector<std::int32_t>{1, 1}));
}

TEST_CASE("Beyond the measured rows a curve follows the measured ceilings", "[kernels]") {
  Profile profile;
  profile.points = {profile_point({1}, 1.0_ms)};
  // 64 x 32 in f32: 24,576 B at 1 GB/s are 24.576 us, a row of 12,288 FLOP at 1 GFLOP/s 12.288 us
  profile.device.copy = 1.0_GBps;
  profile.device.gemm = {{KernelFormat::f32, FlopsPerSecond{1e9}, "toy"}};
  const ProfileInterpolation model{profile};
  const auto ms = [&](std::int32_t rows) {
    return 1e3 * model.time(profile.points[0].shape, std::vector<std::int32_t>{rows})->value();
  };
  CHECK(ms(2) == Approx(1.0));  // still bound by reading
  CHECK(ms(8) == Approx(4.0));  // 98.304 / 24.576
}

TEST_CASE("An outlier does not make more rows faster", "[kernels]") {
  Profile profile;
  // per expert 1, 5, 3, 4 ms: 5 and 3 pool to 4
  for (const auto& [rows, time] : {std::pair{1, 1.0_ms}, {2, 5.0_ms}, {4, 3.0_ms}, {8, 4.0_ms}})
    profile.points.push_back(profile_point({rows}, time));
  const ProfileInterpolation model{profile};
  const auto ms = [&](std::int32_t rows) {
    return 1e3 * model.time(profile.points[0].shape, std::vector<std::int32_t>{rows})->value();
  };
  CHECK(ms(1) == Approx(1.0));
  CHECK(ms(2) == Approx(4.0));
  CHECK(ms(4) == Approx(4.0));
  CHECK(ms(8) == Approx(4.0));
}

TEST_CASE("Held-out points and skewed ones do not teach", "[kernels]") {
  Profile profile;
  profile.points = {profile_point({4, 4}, 2.0_ms), profile_point({8, 8}, 99.0_ms), profile_point({8, 0}, 1.5_ms)};
  profile.points[1].held_out = true;
  profile.points[2].histogram.kind = HistogramKind::zipf;
  profile.points[2].held_out = true;
  const auto errors = hold_out_errors(profile);
  // predicted 4 ms (1 ms at 4 rows, as rows beyond: 2 ms an expert) against 99 ms, and 2 ms against 1.5 ms
  REQUIRE(errors.size() == 3);
  CHECK(errors[0].points == 2);
  CHECK(errors[1].median == Approx(1 - 4.0 / 99));
  CHECK(errors[2].median == Approx(2.0 / 1.5 - 1));
  // the mean, 4 rows on both: 2 ms
  CHECK(errors[2].mean_only_median == Approx(2.0 / 1.5 - 1));
}

TEST_CASE("A quantile lies between its neighbours", "[kernels]") {
  CHECK(quantile({3, 1, 2}, 0.5) == 2);
  CHECK(quantile({1, 2, 3, 4}, 0.5) == 2.5);
  CHECK(quantile({10, 0}, 0.9) == Approx(9));
  CHECK(quantile({7}, 0.1) == 7);
}
