// Curves, tables and their blending, by hand.

#include "models/kernels/published/kernel_model.hpp"

#include <fmt/format.h>

#include "models/kernels/published/curve_grid.hpp"
#include "models/kernels/published/expert_curves.hpp"
#include "models/units/error.hpp"
#include "models/units/json_fault.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernel_model_testing.hpp"
#include "tests/kernels/kernels_testing.hpp"
#include "tests/kernels/profile_testing.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

/// 100 launches' worth of time apart: t(rows everywhere) = 10 + 2 rows for 4 slots, and 7 with one active slot.
KernelTable four_slots() {
  return {KernelOperation::expert_gemms, "toy", NumberFormat::bf16, {64, 32, 8, 2}, {{{4}, {1, 4, 400}, {7, 12, 210}}}};
}

double us(const ExpertTimes& times, const std::vector<std::int32_t>& rows) {
  return microseconds(times(rows));
}

}  // namespace

TEST_CASE("A curve takes the median of equal sizes and pools what falls", "[kernels]") {
  // sizes 1: {3, 9, 4} -> 4; 2: 8; 4: 6 -> falls: pool {8, 6} with the lower median 6; 8: 20
  const Curve curve = fit_curve({1, 2}, {{8, 20}, {1, 3}, {1, 9}, {2, 8}, {1, 4}, {4, 6}}, 0);
  CHECK(curve.at == std::vector<double>{1, 2});
  CHECK(interpolate(curve, 1) == 4);
  CHECK(interpolate(curve, 2) == 6);
  CHECK(interpolate(curve, 3) == 6);
  CHECK(interpolate(curve, 6) == 13);   // half way from 6 to 20
  CHECK(interpolate(curve, 0.5) == 4);  // nothing below the first knot, or above the last
  CHECK(interpolate(curve, 99) == 20);
}

TEST_CASE("A lookup that remembers its segment says the same from any", "[kernels]") {
  const Curve curve{{}, {1, 3, 7, 20}, {2, 5, 6, 40}, 1};
  for (const double size : {0.5, 1.0, 2.0, 3.0, 6.9, 7.0, 19.0, 20.0, 99.0})
    for (std::size_t from = 0; from < 6; ++from) {
      std::size_t right = from;
      CHECK(interpolate(curve, size, right) == interpolate(curve, size));
    }
}

TEST_CASE("One slow outlier does not lift what follows it", "[kernels]") {
  // 380 pools with the 11 after it, and their lower median is 11: no more falls
  const Curve curve = fit_curve({}, {{1, 10}, {2, 380}, {3, 11}, {4, 12}, {5, 13}}, 0);
  CHECK(interpolate(curve, 2) == 11);
  CHECK(interpolate(curve, 4) == 12);
  CHECK(interpolate(curve, 5) == 13);
}

TEST_CASE("No curve within the tolerance has fewer knots", "[kernels]") {
  // Going to the level that a chord misses most would keep 4 (17 is 19 % below the chord 10 to 32 there, 21) and then
  // need one more on either side; the chords 10-17.6-32 tell all within 7 %.
  const std::vector<CurvePoint> points{{1, 10}, {2, 12}, {3, 14.5}, {4, 17}, {5, 18.5}, {6, 23}, {7, 27}, {8, 32}};
  const Curve curve = fit_curve({}, points, 0.07);
  CHECK(curve.size.size() == 3);
  for (const CurvePoint& point : points)
    CHECK(interpolate(curve, point.size) == Approx(point.microseconds).epsilon(0.07));
}

TEST_CASE("Knots that their neighbours predict are left out", "[kernels]") {
  const std::vector<CurvePoint> points{{1, 10}, {2, 20.2}, {3, 30}, {4, 80}};
  CHECK(fit_curve({}, points, 0.02).size == std::vector<double>{1, 3, 4});  // 20 is 1 % off 20.2
  CHECK(fit_curve({}, points, 0.005).size == std::vector<double>{1, 2, 3, 4});
}

TEST_CASE("Between curves the share of the ceiling is blended", "[kernels]") {
  // the toy GPU reads 1 byte in 1e-6 us; m = 1: bytes 2 n k + 2 (n + k), far above the FLOPs. Both curves take exactly
  // twice their ceiling, so any place between takes twice its own.
  KernelTable table{KernelOperation::gemm, "toy", NumberFormat::bf16, {}, {}};
  const auto ceiling = [](double n, double k) { return (2 * n * k + 2 * (n + k)) * 1e-6; };
  table.curves = {{{1000, 1000}, {1}, {2 * ceiling(1000, 1000)}}, {{4000, 1000}, {1}, {2 * ceiling(4000, 1000)}}};
  const CurveGrid grid{table, toy_gpu()};
  const double places[3][2] = {{1000, 1000}, {2000, 1000}, {8000, 1000}};
  const Nearness nearness[3] = {Nearness::inside, Nearness::between, Nearness::outside};
  for (int i = 0; i < 3; ++i) {
    const TableTime time = grid.time(places[i], 1);
    CHECK(time.microseconds == Approx(2 * ceiling(places[i][0], places[i][1])));
    CHECK(time.nearness == nearness[i]);
  }
}

TEST_CASE("A place between measured ones is told along each axis by the next that were", "[kernels]") {
  // every curve takes n k us at 1 row but (2, 3), which was not measured: along n (1, 3) and (4, 3) say 3 + 1/3 9 = 6,
  // along k (2, 1) and (2, 9) say 2 + 1/4 16 = 6
  KernelTable table{KernelOperation::gemm, "toy", NumberFormat::bf16, {}, {}};
  for (const double n : {1, 2, 4})
    for (const double k : {1, 3, 9})
      if (n != 2 || k != 3) table.curves.push_back({{n, k}, {1}, {n * k}});
  const CurveGrid grid{table, toy_gpu()};
  const double hole[2] = {2, 3}, off_grid[2] = {3, 9}, corners[2] = {1.5, 2};
  CHECK(grid.time(hole, 1).microseconds == Approx(6));
  CHECK(grid.time(hole, 1).nearness == Nearness::between);
  CHECK(grid.time(off_grid, 1).microseconds == Approx(27));
  // of the corners (1, 1), (1, 3), (2, 1) and the hole the first three weigh a quarter each: 1, 3, 2
  CHECK(grid.time(corners, 1).microseconds == Approx(2));
}

TEST_CASE("Beyond the last knot the utilisation is held", "[kernels]") {
  // n = k = 1000 on 4 TFLOP/s: 1e6 rows are 500,000 us of FLOPs; measured 600,000 at 1e6 rows, so 1,200,000 at 2e6
  const KernelTable table{
      KernelOperation::gemm, "toy", NumberFormat::bf16, {}, {{{1000, 1000}, {1, 1e6}, {2, 600000}}}};
  const double place[2] = {1000, 1000};
  const TableTime time = CurveGrid{table, toy_gpu()}.time(place, 2e6);
  CHECK(time.microseconds == Approx(1200000));
  CHECK(time.nearness == Nearness::outside);
}

TEST_CASE("A size that was not measured lies between those that were", "[kernels]") {
  const KernelTable table{KernelOperation::gemm, "toy", NumberFormat::bf16, {}, {{{1000, 1000}, {2, 4, 8}, {3, 4, 6}}}};
  const CurveGrid grid{table, toy_gpu()};
  const double place[2] = {1000, 1000};
  const auto nearness = [&](double size) { return grid.time(place, size).nearness; };
  for (const double size : {2, 4, 8}) CHECK(nearness(size) == Nearness::inside);
  CHECK(nearness(3) == Nearness::between);
  CHECK(grid.time(place, 3).microseconds == 3.5);
  for (const double size : {1, 9}) CHECK(nearness(size) == Nearness::outside);
}

TEST_CASE("Expert curves are exact on balanced rows and add what each expert costs", "[kernels]") {
  const ExpertCurves experts{four_slots(), toy_gpu(), 4};
  CHECK(us(experts, {0, 0, 0, 0}) == 0);
  CHECK(us(experts, {1, 1, 1, 1}) == Approx(12));
  CHECK(us(experts, {100, 100, 100, 100}) == Approx(210));
  CHECK(us(experts, {1, 0, 0, 0}) == Approx(7));
  CHECK(us(experts, {50, 50, 50, 50}) == Approx(110));  // 12 + 196 of 396 rows at 0.5 us
  // one hot expert: 100 rows cost (210 - t0) / 4, each single row (12 - t0) / 4, and t0 once: 210/4 + 3/4 12 = 61.5
  CHECK(us(experts, {100, 1, 1, 1}) == Approx(61.5));
}

TEST_CASE("Where a table goes by tiles an active expert takes as long as a full one", "[kernels]") {
  KernelTable table = four_slots();
  table.tiles = {50, {1, 1, 1, 1, 1, 1}};
  const ExpertCurves tiled{table, toy_gpu(), 4}, plain{four_slots(), toy_gpu(), 4};
  for (const int rows : {1, 2, 40, 60, 100})
    CHECK(us(tiled, {rows, rows, rows, rows}) == Approx(us(plain, {rows, rows, rows, rows})));
  // t0: 0.95 of the least time, which is all that reading a small expert leaves. As many rows spread evenly take 110:
  // of four tiles there are two, or one and three, or those of 200 rows
  const double t0 = 0.95 * 7;
  CHECK(us(tiled, {199, 1, 0, 0}) == Approx(t0 + (110 - t0) * (199. / 50 + 1) / 4));
  CHECK(us(tiled, {50, 50, 50, 50}) == Approx(110));
  CHECK(us(tiled, {150, 48, 1, 1}) == Approx(t0 + (110 - t0) * 6 / 4));
  // half of it by rows
  table.tiles.share.fill(0.5);
  const double halves = us(ExpertCurves{table, toy_gpu(), 4}, {150, 48, 1, 1});
  CHECK(halves == Approx((us(tiled, {150, 48, 1, 1}) + us(plain, {150, 48, 1, 1})) / 2));
  // shares at 0.5, 2, 8, 32, 128 and 512 rows per slot, linear in the logarithm: at 16 rows between 8 and 32
  table.tiles.share = {0, 0, 0, 1, 0, 0};
  const double quarter = us(ExpertCurves{table, toy_gpu(), 4}, {61, 1, 1, 1});
  CHECK(quarter == Approx((us(tiled, {61, 1, 1, 1}) + us(plain, {61, 1, 1, 1})) / 2));
  CHECK(us(ExpertCurves{table, toy_gpu(), 4}, {8, 0, 0, 0}) == Approx(us(plain, {8, 0, 0, 0})));
}

TEST_CASE("Expert times never fall with rows", "[kernels]") {
  const ExpertCurves experts{four_slots(), toy_gpu(), 4};
  std::vector<std::int32_t> rows{0, 0, 0, 0};
  double before = 0;
  for (int i = 0; i < 400; ++i) {
    ++rows[static_cast<std::size_t>(i * 7 % 4)];
    const double now = us(experts, rows);
    CHECK(now >= before);
    before = now;
  }
}

TEST_CASE("A model reads back as it was written", "[kernels]") {
  const KernelModel model = small_kernel_model();
  CHECK(parse_kernel_model(kernel_model_text(model), "m.json") == model);
}

TEST_CASE("Damaged models are refused with the place", "[kernels]") {
  const std::string text = kernel_model_text(small_kernel_model());
  const auto refused = [](const std::string& damaged, const std::string& says) {
    CHECK_THROWS_WITH(parse_kernel_model(damaged, "m.json"), says);
  };
  refused(with(text, "\"version\": 3", "\"version\": 1"),
          "m.json: version: got 1, expected 2 or 3 (import again with this moesim)");
  refused(with(text, "moesim kernel model", "other"),
          "m.json: got no \"format\": \"moesim kernel model\", expected a kernel model of moesim profile import");
  refused(with(text, "[3,9]", "[3,-9]"),
          "m.json: engines[0].tables[1].curves[0], microseconds: got -9, expected a number from 0 to 1e12");
  refused(with(text, "[3,9]", "[3,2]"),
          "m.json: engines[0].tables[1].curves[0]: got 2 us after 3 us, expected times that do not fall");
  refused(with(text, "[3,9]", "[0,9]"), "m.json: engines[0].tables[1].curves[0]: got 0 us, expected times above 0");
  refused(with(text, "[1,64]", "[64,64]"),
          "m.json: engines[0].tables[1].curves[0]: got size 64 after 64, expected sizes that rise, each once");
  refused(with(text, "[512,256]", "[256,256]"),
          "m.json: engines[0].tables[1].curves: got two curves at [256,256], expected one at each place");
  refused(with(text, "\"tiles\":{\"rows\":32", "\"tiles\":{\"rows\":0"),
          "m.json: engines[0].tables[0].tiles.rows: got 0, expected a count of at least 1");
  for (const char* shares : {"[0.0,0.25,1.0,0.75,0.5,1.5]", "[0.0,0.25,1.0,0.75,0.5]", "[0.0,0.25,1.0,0.75,0.5,null]"})
    refused(
        with(text, "[0.0,0.25,1.0,0.75,0.5,0.0]", shares),
        std::string{"m.json: engines[0].tables[0].tiles.share: got "} + shares + ", expected 6 numbers from 0 to 1");
  refused(with(text, "\"operation\":\"gemm\",", "\"operation\":\"gemm\",\"tiles\":{},"),
          "m.json: engines[0].tables[1].tiles: got {}, expected no such key but for experts");
  refused(with(text, "\"kernel\":\"toy_gemm\",", ""),
          "m.json: engines[0].tables[1]: got no key 'kernel', expected it; every key is required");
  refused(
      with(text, "\"gemm\"", "\"gemn\""),
      "m.json: engines[0].tables[1].operation: got gemn, expected an operation of a kernel model; did you mean gemm?");
  refused(with(text, "\"kernel\":\"toy_gemm\",", "\"kernel\":\"toy\",\"kernel\":\"toy_gemm\","),
          "m.json: got key \"kernel\" twice, expected each key once");
  refused(with(text, "\"kernel\":\"toy_gemm\",", "\"kernel\":\"toy_gemm\",\"curves\":[[[1,1],[1],[1]]],"),
          "m.json: got key \"curves\" twice, expected each key once");
  refused(with(text, "\"gemm\"", "\"all_reduce\""),
          "m.json: engines[0].tables[1].axes: got [\"n\",\"k\"], expected []");
  refused(with(text, "[[],[1024", "[[1],[1024"),
          "m.json: collectives[0].tables[0].curves[0]: got [1], expected no axes");
  refused(with(text, "\"collectives\": [", "\"collectives\": [0, "),
          "m.json: collectives[0]: got 0, expected an object with library, version, errors, tables");
  refused(with(text, "\"h100-sxm\"", "\"h100-sxn\""),
          "m.json: gpu: got h100-sxn, expected a name of `moesim list gpus`; did you mean h100-sxm?");
  refused(with(text, "\"points\":6", "\"points\":0"),
          "m.json: engines[0].tables[0].points: got 0, expected a count of at least 1");
  refused("{", "m.json:1:2: got the end of the file, expected a key in double quotes");
  refused(with(text, "[3,9]", "[3 9]"),
          fmt::format("m.json:{}: got 9, expected ',' or ']'", line_and_column(text, text.find("[3,9]") + 3)));
}

TEST_CASE("A model that says what no import would say is refused", "[kernels]") {
  const KernelModel model = small_kernel_model();
  const std::string text = kernel_model_text(model);
  const auto refused = [](const std::string& damaged, const std::string& says) {
    CHECK_THROWS_WITH(parse_kernel_model(damaged, "m.json"), "m.json: " + says);
  };
  refused(with(text, "\"top_k\":8", "\"top_k\":200"),
          "engines[0].tables[0].dimensions.top_k: got 200 of 128 experts, expected at most all of them");
  refused(with(text, "[[16],[8", "[[160],[8"),
          "engines[0].tables[0].curves, slots: got 160 of 128 experts, expected a whole number, at most all of them");
  refused(with(text, "[[16],[8", "[[16.5],[8"),
          "engines[0].tables[0].curves, slots: got 16.5 of 128 experts, expected a whole number, at most all of them");
  refused(with(text, "\"experts\":256,\"top_k\":8", "\"experts\":256,\"top_k\":257"),
          "collectives[0].tables[1].dimensions.top_k: got 257 of 256 experts, expected at most all of them");
  // 256 x 256 in bf16 and one row are 132,096 B: 0.03943 us at 3.35 TB/s; half is believed, and 0.9 of that in a fit
  refused(
      with(text, "[3,9]", "[0.0177,9]"),
      "engines[0].tables[1].curves, curve 0: got 0.0177 us at m 1, expected at least 0.01774: the peaks of h100-sxm "
      "allow no less for gemm in bf16");
  CHECK_NOTHROW(parse_kernel_model(with(text, "[3,9]", "[0.0178,9]"), "m.json"));
  // 16 slots read 16 x 3 x 4096 x 1536 B in fp8 with scales: 90.28 us with the rows, of which 0.45
  refused(with(text, "30.5,41.25,99", "30.5,31,99"),
          "engines[0].tables[0].curves, curve 0: got 31 us at rows 16, expected at least 40.63: the peaks of h100-sxm "
          "allow no less for experts in fp8_block");
  // 128 slots and 1,024 rows, 128 tokens: 1,200 us, 9.375 each
  const auto per_token = [&](const std::string& microseconds) {
    return with(text, "\"points\":6", "\"points\":6,\"per_token_us\":" + microseconds);
  };
  refused(per_token("12"),
          "engines[0].tables[0].per_token_us: got 12, expected at most 9.375, which a token takes in the whole block");
  CHECK_NOTHROW(parse_kernel_model(per_token("9"), "m.json"));
  KernelModel twice = model;
  twice.engines.front().tables.push_back(model.engines.front().tables[1]);
  refused(kernel_model_text(twice),
          "engines[0].tables[3]: got gemm of toy_gemm in bf16 again, expected another operation, kernel, format or "
          "other dimensions than in tables[1]");
}

TEST_CASE("Two engines or libraries of one name are refused", "[kernels]") {
  KernelModel model = small_kernel_model();
  model.engines.push_back(model.engines.front());
  model.engines.back().version = "2.0";
  CHECK_THROWS_WITH(parse_kernel_model(kernel_model_text(model), "m.json"),
                    "m.json: engines[1].engine: got toyrt, expected another name than that of engines[0]");
  model.engines.pop_back();
  model.collectives.push_back(model.collectives.front());
  CHECK_THROWS_WITH(parse_kernel_model(kernel_model_text(model), "m.json"),
                    "m.json: collectives[1].library: got nccl, expected another name than that of collectives[0]");
}

TEST_CASE("An engine that the model lacks is named with those it has", "[kernels]") {
  const KernelModel model = small_kernel_model();
  CHECK(find_engine(model, "auto", "kernels.engine").name == "toyrt");
  CHECK_THROWS_WITH(find_engine(model, "toyr", "kernels.engine"),
                    "kernels.engine: got toyr, expected an engine of profile toy: toyrt; did you mean toyrt?");
}

TEST_CASE("A calibrated profile of no GPU in the catalogue is named as what it is", "[kernels]") {
  const TemporaryFolder scratch;
  Profile profile = small_profile();
  const std::string cpu = scratch.write("cpu.json", profile_text(profile));
  CHECK_THROWS_WITH(load_kernel_model(cpu),
                    cpu +
                        ": got a profile of moesim calibrate --backend cpu, measured on 'toy \"CPU\"', expected a "
                        "profile of a GPU; this one is for moesim replay SCENARIO --backend cpu --profile FILE");
  profile.device.kind = DeviceKind::cuda;
  profile.device.name = "NVIDIA Toy";
  const std::string cuda = scratch.write("cuda.json", profile_text(profile));
  CHECK_THROWS_WITH(load_kernel_model(cuda),
                    cuda +
                        ": got a profile of moesim calibrate --backend cuda, measured on 'NVIDIA Toy', expected a "
                        "device of `moesim list gpus`: the name of its entry in `moesim list gpus`");
}

TEST_CASE("A calibrated profile becomes a model of its balanced points", "[kernels]") {
  Profile profile = small_profile();
  profile.points[0].shape.format = KernelFormat::bf16;  // 2 experts with 8 rows each: 16 rows in 1.25 ms
  const KernelModel model = kernel_model_of(profile, "mine", "h100-sxm");
  CHECK(model.origin.kind == KernelSource::calibrated);
  REQUIRE(model.engines.front().tables.size() == 1);  // the other point is skewed, in f32 and held out
  const KernelTable& table = model.engines.front().tables.front();
  CHECK(table.operation == KernelOperation::expert_gemms);
  CHECK(table.curves == std::vector<Curve>{{{2}, {16}, {1250}}});
  CHECK(parse_kernel_model(kernel_model_text(model), "m.json") == model);
  profile.points[0].shape.format = KernelFormat::mxfp4;
  CHECK(kernel_model_of(profile, "mine", "h100-sxm").engines.front().tables.front().format == NumberFormat::mxfp4);
  profile.points[0].shape.format = KernelFormat::f32;
  CHECK_THROWS_WITH(kernel_model_of(profile, "mine", "h100-sxm"),
                    "mine: got no balanced point in a format of the scenarios, expected a calibrated profile");
}
