// Any bytes as a .csv or .csv.gz of routing are either fitted or refused: histogram, mixture, trace and fit readers.

#include <cstdlib>

#include "models/routing/route_fit.hpp"
#include "models/routing/routing.hpp"
#include "models/units/error.hpp"
#include "tests/fuzz/written_file.hpp"

namespace {

moesim::Architecture small_model() {
  moesim::Architecture model;
  model.name = "small";
  model.layers = 3;
  model.moe_layer = {false, true, true};
  model.moe.emplace();
  model.moe->experts = 4;
  model.moe->top_k = 2;
  return model;
}

template <class Read>
void refuse_or_take(Read&& read) {
  try {
    read();
  } catch (const moesim::InputError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesim;
  static const Architecture model = small_model();
  RoutingSpec spec;
  spec.file = fuzz::written(data, size);
  refuse_or_take([&] {
    const RoutingTrace trace = load_routing_trace(spec.file, model);
    if (trace.tokens < 1 || trace.experts.size() != static_cast<std::size_t>(trace.tokens) * 4) std::abort();
  });
  for (const RoutingKind kind : {RoutingKind::histogram, RoutingKind::mixture}) {
    spec.kind = kind;
    spec.weights = {{"a", 1}, {"b", 2}};
    refuse_or_take([&] {
      const ExpertPopularity popularity = expert_popularity(spec, model, 1);
      double sum = 0;
      for (const double pi : popularity.layer(0)) sum += pi;
      if (!(sum > 1.999999 && sum < 2.000001)) std::abort();
    });
  }
  RouteFitOptions quick;
  quick.resamples = 10;
  quick.replicates = 1;
  refuse_or_take([&] { fit_route_file(spec.file, quick); });
  return 0;
}
