// Curves, their blending, and experts read off them, by hand.

#include "models/kernels/published/curve_grid.hpp"
#include "models/kernels/published/expert_curves.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernels_testing.hpp"

using namespace moesim;
using namespace moesim::testing;

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

TEST_CASE("By tiles a row that fills one up makes a batch hardly faster, and one more tile makes it slower",
          "[kernels]") {
  KernelTable table = four_slots();
  table.tiles = {16, {1, 1, 1, 1, 1, 1}};
  const ExpertCurves experts{table, toy_gpu(), 4};
  std::vector<std::int32_t> rows{0, 0, 0, 0};
  double before = 0;
  for (int i = 0; i < 400; ++i) {
    ++rows[static_cast<std::size_t>(i / 100)];  // one expert after the other
    const double now = us(experts, rows);
    INFO(i);
    CHECK(now >= 0.995 * before);
    before = now;
  }
  CHECK(us(experts, {64, 16, 16, 16}) > 1.05 * us(experts, {48, 16, 16, 16}));
}
