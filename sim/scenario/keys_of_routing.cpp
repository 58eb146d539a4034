#include "sim/scenario/choices.hpp"
#include "sim/scenario/key_parts.hpp"

namespace moesim {
namespace {

using T = KeyType;

constexpr double kMostLogit = 20, kMostLoad = 1e12, kMostFactor = 1e6, kMostPlaces = 1e9;

std::vector<Key> popularity_keys() {
  return {
      {.path = "routing.kind",
       .type = T::choice,
       .doc = "How tokens choose experts",
       .standard = "uniform",
       .choices = routing_choices()},
      {.path = "routing.exponent",
       .type = T::number,
       .doc = "The i-th popular expert ~ i^-exponent",
       .least = 0,
       .most = 10,
       .only_with = {"routing.kind", {"zipf", "markov"}, true}},
      {.path = "routing.concentration",
       .type = T::number,
       .doc = "Small: few hot experts; large: even",
       .least = 0,
       .most = 1e6,
       .above_least = true,
       .only_with = {"routing.kind", {"dirichlet"}, true}},
      {.path = "routing.sigma",
       .type = T::number,
       .doc = "lognormal: standard deviation of a share's logarithm. logits, expert_choice: of a token's logits around "
              "their mean",
       .least = 0,
       .most = kMostLogit,
       .only_with = {"routing.kind", {"lognormal", "logits", "expert_choice"}, true}},
      {.path = "routing.alpha",
       .type = T::number,
       .doc = "Density of an expert's load ~ load^-alpha",
       .least = 0,
       .most = kMostLogit,
       .only_with = {"routing.kind", {"power_law"}, true}},
      {.path = "routing.min",
       .type = T::number,
       .doc = "Smallest load of an expert, in any unit",
       .most = kMostLoad,
       .above_least = true,
       .only_with = {"routing.kind", {"power_law"}, true}},
      {.path = "routing.max",
       .type = T::number,
       .doc = "Largest load of an expert, in the unit of routing.min",
       .most = kMostLoad,
       .above_least = true,
       .only_with = {"routing.kind", {"power_law"}, true}},
      {.path = "routing.spread",
       .type = T::number,
       .doc = "Standard deviation of the experts' mean logits",
       .standard_note = "1",
       .most = kMostLogit,
       .only_with = {"routing.kind", {"logits", "expert_choice"}, false}},
      {.path = "routing.domains",
       .type = T::integer,
       .doc = "Kinds of requests, each with mean logits of its own",
       .standard_note = "1",
       .least = 1,
       .most = 1000,
       .only_with = {"routing.kind", {"logits", "expert_choice"}, false}},
  };
}

std::vector<Key> file_keys() {
  return {
      {.path = "routing.file",
       .type = T::file,
       .doc = "CSV of layer,expert,count (histogram, mixture) or seq,pos,layer,e0,e1,... (trace), may be .gz",
       .only_with = {"routing.kind", {"histogram", "mixture", "trace"}, true}},
      {.path = "routing.where",
       .type = T::columns,
       .doc = "Keep only the rows of the file whose column has this value, as {domain: law}",
       .only_with = {"routing.kind", {"histogram", "mixture"}, false},
       .shape = "a map of column to value, as {domain: law}"},
      {.path = "routing.weights",
       .type = T::columns,
       .doc = "Share of requests of each domain, any scale, as {law: 1, code: 3}",
       .only_with = {"routing.kind", {"mixture"}, true},
       .shape = "a map of domain to share, as {law: 1, code: 3}"},
      {.path = "routing.domain_column",
       .type = T::text,
       .doc = "Column of the file that names the domain",
       .standard_note = "domain",
       .only_with = {"routing.kind", {"mixture"}, false}},
      {.path = "routing.affinity",
       .type = T::number,
       .doc = "Chance that a token goes on to the experts that follow those of the layer before",
       .standard_note = "0",
       .most = 1,
       .only_with = {"routing.kind", {"markov", "mixture"}, false}},
      {.path = "routing.persistence",
       .type = T::number,
       .doc = "Chance that a token repeats the experts of its request's token before; below 1",
       .standard_note = "the file's column persistence (one value per layer), else 0",
       .most = 0.999,
       .only_with = {"routing.kind", {"markov", "mixture"}, false}},
  };
}

std::vector<Key> capacity_keys() {
  const std::vector<std::string_view> limited{"drop_position", "drop_prob", "backup"};
  return {
      {.path = "routing.capacity.policy",
       .type = T::choice,
       .doc = "What happens when an expert is full",
       .standard = "none",
       .choices = capacity_choices()},
      {.path = "routing.capacity.factor",
       .type = T::number,
       .doc = "Places of an expert over its mean load: max(min, ceil(factor x top-k x tokens / experts)). Needed by "
              "every policy but none; with kind expert_choice, tokens that an expert takes over the mean (default 1)",
       .most = kMostFactor,
       .above_least = true},
      {.path = "routing.capacity.min",
       .type = T::integer,
       .doc = "Places that an expert has at least",
       .standard_note = "1",
       .least = 1,
       .most = kMostPlaces,
       .only_with = {"routing.capacity.policy", limited, false}},
      {.path = "routing.capacity.scope",
       .type = T::choice,
       .doc = "Whose tokens share the places",
       .standard_note = "rank",
       .choices = capacity_scope_choices(),
       .only_with = {"routing.capacity.policy", limited, false}},
      {.path = "routing.capacity.max_hops",
       .type = T::integer,
       .doc = "Experts that a rejected choice tries, in order of its router scores; a full one counts",
       .standard_note = "1",
       .least = 1,
       .most = 65536,
       .only_with = {"routing.capacity.policy", {"backup"}, false}},
      {.path = "routing.capacity.pad",
       .type = T::boolean,
       .doc = "Empty places travel and are computed too",
       .standard_note = "false",
       .only_with = {"routing.capacity.policy", limited, false}},
  };
}

}  // namespace

std::vector<Key> routing_keys() {
  std::vector<Key> keys;
  for (const auto& part : {popularity_keys(), file_keys(), capacity_keys()})
    keys.insert(keys.end(), part.begin(), part.end());
  keys.push_back({.path = "routing.sampler",
                  .type = T::choice,
                  .doc = "How loads are drawn from the routing",
                  .standard = "auto",
                  .choices = sampler_choices()});
  return keys;
}

}  // namespace moesim
