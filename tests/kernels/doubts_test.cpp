// Tables that are hard to believe are named.

#include "models/kernels/published/doubts.hpp"

#include "models/kernels/published/kernel_ceiling.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernels_testing.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

/// Prompts of 1,024 tokens, 64 to 512 of (sequence, head), whose times are `over` times the ceiling.
KernelTable prompts(int head_dim, double over) {
  KernelTable table{KernelOperation::prefill_attention, "toy", NumberFormat::bf16, {head_dim}, {}};
  const std::vector<double> at{8, 1024};
  Curve curve{at, {64, 128, 256, 512}, {}};
  const KernelCeiling ceiling{toy_gpu(), table};
  for (const double size : curve.size) curve.microseconds.push_back(over * ceiling.microseconds(at, size));
  table.curves.push_back(curve);
  return table;
}

KernelModel model(std::vector<KernelTable> of_a, std::vector<KernelTable> of_b) {
  return {"toy", "toy", "toy", {}, {{"a", "1", std::move(of_a), {}}, {"b", "1", std::move(of_b), {}}}};
}

}  // namespace

TEST_CASE("Tables near the ceiling raise no doubt", "[kernels]") {
  CHECK(doubts(model({prompts(64, 1.5), prompts(128, 1.9)}, {prompts(128, 1.1)}), toy_gpu()).empty());
}

TEST_CASE("A table that takes twice as long as is usual for its operation is doubted", "[kernels]") {
  const KernelModel of = model({prompts(64, 4), prompts(128, 1.9)}, {prompts(64, 1.5), prompts(128, 1.7)});
  // the median of 1.5, 1.7, 1.9 and 4 is 1.8, and only 4 is twice that
  const std::vector<Doubt> found = doubts(of, toy_gpu());
  REQUIRE(found.size() == 1);
  CHECK(found[0].line ==
        "doubtful: a prefill_attention, 1 of 2 tables: long ones take 4.0 times the roofline, where 1.8 is usual");
  CHECK_FALSE(found[0].all);
  CHECK(doubts(model({prompts(64, 3.5)}, {prompts(64, 1.5)}), toy_gpu()).empty());  // two tables say nothing of a third
}

TEST_CASE("Where all tables of an operation are doubtful another engine's stand in", "[kernels]") {
  KernelModel of = model({prompts(64, 4), prompts(256, 5)}, {prompts(64, 1.5), prompts(128, 1.7), prompts(128, 1.6)});
  of.engines[1].tables[2].kernel = "another toy";
  of.engines[1].errors = {{KernelOperation::prefill_attention, "inside", 9, 0.01, 0.02, 0.03, 0, "roofline", 1, 1}};
  note_doubts(of, toy_gpu());
  CHECK(of.engines[0].stand_ins == std::map<KernelOperation, std::string>{{KernelOperation::prefill_attention, "b"}});
  CHECK(of.engines[1].stand_ins.empty());
  CHECK(of.engines[0].tables[0].doubtful);
  CHECK_FALSE(of.engines[1].tables[0].doubtful);
  REQUIRE(of.origin.notes.size() == 1);
  CHECK_THAT(of.origin.notes[0], Catch::Matchers::Contains("; those of b stand in where it has the shape"));

  const EngineModel taken = with_stand_ins(of, of.engines[0]);
  REQUIRE(taken.tables.size() == 4);  // heads of 256 are the engine's own: the other has none
  CHECK(taken.tables[0] == of.engines[0].tables[1]);
  CHECK(taken.tables[0].lender.empty());
  CHECK(taken.tables[1].kernel == "toy");
  CHECK(taken.tables[1].lender == "b");
  CHECK(taken.tables[1].curves == of.engines[1].tables[0].curves);
  CHECK(taken.errors == of.engines[1].errors);
  of.gpu = "h100-sxm";
  of.origin = {KernelSource::published, "someone", "1", "2026-01-01", "free", of.origin.notes};
  CHECK(parse_kernel_model(kernel_model_text(of), "m.json") == of);
}

TEST_CASE("Partly doubtful tables stay", "[kernels]") {
  KernelModel of = model({prompts(64, 4), prompts(128, 1.9)}, {prompts(64, 1.5), prompts(128, 1.7)});
  note_doubts(of, toy_gpu());
  CHECK(of.engines[0].stand_ins.empty());
}
