// Points told by those around them, and tables that hold them as short texts.

#include "models/kernels/published/neighbours.hpp"

#include "models/kernels/published/curve_scale.hpp"
#include "models/kernels/published/grid_table.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// Microseconds n k m over the grid of 2, 4, 8 on two axes and 1 to 5 as size, but for one point.
MeasuredGrid products(double hole_n, double hole_k, double hole_m) {
  MeasuredGrid grid;
  for (const double n : {2, 4, 8})
    for (const double k : {2, 4, 8})
      for (const double m : {1, 2, 3, 4, 5})
        grid[{n, k}][m] = n == hole_n && k == hole_k && m == hole_m ? 0 : n * k * m;
  return grid;
}

}  // namespace

TEST_CASE("A point is told by chords and corners of its neighbours", "[kernels]") {
  // linear in every axis: all chords say 4 x 4 x 3 = 48, and so do corners: 2 x 4 x 3 times 4 x 4 x 2 over 2 x 4 x 2
  CHECK(Neighbours(products(4, 4, 3), 1).told({4, 4}, 3) == Approx(48));
  // at an end of one axis it has no chord there, but corners: 8 x 8 x 3 from (4, 8, 3) (8, 8, 2) / (4, 8, 2)
  CHECK(Neighbours(products(8, 8, 3), 1).told({8, 8}, 3) == Approx(192));
}

TEST_CASE("No single outlier misleads what its neighbours tell", "[kernels]") {
  MeasuredGrid grid = products(4, 4, 3);
  grid[{2, 4}][3] *= 10;  // spoils one chord of three and four corners of twelve
  const double told = Neighbours(grid, 1).told({4, 4}, 3);
  CHECK(told == Approx(48));
}

TEST_CASE("A step that the neighbours make at a size is made by a point between them", "[kernels]") {
  // from 3 rows on everything takes twice as long; along the point's own curve 2 and 4 rows say 48 where 64 is right
  MeasuredGrid grid = products(4, 4, 3);
  for (auto& [at, sizes] : grid)
    for (auto& [m, microseconds] : sizes)
      if (m >= 3) microseconds *= 2;
  CHECK(Neighbours(grid, 1).told({4, 4}, 3) == Approx(96));
}

TEST_CASE("A point off the grid and a point without neighbours are refused", "[kernels]") {
  CHECK_THROWS_AS(Neighbours(products(0, 0, 0), 1).told({3, 4}, 3), std::out_of_range);
  CHECK_THROWS_AS(Neighbours({{{4}, {{1, 0}}}}, 1).told({4}, 1), std::out_of_range);
  CHECK_THROWS_AS(Neighbours({}, 1), std::out_of_range);
  CHECK(Neighbours({{{4}, {{1, 0}, {2, 7}}}}, 1).told({4}, 1) == 7);  // a single one is taken as it is
}

TEST_CASE("The alignment of a table is found where other sizes are slow", "[kernels]") {
  MeasuredGrid slow_others, smooth;
  for (double m = 1; m <= 40; ++m) {
    smooth[{64, 64}][m] = 10 + m;
    slow_others[{64, 64}][m] = (10 + m) * (is_aligned(m, 4) ? 1 : 1.5);
  }
  CHECK(best_alignment(smooth) == 1);
  CHECK(best_alignment(slow_others) == 4);
}

TEST_CASE("Aligned and other sizes lie on curves of their own", "[kernels]") {
  const Curve curve{{}, {1, 4, 5, 8, 9, 16}, {15, 10, 17, 14, 21, 30}, 1, 4};
  CHECK(interpolate(curve, 4) == 10);
  CHECK(interpolate(curve, 5) == 17);
  CHECK(interpolate(curve, 12) == 22);  // half way from 8 to 16, past 9
  CHECK(interpolate(curve, 3) == 16);   // half way from 1 to 5, past 4
  CHECK(interpolate(curve, 7) == 19);   // half way from 5 to 9, past 8
  // behind the last that is not aligned: at 9 the aligned take 14 + 1/8 16 = 16, so 21 / 16 of the 26 at 14
  CHECK(interpolate(curve, 14) == Approx(26 * 21.0 / 16));
  CHECK(interpolate(curve, 99) == 30);
}

TEST_CASE("Between its ends a curve with an alignment says something for any size", "[kernels]") {
  const auto trial = GENERATE(range(0u, 50u));
  constexpr std::uint64_t kSeed = 20261123;
  INFO("seed " << kSeed << ", trial " << trial);
  Random random{kSeed, Purpose::test, trial, 7};
  Curve curve{{}, {}, {}, 1, 4};
  double size = 0;
  for (std::uint32_t knots = 1 + random.below(6); knots > 0; --knots) {
    curve.size.push_back(size += 1 + random.below(5));
    curve.microseconds.push_back(10 + 20 * random.uniform());
  }
  for (double at = 0; at <= size + 2; at += 0.5) {
    const double told = interpolate(curve, at);
    CHECK(told > 1);
    CHECK(told < 300);
  }
  for (std::size_t i = 0; i < curve.size.size(); ++i)
    CHECK(interpolate(curve, curve.size[i]) == Approx(curve.microseconds[i]));
}

TEST_CASE("Times on the scale are within half a percent", "[kernels]") {
  CHECK(on_scale(1) == 1);
  CHECK(on_scale(4) == Approx(std::exp(1.39)));  // ln 4 = 1.3863
  for (const double us : {0.001, 0.37, 12.34, 567.8, 1e6, 9.9e11}) CHECK(on_scale(us) == Approx(us).epsilon(0.00502));
}

TEST_CASE("A packed curve reads back as it was", "[kernels]") {
  const std::vector<double> sizes{1, 2, 3, 4, 8, 9};
  // digits count from '!' without '"': step 0 is -1000 + 91 x 10 + 90: '~', the digits 10 and 90. Then + 1 is digit 21,
  // a gap, + 70 from the last is digit 90, and - 81 is too far: step -10 is 91 x 10 + 80 - 1000.
  const Curve curve{{},
                    {1, 2, 4, 9},
                    {on_scale(1), on_scale(std::exp(0.01)), on_scale(std::exp(0.71)), on_scale(std::exp(-0.10))},
                    1,
                    1};
  const auto text = packed(curve, sizes);
  REQUIRE(text);
  CHECK(*text == "~,}7 } ~,s");
  CHECK(unpacked(*text, sizes, 1) == curve);
  CHECK_FALSE(packed(curve, {1, 2, 4}));
  CHECK_FALSE(packed(Curve{{}, {1}, {4}}, {1}));
  for (const char* bad : {"", " ", "7", "~", "~,", "~,}7777777", "~,}\x7f", "~,\"", "~}}", "~ab~~~"}) {
    INFO(bad);
    CHECK_FALSE(unpacked(bad, sizes, 1));
  }
}

TEST_CASE("A step up is counted from the last size of the same alignment", "[kernels]") {
  // 4: step 0, 5: step 50, 8: step 1 (digit 21 after 4's), 9: step 50 again (digit 20 after 5's)
  const Curve curve{
      {}, {4, 5, 8, 9}, {1, on_scale(std::exp(0.5)), on_scale(std::exp(0.01)), on_scale(std::exp(0.5))}, 1, 4};
  CHECK(packed(curve, curve.size) == "~,}i76");
  CHECK(unpacked("~,}i76", curve.size, 4) == curve);
}

TEST_CASE("A table of measured points holds them and tells what was held out", "[kernels]") {
  const KernelTable table = grid_table({KernelOperation::gemm, "toy", NumberFormat::bf16, {}, {}}, products(4, 4, 3));
  REQUIRE(table.curves.size() == 9);
  const Curve& middle = table.curves[4];
  CHECK(middle.at == std::vector<double>{4, 4});
  CHECK(middle.alignment == 1);
  CHECK(middle.size == std::vector<double>{1, 2, 3, 4, 5});
  CHECK(middle.microseconds[1] == on_scale(32));
  CHECK(middle.microseconds[2] == on_scale(48));
}
