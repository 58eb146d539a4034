#include "models/deployment/expert_storage.hpp"

#include "models/llm/parameters.hpp"
#include "tests/catch_compat.hpp"
#include "tests/llm/config_text.hpp"

using namespace moesim;

namespace {

/// Two ranks of three slots: 0 1 2 | 0 3 -, expert 0 twice and a slot empty.
Placement two_ranks() {
  return {.layers = 1, .experts = 8, .ranks = 2, .slots_per_rank = 3, .expert_of = {0, 1, 2, 0, 3, -1}};
}

ExpertPopularity popularity() {
  return {.layers = 1, .experts = 8, .top_k = 2, .inclusion = {0.9, 0.5, 0.2, 0.4, 0, 0, 0, 0}};
}

}  // namespace

TEST_CASE("Each rank keeps its own hottest slots, and replicas share their expert's load", "[deployment]") {
  // loads per slot: 0.45 0.5 0.2 | 0.45 0.4 -
  CHECK(hottest_slots(two_ranks(), popularity(), 0) == std::vector<bool>(6, false));
  CHECK(hottest_slots(two_ranks(), popularity(), 1) == std::vector<bool>{false, true, false, true, false, false});
  CHECK(hottest_slots(two_ranks(), popularity(), 2) == std::vector<bool>{true, true, false, true, true, false});
  CHECK(hottest_slots(two_ranks(), popularity(), 7) == std::vector<bool>(6, true));
}

TEST_CASE("Experts weigh what their rank holds in their formats, here and elsewhere", "[deployment]") {
  const Architecture model = parse_architecture(testing::kMixtral, "tiny");  // an expert: 24,576 weights
  ExpertFormats formats{model, NumberFormat::bf16};
  formats.set(0, 1, NumberFormat::int4_group128);
  const double wide = 24576 * 2, narrow = 24576 * 4.125 / 8;
  const StoredExperts all = stored_experts(model, formats, two_ranks(), {}, 1, {0, 1});
  CHECK(all.on_gpu.value() == Approx(2 * wide + narrow));  // rank 0; rank 1 has two of them
  CHECK(all.elsewhere.value() == 0);
  CHECK(all.largest.value() == Approx(wide));
  const StoredExperts some =
      stored_experts(model, formats, two_ranks(), {false, true, false, true, false, false}, 1, {0, 1});
  CHECK(some.on_gpu.value() == Approx(wide));         // rank 1: expert 0; rank 0 keeps the narrow one
  CHECK(some.elsewhere.value() == Approx(2 * wide));  // rank 0: experts 0 and 2
  CHECK(stored_experts(model, formats, two_ranks(), {}, 2, {0, 1}).on_gpu.value() == Approx(wide + narrow / 2));
}

TEST_CASE("A pipeline stage holds its own MoE layers in their own formats", "[deployment]") {
  Architecture model = parse_architecture(testing::kMixtral, "tiny");
  model.layers = 3;
  model.moe_layer = {true, true, true};
  ExpertFormats formats{model, NumberFormat::int8};
  formats.set(0, 0, NumberFormat::bf16);
  formats.set(2, 3, NumberFormat::bf16);
  // Two ranks of one slot: expert 0 and expert 3, in each of three layers.
  const Placement placement{
      .layers = 3, .experts = 8, .ranks = 2, .slots_per_rank = 1, .expert_of = {0, 3, 0, 3, 0, 3}};
  const double wide = 24576 * 2, narrow = expert_bytes(model, NumberFormat::int8, 1).value();
  const StoredExperts first = stored_experts(model, formats, placement, {}, 1, {0, 2});
  CHECK(first.on_gpu.value() == Approx(wide + narrow));  // rank 0: layer 0 wide, layer 1 narrow
  CHECK(first.largest.value() == Approx(wide));
  const StoredExperts middle = stored_experts(model, formats, placement, {}, 1, {1, 2});
  CHECK(middle.on_gpu.value() == Approx(narrow));
  CHECK(middle.largest.value() == Approx(narrow));
  const StoredExperts last =
      stored_experts(model, formats, placement, {false, false, true, true, false, true}, 1, {2, 3});
  CHECK(last.on_gpu.value() == Approx(wide));       // rank 1: expert 3 stays
  CHECK(last.elsewhere.value() == Approx(narrow));  // rank 0: expert 0 lies elsewhere
}
