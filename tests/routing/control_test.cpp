// Expert collapse without load control, even loads with it.

#include "models/routing/bias_control.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

RoutingSpec logits() {
  RoutingSpec spec;
  spec.kind = RoutingKind::logits;
  spec.sigma = 1;
  spec.spread = 0.5;
  return spec;
}

Architecture sigmoid_router() {
  auto model = moe_model("64", 1, 0, 64, 4);
  model.moe->router.score = RouterScore::sigmoid;
  return model;
}

double mean_of_last(const std::vector<BiasControlStep>& steps, std::size_t count) {
  double sum = 0;
  for (std::size_t i = steps.size() - count; i < steps.size(); ++i) sum += steps[i].max_over_mean;
  return sum / static_cast<double>(count);
}

}  // namespace

TEST_CASE("Without control learning experts collapse, with the bias loads become even", "[routing]") {
  BiasControlSpec spec;
  spec.steps = 600;
  spec.tokens = 512;
  spec.growth = 0.002;
  spec.rate = 0;
  const auto free = run_bias_control(logits(), sigmoid_router(), spec, 5);
  spec.rate = 0.003;
  const auto controlled = run_bias_control(logits(), sigmoid_router(), spec, 5);
  INFO("seed 5");
  CHECK(free.front().max_over_mean == controlled.front().max_over_mean);
  CHECK(free.front().max_over_mean > 2);
  // 4 of 64 experts can take all tokens at most: max/mean 16
  CHECK(mean_of_last(free, 50) > 10);
  CHECK(free.back().idle_share > 0.3);
  // 512 tokens give 32 per expert: counting noise alone is 1 + sqrt(2 ln 64 / 32) = 1.51
  CHECK(mean_of_last(controlled, 50) < 1.7);
  CHECK(controlled.back().idle_share == 0);
  CHECK(controlled.back().bias_range > 0.1);
  CHECK(free.back().bias_range == 0);
}

TEST_CASE("A standing router is evened out by the bias alone, and stays skewed without", "[routing]") {
  BiasControlSpec spec;
  spec.steps = 300;
  spec.tokens = 512;
  spec.growth = 0;
  spec.rate = 0;
  const auto free = run_bias_control(logits(), sigmoid_router(), spec, 6);
  spec.rate = 0.003;
  const auto controlled = run_bias_control(logits(), sigmoid_router(), spec, 6);
  INFO("seed 6");
  CHECK(mean_of_last(free, 50) > 2);
  CHECK(mean_of_last(controlled, 50) < 1.7);
  spec.tokens = 0;
  CHECK_THROWS_WITH(run_bias_control(logits(), sigmoid_router(), spec, 6),
                    "bias control over 300 steps of 0 tokens, rate 0.003, growth 0");
}
