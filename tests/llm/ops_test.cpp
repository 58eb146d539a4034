#include "models/llm/ops.hpp"

#include <algorithm>
#include <stdexcept>

#include "models/llm/parameters.hpp"
#include "models/units/random.hpp"
#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"
#include "tests/llm/op_named.hpp"

using namespace moesim;
using moesim::testing::named;

namespace {

double flops_of(const std::vector<Op>& ops, const std::string& name) {
  return named(ops, name).flops.value();
}
double bytes_of(const std::vector<Op>& ops, const std::string& name) {
  return named(ops, name).bytes.value();
}

double gemm_flops(const std::vector<Op>& ops) {
  double sum = 0;
  for (const Op& op : ops)
    if (std::holds_alternative<Gemm>(op.shape)) sum += op.flops.value();
  return sum;
}

RankBatch decode(double sequences, double context) {
  return {Phase::decode, sequences, 1, context};
}
RankBatch prefill(double sequences, double tokens, double context = 0) {
  return {Phase::prefill, sequences, tokens, context};
}

/// Every matrix product of one token that decodes through the whole model on one rank.
double linear_flops_of_a_token(const Architecture& model) {
  const Precision precision;
  double sum = model.layers * gemm_flops(attention_ops(model, precision, decode(1, 0), 1)) +
               gemm_flops(head_ops(model, precision, 1, 1));
  if (model.dense_layers() > 0) sum += model.dense_layers() * gemm_flops(dense_ffn_ops(model, precision, 1, 1));
  if (!model.moe) return sum;
  std::vector<int> rows(static_cast<std::size_t>(model.moe->experts), 0);
  std::fill_n(rows.begin(), model.moe->top_k, 1);
  return sum + model.moe_layers() * (gemm_flops(routing_ops(model, precision, 1)) +
                                     gemm_flops(shared_expert_ops(model, precision, 1, 1)) +
                                     gemm_flops(expert_ops(model, precision, rows, 1)));
}

/// Parameters that no matrix product touches: norms, biases, sinks.
std::int64_t parameters_without_product(const Architecture& model) {
  const AttentionSpec& a = model.attention;
  const std::int64_t q = std::int64_t{a.heads} * a.head_dim, kv = std::int64_t{a.kv_heads} * a.head_dim;
  std::int64_t inner = a.kind == AttentionKind::mla ? a.q_lora + a.kv_lora : 0;
  if (a.qk_norm == QkNorm::head) inner += 2 * a.head_dim;
  if (a.qk_norm == QkNorm::full) inner += q + kv;
  inner += (a.bias ? q + 2 * kv : 0) + (a.output_bias ? model.hidden : 0) + (a.sinks ? a.heads : 0);
  const std::int64_t head = model.head_bias ? model.vocab : 0;
  std::int64_t ffn = 0;
  if (model.moe) {
    ffn =
        (model.moe->router.selection_bias ? model.moe->experts : 0) + (model.moe->router.bias ? model.moe->experts : 0);
    if (model.moe->bias) ffn += model.moe->top_k * (2LL * model.moe->expert_hidden + model.hidden);
  }
  return count_parameters(model)[TensorClass::norms] + model.layers * inner + model.moe_layers() * ffn + head;
}

}  // namespace

TEST_CASE("A token costs two FLOPs per active parameter of every matrix, in every model", "[llm]") {
  for (const std::string& name : resource_names(Resource::zoo)) {
    INFO(name);
    const Architecture model = load_architecture(name);
    if (model.encoder) continue;
    const std::int64_t active = count_parameters(model).active_without_embedding - parameters_without_product(model);
    CHECK(linear_flops_of_a_token(model) == Approx(2.0 * static_cast<double>(active)).epsilon(1e-12));
  }
  CHECK(linear_flops_of_a_token(load_architecture("deepseek-v3")) == Approx(73.25e9).epsilon(1e-4));
}

TEST_CASE("DeepSeek-V3's latent attention costs what its report's shapes say", "[llm]") {
  const Architecture v3 = load_architecture("deepseek-v3");
  const auto absorbed = attention_ops(v3, {}, decode(1, 4095), 1);
  const auto naive = attention_ops(v3, {}, prefill(1, 1, 4095), 1);

  SECTION("shared projections: 2 (d q_l + q_l h 192 + d 576 + h 128 d) = 340.66 MFLOP per token") {
    for (const auto& ops : {absorbed, naive})
      CHECK(flops_of(ops, "q_a and kv_a") + flops_of(ops, "q_b") + flops_of(ops, "o") ==
            2.0 * (7168.0 * 1536 + 1536.0 * 128 * 192 + 7168.0 * 576 + 128.0 * 128 * 7168));
    CHECK(flops_of(naive, "q_a and kv_a") + flops_of(naive, "q_b") + flops_of(naive, "o") ==
          Approx(340.66e6).epsilon(1e-4));
  }
  SECTION("taking q into the latent space and v out of it: 33.55 MFLOP per query token") {
    CHECK(flops_of(absorbed, "absorb q") + flops_of(absorbed, "absorb v") == 2.0 * 128 * 512 * (128 + 128));
    CHECK(flops_of(absorbed, "absorb q") + flops_of(absorbed, "absorb v") == Approx(33.55e6).epsilon(1e-3));
  }
  SECTION("decompressing: 33.55 MFLOP per attended token, cached ones included") {
    CHECK(flops_of(naive, "kv_b") == 4096.0 * 2 * 512 * 128 * (128 + 128));
  }
  SECTION("core: 278,528 FLOP per pair absorbed, 81,920 naive") {
    CHECK(flops_of(absorbed, "attention core") == 4096.0 * 278528);
    CHECK(flops_of(naive, "attention core") == 4096.0 * 81920);
  }
  SECTION("the absorbed core reads 1,152 bytes per key, once for all heads: 241.8 FLOP per byte") {
    const double queries_and_outputs = 2.0 * 128 * (576 + 512);
    CHECK(bytes_of(absorbed, "attention core") == 4096.0 * 1152 + queries_and_outputs);
    CHECK(278528.0 / 1152 == Approx(241.8).epsilon(1e-3));
  }
  SECTION("the naive core reads per-head keys and values in bf16, twice for 2,048 query rows") {
    const auto chunk = attention_ops(v3, {}, prefill(1, 2048, 1000), 1);
    // rows 0..1023 read 1000 + 1024 entries, rows 1024..2047 read 1000 + 2048; q 192 and o 128 wide
    CHECK(bytes_of(chunk, "attention core") == 2.0 * 128 * 320 * (2048 + 2024 + 3048));
  }
  SECTION("the cores carry the widths that a kernel model needs") {
    const auto core = std::get<AttentionCore>(named(absorbed, "attention core").shape);
    CHECK(core.absorbed);
    CHECK(core.kv_heads == 1);
    CHECK(core.head_dim == 576);
    const auto wide = std::get<AttentionCore>(named(naive, "attention core").shape);
    CHECK_FALSE(wide.absorbed);
    CHECK(wide.kv_heads == 128);
    CHECK(wide.head_dim == 192);
  }
}

TEST_CASE("TP splits the heads of latent attention, but not its latent", "[llm]") {
  const Architecture v3 = load_architecture("deepseek-v3");
  const auto whole = attention_ops(v3, {}, decode(4, 100), 1), eighth = attention_ops(v3, {}, decode(4, 100), 8);
  CHECK(flops_of(eighth, "q_a and kv_a") == flops_of(whole, "q_a and kv_a"));
  CHECK(flops_of(eighth, "q_b") == flops_of(whole, "q_b") / 8);
  CHECK(flops_of(eighth, "attention core") == flops_of(whole, "attention core") / 8);
  // 4 sequences * 101 keys * 1,152 bytes on every rank, and 16 heads' queries and outputs
  CHECK(bytes_of(eighth, "attention core") == 4 * 101.0 * 1152 + 2.0 * 4 * 16 * (576 + 512));
}

TEST_CASE("Mixtral's attention ops at decode are those of the shapes", "[llm]") {
  const Architecture mixtral = load_architecture("mixtral-8x7b");
  const auto ops = attention_ops(mixtral, {}, decode(2, 99), 1);
  REQUIRE(ops.size() == 5);
  // x and residual, read and written: 4 * 2 tokens * 4096 * 2 B
  CHECK(bytes_of(ops, "attention norm") == 65536);
  // 2 * 2 tokens * 4096 * (32 + 16) * 128; weights 4096 * 6144 * 2 B, in 2 * 4096 * 2 B, out 2 * 6144 * 2 B
  CHECK(flops_of(ops, "qkv") == 2.0 * 2 * 4096 * 6144);
  CHECK(bytes_of(ops, "qkv") == 4096.0 * 6144 * 2 + 2 * 4096 * 2 + 2 * 6144 * 2);
  // q and k: 2 * 40 * 128 elements read and written; k and v: 2 * 16 * 128 elements to the cache
  CHECK(bytes_of(ops, "rope and kv write") == 2.0 * 2 * 40 * 128 * 2 + 2.0 * 16 * 128 * 2);
  // 2 sequences * 100 keys * 4 * 32 * 128; cache 2 * 100 * 2 * 8 * 128 * 2 B, q and o 4 * 2 * 4096 B
  CHECK(flops_of(ops, "attention core") == 2.0 * 100 * 4 * 32 * 128);
  CHECK(bytes_of(ops, "attention core") == 2.0 * 100 * 4096 + 4.0 * 2 * 4096);
  CHECK(flops_of(ops, "o") == 2.0 * 2 * 4096 * 4096);
}

TEST_CASE("A causal prefill attends to its prefix and half of itself", "[llm]") {
  const Architecture llama = load_architecture("llama-3.1-8b");
  // 3 sequences of 10 tokens after 7: 3 * (10 * 7 + 10 * 11 / 2) = 375 pairs of 4 * 32 * 128 FLOPs
  CHECK(flops_of(attention_ops(llama, {}, prefill(3, 10, 7), 1), "attention core") == 375.0 * 4 * 32 * 128);
}

TEST_CASE("More TP ranks than KV heads repeat a head on several of them", "[llm]") {
  const Architecture qwen = load_architecture("qwen3-235b-a22b");  // 64 heads, 4 KV heads
  const auto four = attention_ops(qwen, {}, decode(1, 999), 4), sixteen = attention_ops(qwen, {}, decode(1, 999), 16);
  CHECK(std::get<AttentionCore>(named(four, "attention core").shape).kv_heads == 1);
  CHECK(std::get<AttentionCore>(named(sixteen, "attention core").shape).kv_heads == 1);
  CHECK(flops_of(sixteen, "attention core") == flops_of(four, "attention core") / 4);
  // cache of one head: 1000 * 2 * 128 * 2 B on both; q and o of 16 or 4 heads
  CHECK(bytes_of(four, "attention core") == 512000 + 4.0 * 16 * 128);
  CHECK(bytes_of(sixteen, "attention core") == 512000 + 4.0 * 4 * 128);
  CHECK(flops_of(four, "q and k norm") == 4.0 * (16 + 1) * 128);
}

TEST_CASE("A split that does not divide is the caller's mistake", "[llm]") {
  const Architecture qwen = load_architecture("qwen3-235b-a22b");
  REQUIRE_THROWS_WITH(attention_ops(qwen, {}, decode(1, 0), 3), "tp = 3 does not divide 64 heads");
  REQUIRE_THROWS_WITH(expert_ops(qwen, {}, {1}, 7), "tp = 7 does not divide 1536 columns of an expert");
  Architecture odd = qwen;
  odd.attention.heads = 12;
  odd.attention.kv_heads = 4;
  REQUIRE_THROWS_WITH(attention_ops(odd, {}, decode(1, 0), 6), "tp = 6 and 4 KV heads: neither divides the other");
  REQUIRE_THROWS_AS(routing_ops(load_architecture("llama-2-13b"), {}, 1), std::invalid_argument);
}

TEST_CASE("A slot without tokens reads no weights", "[llm]") {
  const Architecture mixtral = load_architecture("mixtral-8x7b");
  const double d = 4096, f = 14336;
  const auto ops = expert_ops(mixtral, {}, {3, 0, 1, 0}, 1);
  // 4 rows; 2 of 4 slots are read
  CHECK(flops_of(ops, "expert gate and up") == 2.0 * 4 * d * 2 * f);
  CHECK(bytes_of(ops, "expert gate and up") == 2 * 2 * d * f * 2 + 4 * d * 2 + 4 * 2 * f * 2);
  CHECK(bytes_of(ops, "expert swiglu") == 4 * (2 * f * 2 + f * 2));
  CHECK(flops_of(ops, "expert down") == 2.0 * 4 * f * d);
  CHECK(bytes_of(ops, "expert down") == 2 * d * f * 2 + 4 * f * 2 + 4 * d * 2);
  for (const Op& op : expert_ops(mixtral, {}, {0, 0}, 1)) {
    CHECK(op.flops.value() == 0);
    CHECK(op.bytes.value() == 0);
  }
}

TEST_CASE("Eight-bit experts read eight-bit activations, with their scales", "[llm]") {
  const Architecture v3 = load_architecture("deepseek-v3");
  const auto ops = expert_ops(v3, precision_of(NumberFormat::fp8_block), {5}, 1);
  // weights 2 * 7168 * 2048 * 8.001953125 / 8; 5 rows of 7168 * 8.25 / 8 = 7392 B; gate and up in bf16
  CHECK(bytes_of(ops, "expert gate and up") == 2.0 * 7168 * 2048 * 8.001953125 / 8 + 5 * 7392 + 5 * 2 * 2048 * 2);
  CHECK(bytes_of(ops, "expert swiglu") == 5 * (2 * 2048 * 2 + 2048 * 8.25 / 8));
}

TEST_CASE("Routing reads the router and writes k rows per token", "[llm]") {
  const Architecture v3 = load_architecture("deepseek-v3");
  const auto ops = routing_ops(v3, precision_of(NumberFormat::fp8_block), 10);
  CHECK(flops_of(ops, "router") == 2.0 * 10 * 7168 * 256);
  CHECK(bytes_of(ops, "router") == 7168.0 * 256 * 2 + 10 * 7168 * 2 + 10 * 256 * 4);
  CHECK(bytes_of(ops, "top-k") == 10.0 * 256 * 8);
  CHECK(bytes_of(ops, "quantise and permute") == 10.0 * 7168 * 2 + 80 * 7392);
  CHECK(flops_of(ops, "weighted sum") == 2.0 * 80 * 7168);
  CHECK(bytes_of(ops, "weighted sum") == 80.0 * 7168 * 2 + 10 * 7168 * 2);
}

TEST_CASE("Only models with shared experts run them", "[llm]") {
  CHECK(shared_expert_ops(load_architecture("mixtral-8x7b"), {}, 8, 1).empty());
  CHECK(shared_expert_ops(load_architecture("llama-2-13b"), {}, 8, 1).empty());
  // V2-Lite: two shared experts of 1,408 columns run as one of 2,816: 6 T d f_sh
  CHECK(gemm_flops(shared_expert_ops(load_architecture("deepseek-v2-lite"), {}, 8, 1)) == 6.0 * 8 * 2048 * 2816);
}

TEST_CASE("The head is computed for the last token of each sequence, padded to whole columns", "[llm]") {
  const Architecture qwen = load_architecture("qwen3-30b-a3b");  // 151,936 = 7 * 21,705 + 1
  CHECK(flops_of(head_ops(qwen, {}, 3, 1), "lm head") == 2.0 * 3 * 2048 * 151936);
  CHECK(std::get<Gemm>(named(head_ops(qwen, {}, 3, 7), "lm head").shape).n == 21706);
  CHECK(bytes_of(head_ops(qwen, {}, 3, 1), "sampling") == 3.0 * 151936 * 2);
}

TEST_CASE("Uniform tokens touch the experts of oracle L7", "[llm]") {
  CHECK(expected_active_experts(8, 2, 1) == Approx(2));
  CHECK(expected_active_experts(8, 2, 4) == Approx(5.469).epsilon(1e-3));
  CHECK(expected_active_experts(8, 2, 16) == Approx(7.920).epsilon(1e-3));
  CHECK(expected_active_experts(256, 8, 8) == Approx(57.42).epsilon(1e-3));
  CHECK(expected_active_experts(256, 8, 32) == Approx(163.31).epsilon(1e-3));
  CHECK(expected_active_experts(256, 8, 128) == Approx(251.60).epsilon(1e-3));
  CHECK(expected_active_experts(8, 8, 3) == 8);
  CHECK(expected_active_experts(8, 2, 0) == 0);
}

TEST_CASE("TP shares the FLOPs of experts and dense layers out, and loses none", "[llm]") {
  const Architecture model = load_architecture("deepseek-v3");
  Random random{7, Purpose::test, 0, 0};
  for (int round = 0; round < 20; ++round) {
    std::vector<int> rows(32);
    for (int& slot : rows) slot = static_cast<int>(random.below(50));
    const int tp = 1 << random.below(5);
    INFO("seed 7, round " << round << ", tp " << tp);
    CHECK(tp * gemm_flops(expert_ops(model, {}, rows, tp)) == Approx(gemm_flops(expert_ops(model, {}, rows, 1))));
    CHECK(tp * gemm_flops(dense_ffn_ops(model, {}, rows[0], tp)) ==
          Approx(gemm_flops(dense_ffn_ops(model, {}, rows[0], 1))));
  }
}

TEST_CASE("Every GEMM's FLOPs are twice the product of its shape", "[llm]") {
  for (const std::string& name : resource_names(Resource::zoo)) {
    const Architecture model = load_architecture(name);
    if (model.encoder) continue;
    for (const RankBatch& batch : {decode(3, 50), prefill(2, 20, 5)})
      for (const Op& op : attention_ops(model, {}, batch, 1)) {
        INFO(name << " " << op.name);
        CHECK(op.bytes.value() > 0);
        if (const Gemm* gemm = std::get_if<Gemm>(&op.shape)) CHECK(op.flops.value() == 2 * gemm->m * gemm->n * gemm->k);
      }
  }
}
