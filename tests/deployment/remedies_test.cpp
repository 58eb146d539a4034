#include <cmath>
#include <regex>

#include "models/deployment/deployment.hpp"
#include "models/units/random.hpp"
#include "models/units/text.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;
using Catch::Matchers::Contains;

namespace {

struct Misfit {
  Architecture model;
  Precision precision;
  Gpu gpu;
  Layout layout;
  RankBatch batch;
  double memory_fraction = 0.9;
  int gpus_per_node = 0;

  MemoryInputs inputs() const {
    return {.model = model,
            .precision = precision,
            .layout = layout,
            .gpu = gpu,
            .slots_per_rank = 0,
            .memory_fraction = memory_fraction,
            .batch = batch,
            .gpus_per_node = gpus_per_node};
  }
  MemoryFit fit() const { return fit_memory(inputs()); }
  std::vector<std::string> remedies() const { return memory_remedies(inputs(), fit()); }
};

Misfit misfit(const std::string& name, const std::string& gpu, const LayoutSpec& spec, Precision precision,
              RankBatch batch) {
  Misfit m;
  m.model = load_architecture(name);
  m.precision = precision;
  m.gpu = find_gpu(gpu, "cluster.gpu");
  m.layout = make_layout(spec, m.model, 1 << 20, AllToAll::automatic);
  m.batch = batch;
  return m;
}

const Precision kFp8{.weights = NumberFormat::fp8_block, .experts = NumberFormat::fp8_block};

std::string one_with(const std::vector<std::string>& remedies, const std::string& words) {
  for (const std::string& remedy : remedies)
    if (remedy.find(words) != std::string::npos) return remedy;
  return {};
}

}  // namespace

TEST_CASE("What fits needs no remedy", "[deployment]") {
  CHECK(misfit("mixtral-8x7b", "h100-sxm", {.attention_dp = 8, .expert_ep = 8}, {}, {Phase::decode, 1, 1, 128})
            .remedies()
            .empty());
}

TEST_CASE("Weights that do not fit: fewer bits, more GPUs or a larger GPU", "[deployment]") {
  const Misfit v3 =
      misfit("deepseek-v3", "h100-sxm", {.attention_dp = 8, .expert_ep = 8}, kFp8, {Phase::decode, 8, 1, 4096});
  CHECK_FALSE(v3.fit().fits);
  const auto remedies = v3.remedies();
  REQUIRE(remedies.size() == 3);

  // The same numbers by asking again.
  Misfit smaller = v3;
  smaller.precision = {.weights = NumberFormat::int4_group128, .experts = NumberFormat::int4_group128};
  CHECK(remedies[0] == "precision.weights and precision.experts int4_group128: " + human(smaller.fit().needed) +
                           " of " + human(smaller.fit().capacity) + " per GPU");
  CHECK(smaller.fit().fits);

  Misfit wider = v3;
  wider.layout = make_layout({.attention_dp = 16, .expert_ep = 16}, v3.model, 16, AllToAll::automatic);
  CHECK(remedies[1] == "16 GPUs with as much work each (attention tp1 x dp16, experts ep16 x tp1 on 16 ranks): " +
                           human(wider.fit().needed) + " of " + human(wider.fit().capacity) + " per GPU");
  CHECK(wider.fit().fits);

  Misfit larger = v3;
  larger.gpu = find_gpu("h200-sxm", "cluster.gpu");
  CHECK(remedies[2] == "cluster.gpu h200-sxm (" + human(larger.gpu.memory) + "): " + human(larger.fit().needed) +
                           " of " + human(larger.fit().capacity) + " per GPU");
  CHECK(larger.fit().fits);
}

TEST_CASE("A small share of the memory is raised first, as far as is enough", "[deployment]") {
  Misfit tight =
      misfit("mixtral-8x7b", "h100-sxm", {.attention_dp = 8, .expert_ep = 8}, {}, {Phase::decode, 64, 1, 2048});
  REQUIRE(tight.fit().fits);  // 33.9 GiB of 72
  tight.memory_fraction = 0.1;
  const auto remedies = tight.remedies();
  REQUIRE(remedies.size() == 3);
  std::smatch found;
  REQUIRE(std::regex_search(remedies[0], found, std::regex{"^memory_fraction (0\\.[0-9]+): "}));
  tight.memory_fraction = std::stod(found[1]);
  CHECK(tight.fit().fits);
  tight.memory_fraction -= 0.01;
  CHECK_FALSE(tight.fit().fits);
  // 300 x 2,064 tokens x 128 KiB = 75.6 GiB of cache: no share is enough
  tight.batch.sequences = 300;
  CHECK(one_with(tight.remedies(), "memory_fraction").empty());
}

TEST_CASE("A GPU whose node is another size comes with the size of this cluster's", "[deployment]") {
  // 4 KV heads cannot be cut into 32: each rank caches one of them for all sequences, 189 GiB.
  Misfit wide =
      misfit("qwen3-235b-a22b", "h100-sxm", {.attention_tp = 32, .expert_ep = 32}, {}, {Phase::decode, 1024, 1, 4096});
  wide.gpus_per_node = 8;
  const std::string larger = one_with(wide.remedies(), "cluster.gpu ");
  INFO(larger);
  REQUIRE(larger.find("nvl72") != std::string::npos);
  CHECK_THAT(larger, Contains(" with cluster.gpus_per_node 8: "));
  wide.gpus_per_node = 72;
  CHECK_THAT(one_with(wide.remedies(), "cluster.gpu "), !Contains("gpus_per_node"));
}

TEST_CASE("Counts in a remedy are whole numbers without an exponent", "[deployment]") {
  const Misfit many =
      misfit("mixtral-8x7b", "b200-sxm", {.attention_dp = 8, .expert_ep = 8}, {}, {Phase::decode, 10'000'000, 1, 128});
  CHECK_THAT(one_with(many.remedies(), "sequences per GPU"), Contains(" instead of 10000000 sequences per GPU"));
}

TEST_CASE("A batch remedy names the largest batch that fits", "[deployment]") {
  Misfit full =
      misfit("mixtral-8x7b", "b200-sxm", {.attention_dp = 8, .expert_ep = 8}, {}, {Phase::decode, 5000, 1, 4096});
  CHECK(full.fit().breaking_line == "KV cache");
  const auto remedies = full.remedies();
  REQUIRE(remedies.size() == 3);
  const std::string batch = one_with(remedies, "sequences per GPU");
  std::smatch found;
  REQUIRE(std::regex_search(batch, found, std::regex{"(\\d+) instead of 5000 sequences per GPU"}));
  full.batch.sequences = std::stod(found[1]);
  CHECK(full.fit().fits);
  full.batch.sequences += 1;
  CHECK_FALSE(full.fit().fits);
}

TEST_CASE("More ranks than experts come with the redundancy that they need", "[deployment]") {
  // 150 x 4,112 tokens x 131,072 B = 81 GB of cache; on 16 GPUs half of it, and 2 x 8 slots for 8 experts
  const Misfit m =
      misfit("mixtral-8x7b", "h100-sxm", {.attention_dp = 8, .expert_ep = 8}, {}, {Phase::decode, 150, 1, 4096});
  CHECK(m.fit().breaking_line == "KV cache");
  CHECK_THAT(
      one_with(m.remedies(), "GPUs"),
      Contains(
          "16 GPUs for the same batch (attention tp1 x dp16, experts ep16 x tp1 on 16 ranks, placement.policy eplb "
          "with 8 redundant): "));
}

TEST_CASE("Whatever does not fit gets three remedies that do", "[deployment]") {
  const std::vector<std::string> models{"mixtral-8x7b", "deepseek-v3", "deepseek-v2-lite", "qwen3-235b-a22b",
                                        "qwen3-8b"};
  const std::regex needed{": ([0-9.]+ [KMGT]iB) of ([0-9.]+ [KMGT]iB) per GPU$"};
  int misfits = 0;
  for (std::uint32_t seed = 0; seed < 120; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 6, 0};
    const std::string name = models[random.below(static_cast<std::uint32_t>(models.size()))];
    const int ranks = 1 << random.below(5);
    const bool dense = name == "qwen3-8b", data = !dense && random.below(2) == 0;
    const int tp = std::min(ranks, 16);
    const LayoutSpec spec =
        data ? LayoutSpec{.attention_dp = ranks, .expert_ep = ranks} : LayoutSpec{.attention_tp = tp, .expert_tp = tp};
    const bool decode = random.below(2) == 0;
    const double sequences = std::exp2(random.below(13)), tokens = std::exp2(8 + random.below(8));
    const RankBatch batch{decode ? Phase::decode : Phase::prefill, decode ? sequences : std::exp2(random.below(4)),
                          decode ? 1 : tokens, decode ? tokens : 0};
    const std::string gpu = std::vector<std::string>{"a100-sxm", "h100-sxm", "h200-sxm", "b200-sxm"}[random.below(4)];
    const Misfit m = misfit(name, gpu, spec, random.below(2) == 0 ? Precision{} : kFp8, batch);
    if (m.fit().fits) continue;
    ++misfits;
    INFO(name << " on " << gpu << ", " << describe(m.layout) << ", sequences " << batch.sequences << " new "
              << batch.new_tokens << " context " << batch.context);
    const auto remedies = m.remedies();
    CHECK(remedies.size() == 3);
    for (const std::string& remedy : remedies) {
      INFO(remedy);
      std::smatch numbers;
      REQUIRE(std::regex_search(remedy, numbers, needed));
      CHECK(parse_bytes(numbers[1].str(), "needed") <= 1.001 * parse_bytes(numbers[2].str(), "capacity"));
    }
  }
  CHECK(misfits > 20);
}
