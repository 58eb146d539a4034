#include <nlohmann/json.hpp>

#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(Seconds time) {
  return time.value() * 1e3;
}

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace

std::string uncertainty_json(const std::optional<Uncertainty>& of) {
  if (!of) return "null";
  return Json{{"sigma", of->sigma},
              {"most_from", of->most_from},
              {"step_ms", {{"p10", milliseconds(of->step_p10)}, {"p90", milliseconds(of->step_p90)}}},
              {"output_tokens_per_s", {{"p10", or_null(of->output_p10)}, {"p90", or_null(of->output_p90)}}}}
      .dump();
}

std::string kernels_json(const Summary& summary) {
  Json list = Json::array();
  for (const KernelUse& use : summary.kernels)
    list.push_back({{"op_class", use.op_class},
                    {"cause", name_of(use.cause)},
                    {"source", use.source},
                    {"kernel", or_null(use.kernel)},
                    {"stand_in", or_null(use.lender)},
                    {"regime", or_null(use.regime)},
                    {"sigma", use.sigma > 0 ? Json(use.sigma) : Json()},
                    {"time_ms", milliseconds(use.time)}});
  return list.dump();
}

}  // namespace moesim
