// FLOPs and bytes of windows, biases, ungated experts and additional norms.

#include <algorithm>
#include <set>
#include <stdexcept>

#include "models/llm/ops.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/llm/op_named.hpp"

using namespace moesim;
using moesim::testing::named;

namespace {

bool has(const std::vector<Op>& ops, const std::string& name) {
  return std::any_of(ops.begin(), ops.end(), [&](const Op& op) { return op.name == name; });
}

Architecture windowed(int window, bool chunked) {
  Architecture model = load_architecture("mistral-7b");
  model.attention.window = window;
  model.attention.chunked = chunked;
  return model;
}

/// Oldest key that the query at `position` sees.
int oldest(int position, int window, bool chunked) {
  return chunked ? position / window * window : std::max(0, position + 1 - window);
}

}  // namespace

TEST_CASE("Pairs and cache reads of a window are those that counting one by one finds", "[llm]") {
  Random random{3, Purpose::test, 0, 0};
  for (int round = 0; round < 200; ++round) {
    const int window = 1 + static_cast<int>(random.below(40)), context = static_cast<int>(random.below(100));
    const int tokens = 1 + static_cast<int>(random.below(60));
    const bool chunked = random.below(2) == 1;
    INFO("seed 3, round " << round << ": window " << window << ", context " << context << ", tokens " << tokens
                          << (chunked ? ", chunked" : ""));
    const Architecture model = windowed(window, chunked);
    const RankBatch batch{Phase::prefill, 1, static_cast<double>(tokens), static_cast<double>(context)};
    double pairs = 0;
    std::set<int> keys;
    for (int position = context; position < context + tokens; ++position)
      for (int key = oldest(position, window, chunked); key <= position; ++key) {
        ++pairs;
        keys.insert(key);
      }
    CHECK(attended_pairs(model, Reach::windowed, batch) == pairs);
    // fewer than 1,024 rows read the cache once; chunks between first and last key are all seen
    CHECK(cache_entries_read(model, Reach::windowed, batch) == static_cast<double>(keys.size()));
  }
}

TEST_CASE("A window longer than the context is no window", "[llm]") {
  for (const bool chunked : {false, true}) {
    const Architecture model = windowed(100000, chunked);
    for (const RankBatch& batch : {RankBatch{Phase::decode, 3, 1, 4096}, RankBatch{Phase::prefill, 2, 5000, 700}}) {
      const auto full = attention_ops(model, {}, batch, 1),
                 narrow = attention_ops(model, {}, batch, 1, Reach::windowed);
      CHECK(named(narrow, "attention core").flops.value() == named(full, "attention core").flops.value());
      CHECK(named(narrow, "attention core").bytes.value() == named(full, "attention core").bytes.value());
    }
  }
}

TEST_CASE("A decode step of gpt-oss reads 128 keys in one layer and all in the next", "[llm]") {
  const Architecture oss = load_architecture("gpt-oss-120b");
  const RankBatch batch{Phase::decode, 2, 1, 9999};
  const auto full = attention_ops(oss, {}, batch, 1), narrow = attention_ops(oss, {}, batch, 1, Reach::windowed);
  // 2 sequences * 10,000 or 128 keys: 4 * 64 heads * 64 FLOPs; 2 * 8 * 64 * 2 B of cache; q and o 4 * 2 * 4096 B;
  // 64 sinks of 2 B
  CHECK(named(full, "attention core").flops.value() == 2.0 * 10000 * 4 * 4096);
  CHECK(named(full, "attention core").bytes.value() == 2.0 * 10000 * 2048 + 4 * 2 * 4096 + 128);
  CHECK(named(narrow, "attention core").flops.value() == 2.0 * 128 * 4 * 4096);
  CHECK(named(narrow, "attention core").bytes.value() == 2.0 * 128 * 2048 + 4 * 2 * 4096 + 128);
  CHECK(std::get<AttentionCore>(named(narrow, "attention core").shape).context == 127);
  // weights 2880 * (64 + 16) * 64, in 2 tokens * 2880, out 2 * 5120, and 5,120 biases
  CHECK(named(full, "qkv").bytes.value() == 2.0 * (2880 * 5120 + 2 * 2880 + 2 * 5120 + 5120));
  CHECK(named(full, "o").bytes.value() == 2.0 * (4096 * 2880 + 2 * 4096 + 2 * 2880 + 2880));
}

TEST_CASE("Prefill in a window is linear in tokens, not quadratic", "[llm]") {
  const Architecture model = windowed(1024, false);
  const auto flops = [&](double tokens) {
    const RankBatch batch{Phase::prefill, 1, tokens, 0};
    return named(attention_ops(model, {}, batch, 1, Reach::windowed), "attention core").flops.value();
  };
  CHECK(flops(65536) / flops(32768) == Approx(2).epsilon(0.02));
  // each group of 1,024 rows reads itself and 1,023 keys before: the first 1,024, 31 more 2,047
  const RankBatch batch{Phase::prefill, 1, 32768, 0};
  CHECK(cache_entries_read(model, Reach::windowed, batch) == 1024 + 31.0 * 2047);
}

TEST_CASE("Llama 4 rotates and norms only where it looks at a chunk", "[llm]") {
  const Architecture scout = load_architecture("llama-4-scout");
  const RankBatch batch{Phase::decode, 1, 1, 8192 + 99};
  const auto full = attention_ops(scout, {}, batch, 1), chunk = attention_ops(scout, {}, batch, 1, Reach::windowed);
  CHECK_FALSE(has(full, "q and k norm"));
  CHECK(has(chunk, "q and k norm"));
  CHECK(named(full, "rope and kv write").flops.value() == 0);
  CHECK(named(full, "rope and kv write").bytes.value() == 2 * 2 * 8 * 128);  // the new entry alone
  CHECK(named(chunk, "rope and kv write").flops.value() == 3.0 * 48 * 128);
  // position 8,291 is the 100th of the second chunk
  CHECK(named(chunk, "attention core").flops.value() == 100.0 * 4 * 40 * 128);
}

TEST_CASE("Only a model with windows has windowed layers", "[llm]") {
  CHECK_THROWS_WITH(attention_ops(load_architecture("mixtral-8x7b"), {}, {Phase::decode, 1, 1, 10}, 1, Reach::windowed),
                    "mixtral-8x7b has no windowed layers");
  CHECK_THROWS_WITH(attention_ops(load_architecture("deepseek-v3"), {}, {Phase::decode, 1, 1, 10}, 1, Reach::windowed),
                    "deepseek-v3 has no windowed layers");
}

TEST_CASE("Biases of experts are read once per slot that has tokens", "[llm]") {
  const Architecture oss = load_architecture("gpt-oss-20b");
  const auto ops = expert_ops(oss, {}, {3, 0, 2}, 1);
  // 2 slots: 2880 * 5760 weights and 5,760 biases; 5 rows in 2880 and out 5760
  CHECK(named(ops, "expert gate and up").bytes.value() == 2.0 * 2 * (2880 * 5760 + 5760) + 2.0 * 5 * (2880 + 5760));
  CHECK(named(ops, "expert down").bytes.value() == 2.0 * 2 * (2880 * 2880 + 2880) + 2.0 * 5 * (2880 + 2880));
  CHECK(named(routing_ops(oss, {}, 4), "router").bytes.value() ==
        2.0 * (32 * 2880 + 32) + 2.0 * 4 * 2880 + 4.0 * 4 * 32);
}

TEST_CASE("An ungated expert has two matrices and a ReLU", "[llm]") {
  Architecture model = load_architecture("mixtral-8x7b");
  model.gated = false;
  const auto ops = expert_ops(model, {}, {3, 1}, 1);
  const double d = 4096, f = 14336;
  CHECK(named(ops, "expert up").flops.value() == 2 * 4 * d * f);
  CHECK(named(ops, "expert up").bytes.value() == 2 * 2 * d * f + 4 * 2 * (d + f));
  CHECK(named(ops, "expert relu").flops.value() == 4 * f);
  CHECK(named(ops, "expert relu").bytes.value() == 4 * (2 * f + 2 * f));
  CHECK(named(ops, "expert down").flops.value() == 2 * 4 * d * f);
}

TEST_CASE("Qwen2-MoE's gate is one column, Grok-1 norms what attention and experts give", "[llm]") {
  const Architecture qwen = load_architecture("qwen1.5-moe-a2.7b");
  CHECK(named(shared_expert_ops(qwen, {}, 8, 1), "shared expert gate").flops.value() == 2.0 * 8 * 2048);
  const Architecture grok = load_architecture("grok-1");
  CHECK(named(attention_ops(grok, {}, {Phase::decode, 8, 1, 10}, 1), "post attention norm").bytes.value() ==
        4.0 * 8 * 6144);
  CHECK(named(routing_ops(grok, {}, 8), "post ffn norm").flops.value() == 4.0 * 8 * 6144);
}

TEST_CASE("A head with a bias reads it", "[llm]") {
  const Architecture phi = load_architecture("phi-3.5-moe");
  CHECK(named(head_ops(phi, {}, 3, 1), "lm head").bytes.value() ==
        2.0 * (4096.0 * 32064 + 32064) + 2.0 * 3 * (4096 + 32064));
}

TEST_CASE("The operations of an encoder-decoder are refused", "[llm]") {
  const Architecture model = load_architecture("switch-base-8");
  const std::string text = "switch-base-8: an encoder beside the decoder is not modelled yet; use a decoder-only model";
  CHECK_THROWS_WITH(attention_ops(model, {}, {Phase::decode, 1, 1, 10}, 1), text);
  CHECK_THROWS_WITH(expert_ops(model, {}, {1}, 1), text);
  CHECK_THROWS_WITH(routing_ops(model, {}, 1), text);
  CHECK_THROWS_WITH(dense_ffn_ops(model, {}, 1, 1), text);
  CHECK_THROWS_WITH(head_ops(model, {}, 1, 1), text);
  CHECK_THROWS_AS(attention_ops(model, {}, {Phase::decode, 1, 1, 10}, 1), NotModelledYet);
}
