#include <nlohmann/json.hpp>

#include "sim/cli/command_routing.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json optional(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json interval(const Interval& of) {
  return Json::array({of.low, of.high});
}

Json families(const LoadFit& loads) {
  Json list = Json::array();
  for (int f = 0; f < kLoadFamilies; ++f)
    list.push_back({{"name", name_of(static_cast<LoadFamily>(f))},
                    {"parameter", optional(loads.family[f].parameter)},
                    {"kl", loads.family[f].kl},
                    {"max_over_mean", loads.family[f].max_over_mean}});
  return list;
}

Json tokens(const TokenFit& fit) {
  return {{"overlap", fit.overlap},
          {"overlap_ci95", interval(fit.overlap_interval)},
          {"chance_overlap", fit.chance_overlap},
          {"far_overlap", fit.far_overlap},
          {"persistence", fit.persistence},
          {"domain_share", fit.shrinkage},
          {"next_layer_affinity", optional(fit.next_layer_affinity)},
          {"generated_max_over_mean", fit.generated_max_over_mean},
          {"generated_overlap", fit.generated_overlap}};
}

Json layer(const LayerFit& fit) {
  Json ranks = Json::array();
  for (const RankFit& rank : fit.ranks)
    ranks.push_back({{"ranks", rank.ranks},
                     {"max_over_mean", rank.max_over_mean},
                     {"max_over_mean_ci95", interval(rank.interval)},
                     {"generated_max_over_mean", optional(rank.generated)}});
  return {{"layer", fit.layer},
          {"assignments", fit.loads.total},
          {"max_over_mean", fit.loads.max_over_mean},
          {"max_over_mean_ci95", interval(fit.max_over_mean)},
          {"cv", fit.loads.cv},
          {"zipf_exponent", fit.loads.zipf_exponent},
          {"zipf_regression", fit.loads.zipf_regression},
          {"dirichlet_concentration", optional(fit.loads.dirichlet_concentration)},
          {"best_family", name_of(fit.loads.best)},
          {"kl_noise", fit.loads.kl_noise},
          {"families", families(fit.loads)},
          {"ranks", ranks},
          {"tokens", fit.tokens ? tokens(*fit.tokens) : Json(nullptr)}};
}

Json generator(const RouteFit& fit) {
  if (!fit.generator) return nullptr;
  const Reproduced count = reproduced(fit);
  return {{"kind", "mixture"},
          {"domains", fit.generator->mixture.domains.size()},
          {"layers", count.layers},
          {"layers_with_max_over_mean_in_ci95", count.max_over_mean},
          {"layers_with_overlap_in_ci95", count.overlap},
          {"rank_imbalances", count.all_ranks},
          {"rank_imbalances_in_ci95", count.ranks}};
}

const char* name_of_file(RouteFile kind) {
  return kind == RouteFile::loads ? "loads" : kind == RouteFile::tokens ? "tokens" : "pairs";
}

Json control_steps(const std::vector<BiasControlStep>& steps) {
  Json list = Json::array();
  for (const BiasControlStep& step : steps)
    list.push_back({{"step", step.step},
                    {"max_over_mean", step.max_over_mean},
                    {"idle_share", step.idle_share},
                    {"bias_range", step.bias_range}});
  return list;
}

}  // namespace

std::string routing_fit_json(const RouteFit& fit) {
  Json layers = Json::array(), pairs = Json::array();
  for (const LayerFit& of : fit.layers) layers.push_back(layer(of));
  for (const NamedPairFit& pair : fit.pairs)
    pairs.push_back({{"layers", pair.layers},
                     {"mutual_information_share", pair.fit.mutual_information_share},
                     {"affinity", pair.fit.affinity},
                     {"largest_lift", pair.fit.largest_lift}});
  const bool traced = fit.kind == RouteFile::tokens;
  const Json json{{"file", fit.file},
                  {"kind", name_of_file(fit.kind)},
                  {"experts", fit.experts},
                  {"experts_per_token", traced ? Json(fit.top_k) : Json(nullptr)},
                  {"tokens", traced ? Json(fit.tokens) : Json(nullptr)},
                  {"requests", traced ? Json(fit.requests) : Json(nullptr)},
                  {"layers", layers},
                  {"pairs", pairs},
                  {"generator", generator(fit)},
                  {"notes", fit.notes}};
  return json.dump(2) + "\n";
}

std::string routing_control_json(const RoutingControl& control) {
  const Json json{{"model", control.model},
                  {"sigma", control.routing.sigma},
                  {"spread", control.routing.spread},
                  {"tokens", control.spec.tokens},
                  {"rate", control.spec.rate},
                  {"growth", control.spec.growth},
                  {"free", control_steps(control.free)},
                  {"controlled", control_steps(control.controlled)}};
  return json.dump(2) + "\n";
}

}  // namespace moesim
