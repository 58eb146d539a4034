#include "sim/validate/predict.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "models/kernels/kernel_times.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "sim/simulate.hpp"
#include "sim/validate/exchange_time.hpp"

namespace moesim {
namespace {

using Json = nlohmann::json;

Prediction of_part(const SourcedTime& part) {
  return {part.time, part.time, part.source, {}};
}

Prediction answer(const WeightedSteps& steps, const StepAnswers& answers) {
  Prediction prediction;
  for (const WeightedSteps::Part& part : steps.parts) {
    const StepAnswer& step = answers.at(part.scenario);
    if (!step.refusal.empty()) return {{}, {}, {}, step.refusal};
    prediction.time += part.weight * step.step;
    if (prediction.source.empty()) {
      prediction.first = prediction.time;
      prediction.source = step.kernel_source;
    }
  }
  return prediction;
}

Prediction answer(const RowExchange& exchange, const StepAnswers&) {
  return of_part(exchange_time(exchange));
}

Prediction answer(const VendorCollective& collective, const StepAnswers&) {
  return of_part(collective_time(collective));
}

Prediction answer(const MatrixProduct& product, const StepAnswers&) {
  const auto kernels = make_roofline(find_gpu(product.gpu, "case"));
  const auto& [gpu, m, n, k, groups, format] = product;
  const double rows = groups * m;
  const Bytes weights = groups * matrix_bytes(n, k, format);
  const Bytes activations = vector_bytes_of(rows * k, activation_format(format)) + Bytes{2 * rows * n};
  const Op op{"product", OpClass::dense_ffn, Flops{2 * rows * n * k}, weights + activations, Gemm{rows, n, k, format}};
  return of_part({kernels->time(op), std::string{name_of(kernels->source())}});
}

/// Rows of each expert when every token takes top_k distinct ones, all alike.
std::vector<std::int32_t> uniform_rows(const RowExperts& layer) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(layer.experts));
  std::vector<std::uint32_t> deck(rows.size());
  for (std::size_t i = 0; i < deck.size(); ++i) deck[i] = static_cast<std::uint32_t>(i);
  Random random{1, Purpose::token_routes, 0, 0};
  for (int token = 0; token < layer.tokens; ++token)
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(layer.top_k); ++i) {
      std::swap(deck[i], deck[i + random.below(static_cast<std::uint32_t>(deck.size()) - i)]);
      ++rows[deck[i]];
    }
  return rows;
}

Prediction answer(const RowExperts& layer, const StepAnswers&) {
  const auto kernels = make_roofline(find_gpu(layer.gpu, "case"));
  const auto experts =
      kernels->experts({.hidden = layer.hidden, .expert_hidden = layer.expert_hidden, .format = layer.format});
  Seconds time = (*experts)(uniform_rows(layer));
  const double tokens = layer.tokens, rows = tokens * layer.top_k, width = layer.hidden;
  // Top-k over the scores, the permutation before the experts, the weighted sum behind them.
  for (const double bytes : {tokens * layer.experts * 8, rows * width * 4, rows * width * 2 + tokens * width * 2})
    time += kernels->time({"around", OpClass::dispatch_local, Flops{0}, Bytes{bytes}, Streaming{}});
  return of_part({time, std::string{name_of(kernels->source())}});
}

}  // namespace

StepAnswer simulate_step(const std::string& scenario) {
  try {
    const Summary summary = simulate(parse_scenario(scenario, "case", "."), 0);
    return {summary.step.mean, summary.kernel_source, {}};
  } catch (const InputError& error) {
    return {{}, {}, error.what()};
  } catch (const Infeasible& error) {
    return {{}, {}, error.what()};
  }
}

std::string answer_text(const StepAnswer& answer) {
  return Json{{"step", answer.step.value()}, {"source", answer.kernel_source}, {"refusal", answer.refusal}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

StepAnswer read_answer(const std::string& text) {
  const Json answer = Json::parse(text);
  return {Seconds{answer["step"].get<double>()}, answer["source"], answer["refusal"]};
}

Prediction predict(const Question& question, const StepAnswers& answers) {
  return std::visit([&](const auto& one) { return answer(one, answers); }, question);
}

}  // namespace moesim
