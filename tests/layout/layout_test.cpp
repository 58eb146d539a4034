#include "models/layout/layout.hpp"

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// Mixtral-8x7B as far as a layout looks at it.
Architecture mixtral() {
  Architecture model;
  model.name = "mixtral";
  model.hidden = 4096;
  model.layers = 32;
  model.attention.heads = 32;
  model.attention.kv_heads = 8;
  model.attention.head_dim = 128;
  model.moe_layer.assign(32, true);
  model.moe = MoeSpec{.experts = 8, .top_k = 2, .expert_hidden = 14336, .shared_hidden = 0, .router = {}};
  return model;
}

/// DeepSeek-V3: MLA, 3 dense layers, 256 experts.
Architecture deepseek() {
  Architecture model;
  model.name = "deepseek";
  model.hidden = 7168;
  model.layers = 61;
  model.attention.kind = AttentionKind::mla;
  model.attention.heads = 128;
  model.attention.kv_heads = 128;
  model.dense_hidden = 18432;
  model.moe_layer.assign(61, true);
  for (int layer = 0; layer < 3; ++layer) model.moe_layer[layer] = false;
  model.moe = MoeSpec{.experts = 256, .top_k = 8, .expert_hidden = 2048, .shared_hidden = 2048, .router = {}};
  return model;
}

Architecture dense() {
  Architecture model = mixtral();
  model.moe.reset();
  model.moe_layer.assign(32, false);
  model.dense_hidden = 14336;
  return model;
}

Layout layout_of(int tp, int dp, int ep, int etp, const Architecture& model = mixtral(),
                 AllToAll all_to_all = AllToAll::automatic) {
  return make_layout({.attention_tp = tp, .attention_dp = dp, .expert_ep = ep, .expert_tp = etp}, model, 512,
                     all_to_all);
}

}  // namespace

TEST_CASE("The degrees decide the layout kind", "[layout]") {
  CHECK(layout_of(1, 1, 1, 1).kind == LayoutKind::tensor);
  CHECK(layout_of(8, 1, 1, 8).kind == LayoutKind::tensor);
  CHECK(layout_of(8, 1, 8, 1).kind == LayoutKind::tensor_expert);
  CHECK(layout_of(1, 8, 8, 1).kind == LayoutKind::data_expert_a2a);
  CHECK(layout_of(1, 8, 8, 1, mixtral(), AllToAll::deepep_normal).kind == LayoutKind::data_expert_a2a);
  CHECK(layout_of(1, 8, 8, 1, mixtral(), AllToAll::deepep_low_latency).kind == LayoutKind::data_expert_a2a);
  CHECK(layout_of(1, 8, 8, 1, mixtral(), AllToAll::allgather_reducescatter).kind == LayoutKind::data_expert_gather);
}

TEST_CASE("Tensor parallel attention groups are consecutive ranks", "[layout]") {
  const Layout tensor = layout_of(4, 1, 1, 4);
  CHECK(tensor.ranks == 4);
  CHECK(tensor.attention_tp_groups == std::vector<std::vector<int>>{{0, 1, 2, 3}});
  CHECK(tensor.expert_tp_groups == std::vector<std::vector<int>>{{0, 1, 2, 3}});
  CHECK(tensor.ep_group == std::vector<int>{0, 1, 2, 3});
  CHECK(tensor.dp_rank_of(3) == 0);

  const Layout whole_experts = layout_of(2, 1, 2, 1);
  CHECK(whole_experts.attention_tp_groups == std::vector<std::vector<int>>{{0, 1}});
  CHECK(whole_experts.expert_tp_groups == std::vector<std::vector<int>>{{0}, {1}});

  const Layout data = layout_of(1, 4, 4, 1);
  CHECK(data.attention_tp_groups == std::vector<std::vector<int>>{{0}, {1}, {2}, {3}});
  CHECK(data.dp_rank_of(3) == 3);
}

TEST_CASE("Every layout is described in one line of arithmetic", "[layout]") {
  CHECK(describe(layout_of(8, 1, 8, 1)) == "attention tp8 x dp1, experts ep8 x tp1 on 8 ranks");
  CHECK(describe(layout_of(1, 1, 1, 1)) == "attention tp1 x dp1, experts ep1 x tp1 on 1 rank");
  CHECK(describe(layout_of(4, 1, 1, 1, dense())) == "attention tp4 x dp1 on 4 ranks");
}

TEST_CASE("A dense model is split by its attention degree alone", "[layout]") {
  const Layout absent = layout_of(4, 1, 1, 1, dense());
  const Layout stated = layout_of(4, 1, 1, 4, dense());
  CHECK(absent.ranks == 4);
  CHECK(absent.spec.expert_tp == 4);
  CHECK(stated.spec.expert_tp == 4);
  CHECK(absent.ep_group.empty());
  CHECK(absent.kind == LayoutKind::tensor);
}

TEST_CASE("A dense model refuses experts and replicas", "[layout]") {
  CHECK_THROWS_WITH(layout_of(4, 1, 4, 1, dense()), "layout.experts.ep: got 4, expected 1: the model has no experts");
  CHECK_THROWS_WITH(layout_of(4, 1, 1, 2, dense()),
                    "layout.experts.tp: got 2, expected 1 or attention.tp = 4: the model has no experts");
  CHECK_THROWS_WITH(
      layout_of(1, 4, 1, 1, dense()),
      "layout.attention.dp: data parallelism 4 of a dense model is not modelled yet; use 1: its replicas are "
      "independent of each other");
}

TEST_CASE("Attention and experts must cover the same ranks", "[layout]") {
  CHECK_THROWS_WITH(layout_of(4, 1, 8, 1),
                    "layout: got attention tp 4 x dp 1 = 4 ranks, expected as many as experts ep 8 x tp 1 = 8");
}

TEST_CASE("More ranks than GPUs are refused with both numbers", "[layout]") {
  const LayoutSpec spec{.attention_tp = 8, .attention_dp = 8, .expert_ep = 64};
  CHECK_THROWS_WITH(make_layout(spec, deepseek(), 32, AllToAll::automatic),
                    "layout: got attention tp 8 x dp 8 = 64 ranks, expected at most 32: the cluster has 32 GPUs");
}

TEST_CASE("A product of degrees beyond int is refused, not wrapped", "[layout]") {
  // 65536 * 65536 = 2^32, which a 32-bit int would call 0
  const LayoutSpec spec{.attention_tp = 65536, .attention_dp = 65536};
  CHECK_THROWS_WITH(
      make_layout(spec, mixtral(), 8, AllToAll::automatic),
      "layout: got attention tp 65536 x dp 65536 = 4294967296 ranks, expected at most 8: the cluster has 8 GPUs");
}

TEST_CASE("Fewer ranks than GPUs are allowed", "[layout]") {
  CHECK(make_layout({.attention_tp = 4, .expert_tp = 4}, mixtral(), 8, AllToAll::automatic).ranks == 4);
}

TEST_CASE("A degree below one is refused", "[layout]") {
  CHECK_THROWS_WITH(layout_of(0, 1, 1, 1), "layout.attention.tp: got 0, expected a whole number, 1 or more");
  CHECK_THROWS_WITH(layout_of(1, 1, 1, -2), "layout.experts.tp: got -2, expected a whole number, 1 or more");
}

TEST_CASE("What a degree splits must divide, and the message names the count", "[layout]") {
  CHECK_THROWS_WITH(layout_of(3, 1, 1, 3),
                    "layout.attention.tp: got 3, expected a divisor of the 32 attention heads; did you mean 2 or 4?");

  Architecture odd = mixtral();
  odd.attention.kv_heads = 6;
  CHECK_THROWS_WITH(layout_of(4, 1, 1, 4, odd),
                    "layout.attention.tp: got 4, expected a divisor or a multiple of the 6 KV heads");

  Architecture narrow = mixtral();
  narrow.moe->expert_hidden = 12;
  CHECK_THROWS_WITH(
      layout_of(8, 1, 1, 8, narrow),
      "layout.experts.tp: got 8, expected a divisor of the 12 columns of an expert; did you mean 6 or 12?");

  Architecture shared = mixtral();
  shared.moe->shared_hidden = 12;
  CHECK_THROWS_WITH(
      layout_of(8, 1, 8, 1, shared),
      "layout.attention.tp: got 8, expected a divisor of the 12 columns of the shared experts; did you mean 6 or 12?");

  Architecture thin = dense();
  thin.dense_hidden = 12;
  CHECK_THROWS_WITH(
      layout_of(8, 1, 1, 1, thin),
      "layout.attention.tp: got 8, expected a divisor of the 12 columns of a dense FFN; did you mean 6 or 12?");
}

TEST_CASE("KV heads may be replicated over tensor parallel ranks", "[layout]") {
  CHECK(layout_of(16, 1, 1, 16).ranks == 16);  // 8 KV heads on 16 ranks: two ranks hold each
  CHECK(layout_of(32, 1, 1, 32).ranks == 32);
}

TEST_CASE("Experts with redundant slots must divide over the ranks once the slots are known", "[layout]") {
  const LayoutSpec ep144{.attention_dp = 144, .expert_ep = 144};
  // 256 + 32 = 288 = 2 * 144
  CHECK(make_layout(ep144, deepseek(), 144, AllToAll::automatic, 32).ranks == 144);
  CHECK(make_layout(ep144, deepseek(), 144, AllToAll::automatic).ranks == 144);
  CHECK_THROWS_WITH(
      make_layout(ep144, deepseek(), 144, AllToAll::automatic, 0),
      "layout.experts.ep: got 144, expected a divisor of 256 experts + 0 redundant = 256 slots; did you mean "
      "128 or 256?");
  const LayoutSpec ep16{.attention_dp = 16, .expert_ep = 16};
  CHECK_THROWS_WITH(
      make_layout(ep16, mixtral(), 16, AllToAll::automatic, 0),
      "layout.experts.ep: got 16, expected a divisor of 8 experts + 0 redundant = 8 slots; did you mean 8?");
}

TEST_CASE("A pipeline (L8) repeats the ranks of a stage on the next GPUs", "[layout]") {
  const LayoutSpec spec{.attention_tp = 2, .expert_tp = 2, .pp = 4, .microbatches = 8};
  const Layout layout = make_layout(spec, mixtral(), 8, AllToAll::automatic);
  CHECK(layout.ranks == 2);
  CHECK(layout.gpus() == 8);
  CHECK(layout.spec.stage_layers == std::vector<int>{8, 8, 8, 8});
  CHECK(layout.first_layer(3) == 24);
  CHECK(describe(layout) == "attention tp2 x dp1, experts ep1 x tp2, 4 stages of 2 ranks");
}

TEST_CASE("Layers left over go to later stages but not to the last, which has the LM head", "[layout]") {
  LayoutSpec spec{.pp = 4};
  CHECK(make_layout(spec, deepseek(), 4, AllToAll::automatic).spec.stage_layers == std::vector<int>{15, 15, 16, 15});
  spec.pp = 7;  // 61 = 7 * 8 + 5
  CHECK(make_layout(spec, deepseek(), 7, AllToAll::automatic).spec.stage_layers ==
        std::vector<int>{8, 9, 9, 9, 9, 9, 8});
  spec = {.pp = 2, .stage_layers = {40, 21}};
  CHECK(make_layout(spec, deepseek(), 2, AllToAll::automatic).first_layer(1) == 40);
}

TEST_CASE("A stage's model has its own layers", "[layout]") {
  const LayoutSpec spec{.pp = 3, .stage_layers = {2, 30, 29}};
  const Layout layout = make_layout(spec, deepseek(), 3, AllToAll::automatic);
  CHECK(model_of_stage(deepseek(), layout, 0).moe_layers() == 0);
  CHECK(model_of_stage(deepseek(), layout, 1).dense_layers() == 1);  // layer 2 of three
  CHECK(model_of_stage(deepseek(), layout, 2).moe_layers() == 29);
}

TEST_CASE("Pipelines that the model or the cluster cannot hold are refused", "[layout]") {
  const auto refused = [](const LayoutSpec& spec) { make_layout(spec, mixtral(), 8, AllToAll::automatic); };
  CHECK_THROWS_WITH(refused({.attention_tp = 4, .expert_tp = 4, .pp = 4}),
                    "layout: got attention tp 4 x dp 1 = 4 ranks in each of 4 stages, expected at most 2: the cluster "
                    "has 8 GPUs");
  CHECK_THROWS_WITH(make_layout({.pp = 33}, mixtral(), 64, AllToAll::automatic),
                    "layout.pp: got 33, expected at most the model's 32 layers");
  CHECK_THROWS_WITH(refused({.microbatches = 2}),
                    "layout.microbatches: got 2, expected 1: without a pipeline (layout.pp) or pools "
                    "(layout.experts.apart) a step is one batch");
  CHECK_THROWS_WITH(refused({.pp = 2, .stage_layers = {16, 17}}),
                    "layout.stage_layers: got 2 stages of 33 layers in all, expected pp = 2 stages of 32 layers in "
                    "all, as [16, 16]");
  CHECK_THROWS_WITH(refused({.pp = 2, .stage_layers = {0, 32}}),
                    "layout.stage_layers: got 0, expected at least a layer in every stage");
}

TEST_CASE("Experts apart (L10) have GPUs of their own behind those of attention", "[layout]") {
  const LayoutSpec spec{.attention_tp = 2, .attention_dp = 4, .expert_ep = 4, .microbatches = 3, .experts_apart = true};
  const Layout layout = make_layout(spec, mixtral(), 16, AllToAll::automatic);
  CHECK(layout.kind == LayoutKind::data_expert_a2a);
  CHECK(layout.ranks == 8);
  CHECK(layout.expert_ranks() == 4);
  CHECK(layout.first_expert_gpu() == 8);
  CHECK(layout.gpus() == 12);
  CHECK(layout.spreads_tokens());
  CHECK(layout.expert_tp_groups.size() == 4);
  CHECK(describe(layout) == "attention tp2 x dp4 on 8 ranks, experts ep4 x tp1 apart on 4");
}

TEST_CASE("Pools that cannot be are refused", "[layout]") {
  LayoutSpec spec{.attention_dp = 6, .expert_ep = 4, .experts_apart = true};
  CHECK_THROWS_WITH(make_layout(spec, mixtral(), 8, AllToAll::automatic),
                    "layout: got 6 attention ranks and 4 expert ranks apart, expected at most 8 together: the cluster "
                    "has 8 GPUs");
  CHECK_THROWS_WITH(make_layout(spec, mixtral(), 16, AllToAll::allgather_reducescatter),
                    "communication.all_to_all: got allgather_reducescatter, expected an all-to-all: pools of attention "
                    "and experts share no group");
  spec.pp = 2;
  CHECK_THROWS_WITH(make_layout(spec, mixtral(), 32, AllToAll::automatic),
                    "layout.experts.apart: true with pp 2 is not modelled yet; use pp 1");
  CHECK_THROWS_WITH(make_layout({.attention_tp = 4, .experts_apart = true}, dense(), 8, AllToAll::automatic),
                    "layout.experts.apart: got true, expected false: the model has no experts");
}

TEST_CASE("Attention groups that dispatch (L5) spread their tokens and hold shared experts whole", "[layout]") {
  const Layout layout = layout_of(4, 8, 32, 1, deepseek());
  CHECK(layout.kind == LayoutKind::data_expert_a2a);
  CHECK(layout.spreads_tokens());
  CHECK(layout.shared_expert_tp() == 1);
  REQUIRE(layout.attention_tp_groups.size() == 8);
  CHECK(layout.attention_tp_groups[1] == std::vector<int>{4, 5, 6, 7});
  CHECK(layout.ep_group.size() == 32);
  CHECK(layout.dp_rank_of(7) == 1);
  CHECK(layout.expert_rank_of(7) == 7);
  CHECK_FALSE(layout_of(8, 1, 8, 1).spreads_tokens());  // L2: every rank keeps every token
}

TEST_CASE("Experts cut over a node and spread over nodes (L6) form groups of consecutive ranks", "[layout]") {
  const Layout layout = layout_of(8, 4, 4, 8, deepseek());
  CHECK(layout.kind == LayoutKind::data_expert_a2a);
  REQUIRE(layout.expert_tp_groups.size() == 4);
  CHECK(layout.expert_tp_groups[3].front() == 24);
  CHECK(layout.expert_rank_of(23) == 2);
}

TEST_CASE("Expert tensor parallelism (L7) need not be as wide as attention's", "[layout]") {
  CHECK(layout_of(8, 1, 4, 2).kind == LayoutKind::tensor_expert);    // every rank has every token: no dispatch
  CHECK(layout_of(1, 8, 4, 2).kind == LayoutKind::data_expert_a2a);  // 4 groups of 2 GPUs
  CHECK(layout_of(1, 8, 1, 8).kind == LayoutKind::data_expert_a2a);  // one group: tokens are only gathered
  CHECK(layout_of(2, 4, 4, 2, mixtral(), AllToAll::allgather_reducescatter).kind == LayoutKind::data_expert_gather);
  CHECK_THROWS_WITH(layout_of(1, 8, 4, 4),
                    "layout: got attention tp 1 x dp 8 = 8 ranks, expected as many as experts "
                    "ep 4 x tp 4 = 16");
}

TEST_CASE("An all-to-all asked of a layout that dispatches nothing is refused, not ignored", "[layout]") {
  CHECK_THROWS_WITH(
      layout_of(8, 1, 8, 1, mixtral(), AllToAll::deepep_low_latency),
      "communication.all_to_all: got deepep_low_latency, expected auto: with attention dp 1 every rank holds "
      "every token and nothing is dispatched");
}
