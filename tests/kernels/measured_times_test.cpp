// KernelTimes out of a small kernel model, by hand.

#include "models/kernels/published/measured_times.hpp"

#include "models/hardware/gpu.hpp"
#include "models/kernels/published/judged_ratios.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernel_model_testing.hpp"
#include "tests/kernels/kernels_testing.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

std::unique_ptr<KernelTimes> times(const std::string& gpu = "h100-sxm", bool fallback = false) {
  return make_measured_times(small_kernel_model(), find_gpu(gpu, "test"), {"auto", fallback});
}

Op decode_core(double sequences, double context, NumberFormat kv = NumberFormat::fp8, double head_dim = 128) {
  AttentionCore core{Phase::decode, AttentionKind::gqa, sequences, 1, context, 16, 2, head_dim, false, kv};
  return {"attention core", OpClass::attention_core, Flops{1}, Bytes{1}, core};
}

const ExpertShape kExperts{4096, 1536, NumberFormat::fp8_block, 16, 128, 8};

}  // namespace

TEST_CASE("A dense product and a decode core are read off their tables", "[kernels]") {
  const auto kernels = times();
  CHECK(kernels->source() == KernelSource::published);
  CHECK(microseconds(kernels->time(gemm(1, 256, 256))) == Approx(3));
  CHECK(microseconds(kernels->time(gemm(64, 512, 256))) == Approx(12));
  // 2 sequences of 2 KV heads each with 8 heads: 4 of [1, 8] from 12 to 14 us
  CHECK(microseconds(kernels->time(decode_core(2, 1023))) == Approx(12 + 2 * 3.0 / 7));
  const KernelEvidence evidence = kernels->evidence(gemm(1, 256, 256));
  CHECK(evidence.source == KernelSource::published);
  CHECK(evidence.kernel == "toy_gemm");
  CHECK(evidence.regime == "inside");
  CHECK(kernels->evidence(gemm(1, 300, 256)).regime == "between");
  CHECK(kernels->evidence(gemm(1, 1024, 256)).regime == "outside");
}

TEST_CASE("Experts come from the curve of the rank's slots", "[kernels]") {
  const auto kernels = times();
  const auto experts = kernels->experts(kExperts);
  CHECK(microseconds((*experts)(std::vector<std::int32_t>(16, 1))) == Approx(41.25));
  CHECK(microseconds((*experts)(std::vector<std::int32_t>(16, 8))) == Approx(99));
  const KernelEvidence even = kernels->evidence(kExperts, std::vector<std::int32_t>(16, 8));
  CHECK(even.regime == "balanced");
  CHECK(even.sigma == Approx(0.02));
  // the block's table holds top-k and permutation: as ops of their own they cost nothing
  const Op permute{"quantise and permute", OpClass::dispatch_local, Flops{0}, Bytes{1e9}, Streaming{}};
  CHECK(kernels->time(permute) == Seconds{0});
  CHECK(kernels->time(streaming(Bytes{1e9})) > Seconds{0});
  CHECK(kernels->evidence(streaming(Bytes{1e9})).source == KernelSource::roofline);
}

TEST_CASE("Experts of a model with another number of them stand in with a wider sigma", "[kernels]") {
  const auto kernels = times();
  const std::vector<std::int32_t> rows(16, 8);
  for (const auto& [experts, top_k] : {std::pair{64, 8}, {128, 4}}) {
    ExpertShape other = kExperts;
    other.experts = experts;
    other.top_k = top_k;
    const KernelEvidence evidence = kernels->evidence(other, rows);
    CHECK(evidence.regime == "other experts");
    CHECK(evidence.sigma == Approx(std::sqrt(0.02 * 0.02 + 0.3 * 0.3)));
  }
}

TEST_CASE("A sigma of few judged rows is not believed, nor one of nothing", "[kernels]") {
  const auto sigma = [](int points, double own) {
    return credible_sigma({KernelOperation::gemm, "inside", points, 0, 0, own, 0, "roofline", 1, 1});
  };
  CHECK(sigma(1, 0.0005) == Approx(0.4));
  CHECK(sigma(4, 0.001) == Approx(0.2));
  CHECK(sigma(4, 0.3) == 0.3);
  CHECK(sigma(10, 0.05) == 0.05);
  CHECK(sigma(10, 0) == 0.01);
}

TEST_CASE("A padded slice is found under the width that its table was measured at", "[kernels]") {
  const auto kernels = times();
  ExpertShape padded = kExperts;
  padded.own_width = kExperts.expert_hidden;
  padded.expert_hidden += 32;
  const std::vector<std::int32_t> rows(16, 8);
  CHECK((*kernels->experts(padded))(rows) == (*kernels->experts(kExperts))(rows));
  CHECK(kernels->evidence(padded, rows).regime == "balanced");
}

TEST_CASE("What the profile lacks is refused with the nearest, or falls back where that is asked for", "[kernels]") {
  const auto kernels = times();
  CHECK_THROWS_WITH(kernels->experts({4096, 1024, NumberFormat::fp8_block, 16, 128, 8}),
                    "kernels.profile (toy, toyrt): got experts of 4096 x 1024 in fp8_block, expected 4096 x 1536 in "
                    "fp8_block (the nearest), or kernels.fallback: roofline");
  CHECK_THROWS_WITH(
      kernels->time(gemm(1, 256, 256, NumberFormat::int8)),
      "kernels.profile (toy, toyrt): got 'gemm', gemm in int8, expected bf16, or kernels.fallback: roofline");
  CHECK_THROWS_WITH(kernels->time(decode_core(1, 100, NumberFormat::fp8, 64)),
                    "kernels.profile (toy, toyrt): got 'attention core', decode_attention in fp8 with heads of 64, "
                    "expected fp8 with heads of 128, or kernels.fallback: roofline");
  const auto allowed = times("h100-sxm", true);
  const auto roofline = make_roofline(find_gpu("h100-sxm", "test"));
  const Op narrow = gemm(1, 256, 256, NumberFormat::int8);
  CHECK(allowed->time(narrow) == roofline->time(narrow));
  CHECK(allowed->evidence(narrow).source == KernelSource::roofline);
  CHECK(allowed->evidence(narrow).sigma > 0.3);
}

TEST_CASE("Every shipped profile has an engine for its own GPU, and says how it was carried there", "[kernels]") {
  for (const std::string& name : shipped_kernel_models()) {
    INFO(name);
    const KernelModel model = load_kernel_model(name);
    CHECK(model.name == name);
    const auto kernels = make_measured_times(model, find_gpu(model.gpu, name), {"trtllm", false});
    CHECK(kernels->source() == model.origin.kind);
    const auto experts = kernels->experts({4096, 14336, NumberFormat::bf16, 8, 8, 2});
    CHECK((*experts)(std::vector<std::int32_t>(8, 4)) > Seconds{1e-4});  // 2.8 GB of weights
    if (model.origin.kind == KernelSource::transferred) CHECK_THAT(model.origin.notes.back(), Contains("carried from"));
  }
}

TEST_CASE("Times are carried to another GPU by the ceilings of both, and no further than anybody judged", "[kernels]") {
  const auto same = times(), faster = times("h200-sxm"), alike = times("h800-sxm");
  CHECK(faster->source() == KernelSource::transferred);
  const std::vector<std::int32_t> few(16, 1);  // reads 16 experts: memory decides, and the H200 has 4.8 over 3.35 TB/s
  const Seconds here = (*same->experts(kExperts))(few), there = (*faster->experts(kExperts))(few);
  CHECK(there < here);
  CHECK(there > here * (3.35 / 4.8));
  CHECK((*alike->experts(kExperts))(few) == here);
  CHECK(faster->evidence(kExperts, few).sigma == Approx(std::sqrt(0.02 * 0.02 + 0.12 * 0.12)));
  CHECK_THROWS_WITH(times("mi300x"),
                    "kernels.profile: got times of h100-sxm for mi300x, expected a profile of mi300x, as none are "
                    "known to carry over to it, or roofline");
  CHECK_THROWS_WITH(transfer_error("h200-sxm", "h100-sxm"),
                    "kernels.profile: got times of h200-sxm for h100-sxm, expected a profile of h100-sxm or b200-sxm");
}
