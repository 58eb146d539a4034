#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "sim/scenario/build.hpp"

namespace moesim {
namespace {

void read_number(const Settings& settings, std::string_view path, double& value) {
  if (settings.has(path)) value = settings.number(path);
}

std::vector<std::pair<std::string, double>> read_weights(const Settings& settings) {
  std::vector<std::pair<std::string, double>> weights;
  for (const auto& [name, text] : std::get<Columns>(settings.at("routing.weights").value)) {
    double value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value < 0)
      throw InputError{settings.where("routing.weights"), fmt::format("{}: {}", name, text),
                       "a number of at least 0 for every domain"};
    weights.emplace_back(name, value);
  }
  return weights;
}

CapacitySpec read_capacity(const Settings& settings) {
  CapacitySpec capacity;
  capacity.policy = settings.choice<CapacityPolicy>("routing.capacity.policy");
  read_number(settings, "routing.capacity.factor", capacity.factor);
  if (settings.has("routing.capacity.min")) capacity.least = settings.count("routing.capacity.min");
  if (settings.has("routing.capacity.scope")) capacity.scope = settings.choice<CapacityScope>("routing.capacity.scope");
  if (settings.has("routing.capacity.max_hops")) capacity.max_hops = settings.count("routing.capacity.max_hops");
  if (settings.has("routing.capacity.pad")) capacity.pad = settings.flag("routing.capacity.pad");
  return capacity;
}

void check_capacity(const RoutingSpec& routing, const Settings& settings) {
  constexpr std::string_view kPolicy = "routing.capacity.policy", kFactor = "routing.capacity.factor";
  const bool limited = routing.capacity.policy != CapacityPolicy::none;
  const bool choosing = routing.kind == RoutingKind::expert_choice;
  if (limited && choosing)
    throw InputError{settings.where(kPolicy), std::string{name_of(routing.capacity.policy)},
                     "none with routing.kind expert_choice, which fills every expert exactly"};
  if (limited && !settings.has(kFactor))
    throw InputError{settings.where(kFactor), "nothing",
                     fmt::format("a number above 0: {} {} needs it", kPolicy, name_of(routing.capacity.policy))};
  if (!limited && !choosing && settings.has(kFactor))
    throw InputError{settings.where(kFactor), settings.at(kFactor).text,
                     fmt::format("no such key with {} none", kPolicy)};
  const bool by_scores =
      routing.capacity.policy == CapacityPolicy::drop_prob || routing.capacity.policy == CapacityPolicy::backup;
  if (by_scores && !has_logits(routing.kind))
    throw InputError{settings.where(kPolicy),
                     fmt::format("{} with routing.kind {}", name_of(routing.capacity.policy), name_of(routing.kind)),
                     "routing.kind logits, which has router scores, or drop_position"};
  if (limited && routing.sampler == Sampler::aggregate)
    throw InputError{settings.where("routing.sampler"), fmt::format("aggregate with {}", kPolicy),
                     "token: places are given to tokens, not to loads"};
}

}  // namespace

RoutingSpec read_routing(const Settings& settings, const std::filesystem::path& folder) {
  RoutingSpec routing;
  routing.kind = settings.choice<RoutingKind>("routing.kind");
  routing.sampler = settings.choice<Sampler>("routing.sampler");
  read_number(settings, "routing.exponent", routing.exponent);
  read_number(settings, "routing.concentration", routing.concentration);
  read_number(settings, "routing.sigma", routing.sigma);
  read_number(settings, "routing.alpha", routing.alpha);
  read_number(settings, "routing.min", routing.least);
  read_number(settings, "routing.max", routing.most);
  if (routing.most < routing.least)
    throw InputError{settings.where("routing.max"), fmt::format("{}", routing.most),
                     fmt::format("at least routing.min, {}", routing.least)};
  read_number(settings, "routing.spread", routing.spread);
  read_number(settings, "routing.affinity", routing.affinity);
  if (settings.has("routing.domains")) routing.domains = settings.count("routing.domains");
  if (settings.has("routing.file")) routing.file = existing_file(settings, "routing.file", folder).string();
  if (settings.has("routing.where")) routing.where = std::get<Columns>(settings.at("routing.where").value);
  if (settings.has("routing.weights")) routing.weights = read_weights(settings);
  if (settings.has("routing.domain_column")) routing.domain_column = settings.text("routing.domain_column");
  if (settings.has("routing.persistence")) routing.persistence = settings.number("routing.persistence");
  routing.capacity = read_capacity(settings);
  check_capacity(routing, settings);
  return routing;
}

}  // namespace moesim
