#include "models/deployment/deployment.hpp"

#include <map>
#include <numeric>

#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

constexpr double kGB = 1e9;

/// A deployment to ask about; keeps what MemoryInputs refers to.
struct Question {
  Architecture model;
  Precision precision;
  Gpu gpu;
  Layout layout;
  int slots_per_rank = 0;
  RankBatch batch{Phase::decode, 1, 1, 1024};
  AllToAll all_to_all = AllToAll::automatic;
  double memory_fraction = 0.9;

  MemoryInputs inputs() const {
    return {.model = model,
            .precision = precision,
            .layout = layout,
            .gpu = gpu,
            .slots_per_rank = slots_per_rank,
            .memory_fraction = memory_fraction,
            .batch = batch,
            .all_to_all = all_to_all};
  }
  MemoryFit fit() const { return fit_memory(inputs()); }
};

Question question(const std::string& name, const std::string& gpu, const LayoutSpec& spec, Precision precision = {},
                  AllToAll all_to_all = AllToAll::automatic) {
  Question q;
  q.model = load_architecture(name);
  q.precision = precision;
  q.gpu = find_gpu(gpu, "cluster.gpu");
  q.layout = make_layout(spec, q.model, 1 << 20, all_to_all);
  q.all_to_all = all_to_all;
  return q;
}

constexpr LayoutSpec data_expert(int ranks) {
  return {.attention_dp = ranks, .expert_ep = ranks};
}
constexpr LayoutSpec tensor(int ranks) {
  return {.attention_tp = ranks, .expert_tp = ranks};
}
constexpr LayoutSpec tensor_expert(int ranks) {
  return {.attention_tp = ranks, .expert_ep = ranks};
}

Precision fp8() {
  return {.weights = NumberFormat::fp8_block, .experts = NumberFormat::fp8_block};
}

Bytes sum(const std::vector<MemoryLine>& lines) {
  return std::accumulate(lines.begin(), lines.end(), Bytes{}, [](Bytes a, const MemoryLine& l) { return a + l.bytes; });
}

Bytes line(const std::vector<MemoryLine>& lines, const std::string& name) {
  for (const MemoryLine& l : lines)
    if (l.name == name) return l.bytes;
  return Bytes{};
}

}  // namespace

TEST_CASE("DeepEP's low-latency buffer has the published size", "[deployment]") {
  // V3: dispatch 16 + 14,336; combine 14,336 + 224 = 14,560; send = receive = 256 * 128 * 14,560; signals 1,024; twice
  CHECK(deepep_low_latency_buffer(7168, 128, 256).value() == 1'908'410'368.0);
  CHECK(deepep_low_latency_buffer(7168, 128, 288).value() / 1073741824 == Approx(2.0).epsilon(1e-3));
}

TEST_CASE("KV capacity of a cluster follows the closed form (L28)", "[deployment]") {
  const Architecture mixtral = load_architecture("mixtral-8x7b");
  // (8 (80 GB 0.9 - 4 GB) - 93.405585408 GB) / 131,072 B
  CHECK(kv_tokens_in_cluster(mixtral, {}, 8, Bytes{80 * kGB}, 0.9, Bytes{4 * kGB}) == 3'437'762);
  CHECK(kv_tokens_in_cluster(mixtral, {}, 8, Bytes{141 * kGB}, 0.9, Bytes{4 * kGB}) == 6'788'592);
  CHECK(kv_tokens_in_cluster(mixtral, {}, 1, Bytes{80 * kGB}, 0.9, Bytes{4 * kGB}) == 0);
}

TEST_CASE("DeepSeek-V3 weights per GPU match DeepSeek's own deployments", "[deployment]") {
  // Domain B.6 counts everything but the routed experts at 18.97 GB: 15.264e9 parameters at 8.002 bit and embedding and
  // head in bf16. Here norms and router, 107 million parameters, are bf16 too: 0.1 GB more, hence 1 %.
  struct Case {
    int ranks, slots;
    double gb;
  };
  for (const auto& [ranks, slots, gb] : {Case{144, 2, 24.08}, Case{32, 9, 41.97}, Case{320, 1, 21.53}}) {
    INFO("EP" << ranks << ", " << slots << " slots");
    Question q = question("deepseek-v3", "h800-sxm", data_expert(ranks), fp8());
    q.slots_per_rank = slots;
    CHECK(sum(weight_lines(q.inputs())).value() / kGB == Approx(gb).epsilon(0.01));
    // 58 layers x slots x 44,040,192 parameters at 8 + 32/16384 bit
    CHECK(line(weight_lines(q.inputs()), "expert weights").value() ==
          Approx(58.0 * slots * 44040192 * (1 + 4.0 / 16384)));
  }
}

TEST_CASE("DeepSeek-V3 in fp8 fits eight H200 but not eight H100", "[deployment]") {
  for (const LayoutSpec& spec : {tensor(8), tensor_expert(8), data_expert(8)}) {
    INFO("attention tp " << spec.attention_tp << ", experts ep " << spec.expert_ep);
    const MemoryFit h100 = question("deepseek-v3", "h100-sxm", spec, fp8()).fit();
    CHECK_FALSE(h100.fits);
    CHECK(h100.breaking_line == "expert weights");
    CHECK(h100.kv_tokens_capacity == 0);
    const MemoryFit h200 = question("deepseek-v3", "h200-sxm", spec, fp8()).fit();
    CHECK(h200.fits);
    CHECK(h200.breaking_line.empty());
    CHECK(h200.kv_tokens_capacity > 1024);
  }
}

TEST_CASE("One rank holds every weight exactly once", "[deployment]") {
  const std::string name = GENERATE(as<std::string>{}, "mixtral-8x7b", "deepseek-v3", "deepseek-v2-lite",
                                    "qwen3-30b-a3b", "qwen3-8b", "llama-3.1-8b");
  for (const Precision& precision : {Precision{}, fp8()}) {
    const Question q = question(name, "h100-sxm", {}, precision);
    CHECK(sum(weight_lines(q.inputs())).value() ==
          Approx(total_weight_bytes(q.model, precision).value()).epsilon(1e-14));
  }
}

TEST_CASE("Ranks together hold every split weight once and every replicated one each", "[deployment]") {
  const Question whole = question("deepseek-v3", "h100-sxm", {});
  const auto all = weight_lines(whole.inputs());
  std::map<std::string, double> copies;  // on 8 ranks together
  SECTION("data parallel attention replicates all but the routed experts") {
    for (const MemoryLine& l : all) copies[l.name] = l.name == "expert weights" ? 1 : 8;
    const auto one = weight_lines(question("deepseek-v3", "h100-sxm", data_expert(8)).inputs());
    for (const MemoryLine& l : one) CHECK(8 * l.bytes.value() == Approx(copies[l.name] * line(all, l.name).value()));
  }
  SECTION("tensor parallelism splits all but norms, router and the MLA latent") {
    for (const LayoutSpec& spec : {tensor(8), tensor_expert(8)}) {
      const auto one = weight_lines(question("deepseek-v3", "h100-sxm", spec).inputs());
      for (const MemoryLine& l : one) {
        INFO(l.name);
        if (l.name == "attention weights") continue;
        CHECK(8 * l.bytes.value() == Approx((l.name == "norms and router" ? 8 : 1) * line(all, l.name).value()));
      }
      // q_a 7168 x 1536 + 1536, kv_a 7168 x 576 + 512, whole on all ranks: 61 layers, 2 B, 7 copies more than one
      // rank's
      const double latent = 61.0 * (7168.0 * 1536 + 1536 + 7168.0 * 576 + 512) * 2;
      CHECK(8 * line(one, "attention weights").value() == Approx(line(all, "attention weights").value() + 7 * latent));
    }
  }
}

TEST_CASE("The stages of a pipeline hold the whole model once, and the cache of all microbatches", "[deployment]") {
  Question whole = question("mixtral-8x7b", "h100-sxm", {});
  whole.batch = {Phase::decode, 16, 1, 1024};
  Question half = question("mixtral-8x7b", "h100-sxm", {.pp = 2, .microbatches = 2});
  half.batch = {Phase::decode, 8, 1, 1024};
  const MemoryFit all = whole.fit(), fullest = half.fit();
  // Equal halves but for the final norm (in both) and embedding against LM head, which are of one size.
  const auto weights = [](const MemoryFit& fit) {
    Bytes bytes;
    for (const MemoryLine& l : fit.lines)
      if (l.group == "weights") bytes += l.bytes;
    return bytes.value();
  };
  CHECK(2 * weights(fullest) == Approx(weights(all)).epsilon(1e-6));
  CHECK(2 * line(fullest.lines, "KV cache").value() == line(all.lines, "KV cache").value());
  CHECK(line(fullest.lines, "embedding").value() == line(all.lines, "embedding").value());
  CHECK(line(fullest.lines, "LM head").value() == 0);
}

TEST_CASE("Memory is that of the fullest stage", "[deployment]") {
  const MemoryFit fit = question("mixtral-8x7b", "h100-sxm", {.pp = 4, .stage_layers = {2, 2, 20, 8}}).fit();
  CHECK(fit.stage == 2);
  CHECK(line(fit.lines, "embedding").value() == 0);
}

TEST_CASE("KV heads beyond the tensor parallel degree are replicated", "[deployment]") {
  const auto one = weight_lines(question("mixtral-8x7b", "h100-sxm", {}).inputs());
  const auto sixteen = weight_lines(question("mixtral-8x7b", "h100-sxm", tensor(16)).inputs());
  // q and o split 16 times, k and v (8 heads of 128) only 8 times: (2 x 4096 x 4096 / 16 + 2 x 4096 x 1024 / 8) x 32 x
  // 2 B
  CHECK(line(sixteen, "attention weights").value() == 32 * 2 * (2.0 * 4096 * 4096 / 16 + 2.0 * 4096 * 128));
  CHECK(line(one, "attention weights").value() == 32 * 2 * (2.0 * 4096 * 4096 + 2.0 * 4096 * 1024));
}

TEST_CASE("The KV cache takes whole blocks per sequence", "[deployment]") {
  Question gqa = question("mixtral-8x7b", "h100-sxm", tensor(8));
  gqa.batch = {Phase::decode, 3, 1, 1024};
  // 1,025 tokens -> 65 blocks of 16 = 1,040; 131,072 / 8 B per token and rank
  CHECK(line(gqa.fit().lines, "KV cache").value() == 3.0 * 1040 * 16384);

  Question mla = question("deepseek-v3", "h200-sxm", tensor(8), fp8());
  mla.batch = {Phase::decode, 3, 1, 1024};
  // 17 blocks of 64 = 1,088; the latent is whole on every rank: 70,272 B
  CHECK(line(mla.fit().lines, "KV cache").value() == 3.0 * 1088 * 70272);
}

TEST_CASE("The lines add up, in the order in which they are blamed", "[deployment]") {
  for (const LayoutSpec& spec : {tensor(8), tensor_expert(8), data_expert(8)}) {
    for (Phase phase : {Phase::decode, Phase::prefill}) {
      Question q = question("mixtral-8x7b", "h100-sxm", spec);
      q.batch = {phase, 4, phase == Phase::decode ? 1.0 : 2048.0, phase == Phase::decode ? 2048.0 : 0.0};
      const MemoryFit fit = q.fit();
      CHECK(sum(fit.lines).value() == Approx(fit.needed.value()).epsilon(1e-15));
      CHECK(fit.capacity.value() == Approx(0.9 * q.gpu.memory.value()));
      CHECK(fit.device.value() == q.gpu.memory.value());
      const std::vector<std::string> order{"weights", "other", "buffers", "activations", "kv"};
      std::size_t at = 0;
      for (const MemoryLine& l : fit.lines) {
        INFO(l.name << ": " << l.formula);
        CHECK(l.bytes.value() > 0);
        CHECK_FALSE(l.formula.empty());
        while (at < order.size() && order[at] != l.group) ++at;
        CHECK(at < order.size());
      }
    }
  }
}

TEST_CASE("The KV capacity is what still fits, and one block more does not", "[deployment]") {
  Question q = question("mixtral-8x7b", "h100-sxm", data_expert(8));
  q.batch = {Phase::decode, 1, 1, 0};
  const long long tokens = q.fit().kv_tokens_capacity;
  CHECK(tokens % 16 == 0);
  q.batch.context = static_cast<double>(tokens) - 1;  // the new token fills the last block
  CHECK(q.fit().fits);
  q.batch.context += 1;
  CHECK_FALSE(q.fit().fits);
  CHECK(q.fit().breaking_line == "KV cache");
}

TEST_CASE("A larger batch or a longer context never needs less memory", "[deployment]") {
  const LayoutSpec spec = GENERATE(tensor(8), tensor_expert(8), data_expert(8));
  const Phase phase = GENERATE(Phase::decode, Phase::prefill);
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 5, 0};
    Question q = question("deepseek-v2-lite", "h100-sxm", spec);
    q.batch = {phase, 1.0 + random.below(64), phase == Phase::decode ? 1.0 : 1.0 + random.below(4096),
               1.0 * random.below(8192)};
    const Bytes before = q.fit().needed;
    q.batch.sequences += 1 + random.below(8);
    const Bytes more = q.fit().needed;
    CHECK(more >= before);
    q.batch.context += random.below(4096);
    CHECK(q.fit().needed >= more);
  }
}

TEST_CASE("Each way to exchange tokens has its own buffer", "[deployment]") {
  const auto buffers = [](AllToAll choice, Phase phase, int ranks) {
    Question q = question("deepseek-v3", "h200-sxm", data_expert(ranks), fp8(), choice);
    q.slots_per_rank = 256 / ranks;
    q.batch = {phase, 128, 1, 0};
    return q.fit();
  };
  const auto dispatch = [&](AllToAll kind, Phase phase, int ranks) {
    return line(buffers(kind, phase, ranks).lines, "dispatch buffers").value();
  };
  CHECK(dispatch(AllToAll::deepep_low_latency, Phase::prefill, 8) == 1'908'410'368);  // 128 tokens, 256 slots
  CHECK(dispatch(AllToAll::automatic, Phase::decode, 8) == 1'908'410'368);
  CHECK(dispatch(AllToAll::automatic, Phase::prefill, 8) == 2e9);
  CHECK(dispatch(AllToAll::deepep_normal, Phase::decode, 16) == 3e9);  // two nodes
  // Rows in bf16: 8 copies of 128 tokens; as many again on the rail; one-sided: every rank's 128 tokens, out and back
  CHECK(dispatch(AllToAll::pairwise, Phase::decode, 16) == 8 * 128 * 14336.0);
  CHECK(dispatch(AllToAll::hierarchical, Phase::decode, 16) == 2 * 8 * 128 * 14336.0);
  CHECK(dispatch(AllToAll::one_sided, Phase::decode, 8) == 8 * 128 * (14336.0 + 14336));
  const auto gather = buffers(AllToAll::allgather_reducescatter, Phase::decode, 8).lines;
  CHECK(line(gather, "dispatch buffers").value() == 0);
  CHECK(line(gather, "gathered tokens").value() == 8 * 128 * (14336.0 + 14336));  // bf16 in, bf16 out
}

TEST_CASE("Low latency reserves a row of every slot for every token", "[deployment]") {
  Question q = question("deepseek-v3", "h200-sxm", data_expert(144), fp8());
  q.slots_per_rank = 2;
  q.precision.dispatch = NumberFormat::fp8_block;
  q.batch = {Phase::decode, 128, 1, 4096};
  // 2 x 144 x 128 = 36,864 rows of 7,168 + 224 B in and 14,336 B out (gate and up: 4,096 x 2 B = 8,192)
  CHECK(line(q.fit().lines, "expert rows").value() == 36864.0 * (7392 + 14336));
}

TEST_CASE("Communicators and graphs are counted only where they exist", "[deployment]") {
  const auto with = [](int ranks, Phase phase, double tokens) {
    Question q = question("qwen3-8b", "h100-sxm", {.attention_tp = ranks});
    q.batch = {phase, tokens, 1, 16};
    return q.fit().lines;
  };
  CHECK(line(with(1, Phase::decode, 1), "NCCL").value() == 0);
  CHECK(line(with(2, Phase::decode, 1), "NCCL").value() == 342.0 * 1048576);
  CHECK(line(with(8, Phase::decode, 1), "NCCL").value() == 392.0 * 1048576);
  CHECK(line(with(1, Phase::prefill, 1), "CUDA graphs").value() == 0);
  CHECK(line(with(1, Phase::decode, 1), "CUDA graphs").value() == 30e6);         // 1
  CHECK(line(with(1, Phase::decode, 3), "CUDA graphs").value() == 3 * 30e6);     // 1 2 4
  CHECK(line(with(1, Phase::decode, 128), "CUDA graphs").value() == 19 * 30e6);  // 1 2 4, 8 .. 128
}
