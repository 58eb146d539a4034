// Two kernel models side by side, by hand.

#include "models/kernels/published/model_comparison.hpp"

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernel_model_testing.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

/// An engine with dense products at [n, k], microseconds at m = 1 and 64.
KernelModel model_of(const std::string& engine, std::vector<Curve> curves) {
  KernelModel model;
  model.name = "m " + engine;
  model.gpu = "h100-sxm";
  model.engines.push_back(
      {engine, "1", {{KernelOperation::gemm, "mm", NumberFormat::bf16, {}, std::move(curves)}}, {}});
  return model;
}

}  // namespace

TEST_CASE("Ratios are taken at the knots of both curves where both were measured", "[kernels]") {
  // A: 4 us at m = 1 to 16, 8 us at 64. B: from m = 8 on; knots 8 (6 us) and 64 (24 us): over A 6/4, 7.71/4 (at 16,
  // 6 + 18 x 8/56 = 8.571 / 4 = 2.143), 24/8.
  const KernelModel a = model_of("x", {{{256, 256}, {1, 16, 64}, {4, 4, 8}}, {{512, 256}, {1}, {5}}});
  const KernelModel b = model_of("x", {{{256, 256}, {8, 64}, {6, 24}}});
  const ModelComparison comparison = compare_models(a, b);
  REQUIRE(comparison.engines.size() == 1);
  REQUIRE(comparison.engines[0].operations.size() == 1);
  const OperationComparison& gemm = comparison.engines[0].operations[0];
  CHECK(gemm.ratio.points == 3);
  CHECK(gemm.ratio.median == Approx(8.5714 / 4).epsilon(1e-4));
  CHECK(gemm.ratio.p10 == Approx(1.5 + 0.2 * (8.5714 / 4 - 1.5)).epsilon(1e-4));
  CHECK(gemm.ratio.p90 == Approx(8.5714 / 4 + 0.8 * (3 - 8.5714 / 4)).epsilon(1e-4));
  CHECK(gemm.only_a.empty());
}

TEST_CASE("Of several kernels of a shape the fastest is compared", "[kernels]") {
  KernelModel a = model_of("x", {{{256, 256}, {1}, {4}}});
  a.engines[0].tables.push_back({KernelOperation::gemm, "other", NumberFormat::bf16, {}, {{{256, 256}, {1}, {2}}}});
  const KernelModel b = model_of("x", {{{256, 256}, {1}, {6}}});
  CHECK(compare_models(a, b).engines[0].operations[0].ratio.median == 3);
}

TEST_CASE("What one profile alone has is listed", "[kernels]") {
  KernelModel a = small_kernel_model();
  KernelModel b = a;
  b.engines[0].tables.erase(b.engines[0].tables.begin());    // experts
  b.engines[0].tables.back().dimensions = {64};              // heads of 64 instead of 128
  b.engines[0].tables[0].curves = {{{128, 128}, {1}, {3}}};  // no common place
  b.collectives[0].name = "rccl";
  const ModelComparison comparison = compare_models(a, b);
  const auto& operations = comparison.engines[0].operations;
  REQUIRE(operations.size() == 3);
  CHECK(operations[0].operation == KernelOperation::experts);
  CHECK(operations[0].only_a.size() == 1);
  CHECK(operations[0].ratio.points == 0);
  CHECK(operations[1].shapes.size() == 1);
  CHECK(operations[1].shapes[0].ratio.points == 0);
  CHECK(operations[2].only_a == std::vector<TableShape>{{NumberFormat::fp8, {128}}});
  CHECK(operations[2].only_b == std::vector<TableShape>{{NumberFormat::fp8, {64}}});
  CHECK(comparison.collectives.empty());
  CHECK(comparison.only_a == std::vector<std::string>{"nccl"});
  CHECK(comparison.only_b == std::vector<std::string>{"rccl"});
}

TEST_CASE("Profiles without a common engine are refused unless two are named", "[kernels]") {
  const KernelModel a = model_of("x", {{{256, 256}, {1}, {4}}}), b = model_of("y", {{{256, 256}, {1}, {2}}});
  CHECK_THROWS_WITH(compare_models(a, b),
                    "profile compare: got m x with x, m y with y, expected an engine of the same name in both, or "
                    "--engines A,B");
  CHECK(compare_models(a, b, {"x", "y"}).engines[0].operations[0].ratio.median == 0.5);
  CHECK_THROWS_WITH(compare_models(a, b, {"x", "engine"}),
                    "--engines: got engine, expected an engine of profile m y: y");
}
