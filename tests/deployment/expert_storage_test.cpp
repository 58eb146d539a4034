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
  const StoredExperts all = stored_experts(model, formats, two_ranks(), {}, 1);
  CHECK(all.on_gpu.value() == Approx(2 * wide + narrow));  // rank 0; rank 1 has two of them
  CHECK(all.elsewhere.value() == 0);
  CHECK(all.largest.value() == Approx(wide));
  const StoredExperts some = stored_experts(model, formats, two_ranks(), {false, true, false, true, false, false}, 1);
  CHECK(some.on_gpu.value() == Approx(wide));         // rank 1: expert 0; rank 0 keeps the narrow one
  CHECK(some.elsewhere.value() == Approx(2 * wide));  // rank 0: experts 0 and 2
  CHECK(stored_experts(model, formats, two_ranks(), {}, 2).on_gpu.value() == Approx(wide + narrow / 2));
}
