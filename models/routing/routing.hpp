#pragma once
// How tokens choose experts. One law per layer, two samplers of it (design.md section 2).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/routing/capacity.hpp"

namespace moesim {

enum class RoutingKind {
  uniform,
  balanced,
  zipf,
  dirichlet,
  lognormal,
  power_law,
  histogram,
  mixture,
  markov,
  logits,
  expert_choice,
  trace
};
std::string_view name_of(RoutingKind kind);

enum class Sampler { automatic, token, aggregate };

struct RoutingSpec {
  RoutingKind kind = RoutingKind::uniform;
  double exponent = 0;                    ///< zipf, markov: share of the i-th popular expert ~ i^-exponent
  double concentration = 0;               ///< dirichlet a: shares ~ Dir(a, ..., a)
  double sigma = 0;                       ///< lognormal: sd of a share's logarithm; logits: of a token's logits
  double alpha = 0, least = 0, most = 0;  ///< power_law: density of a load ~ x^-alpha between least and most
  double spread = 1;                      ///< logits, expert_choice: sd of the experts' mean logits
  int domains = 1;                        ///< logits, expert_choice: kinds of requests, each with its mean logits
  std::string file;  ///< histogram, mixture (layer,expert,count) or trace (seq,pos,layer,e0..), .csv or .csv.gz
  std::vector<std::pair<std::string, std::string>>
      where;                             ///< histogram, mixture: keep rows whose column has this value (domain = ...)
  std::string domain_column = "domain";  ///< mixture: the file's column that names the domain
  std::vector<std::pair<std::string, double>> weights;  ///< mixture: share of requests of each domain, any scale
  double affinity = 0;                ///< markov, mixture: chance that a token follows its layer before
  std::optional<double> persistence;  ///< markov, mixture: chance to repeat the token before; none: the file's column
  CapacitySpec capacity;
  int request_tokens = 0;  ///< 0: token t of a step is sequence t, at position `step`; n: n tokens in a row, a request
  Sampler sampler = Sampler::automatic;
};

/// Whether the law of a layer's loads is that of independent tokens of one popularity, so that AggregateSampler draws
/// it. Otherwise (tokens that depend on each other, or another law of a token) only the token sampler does.
bool has_aggregate_law(RoutingKind kind);
/// Whether a token's routes come from router logits, so that it has gate weights and next-best experts.
bool has_logits(RoutingKind kind);

/// Chance that a token takes expert e in MoE layer l: inclusion[l][e], summing to k, none above 1.
struct ExpertPopularity {
  int layers = 0;  ///< MoE layers
  int experts = 0;
  int top_k = 0;
  std::vector<double> inclusion;  ///< [layers * experts]
  bool round_robin = false;       ///< kind balanced: loads without any noise, within one token of each other

  std::span<const double> layer(int l) const {
    return {inclusion.data() + static_cast<std::size_t>(l) * experts, static_cast<std::size_t>(experts)};
  }
};

/// Target popularity of every layer: shares times k, water-filled so that no expert exceeds every token (shares.hpp).
/// Where a router that keeps few groups cannot serve popular experts in many groups, the cap is lowered until it can.
/// A mixture gives the mean of its domains; logits an estimate from 8,192 tokens per layer (the samplers do not use
/// it). Histogram files have columns layer, expert, count and any others; rows that pass `where` are added up. Layers
/// are numbered as in the model or 0 .. MoE layers - 1. A trace gives the shares of its tokens. Throws InputError for
/// an unreadable file, a missing layer, an expert out of range, a bad number, each with its place;
/// std::invalid_argument for a dense model.
ExpertPopularity expert_popularity(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed);

/// Recorded tokens: experts[token][layer][k].
struct RoutingTrace {
  int tokens = 0, layers = 0, top_k = 0;
  std::vector<std::int16_t> experts;
  std::span<const std::int16_t> token(int t, int layer) const {
    return {experts.data() + (static_cast<std::size_t>(t) * layers + layer) * top_k, static_cast<std::size_t>(top_k)};
  }
};
/// CSV with the columns layer and e0 .. e(k-1); the columns before `layer` (seq,pos or sample,...,pos) name the token,
/// whose rows stand together. Layers are numbered as in the model or 0 .. MoE layers - 1. Throws InputError with
/// file:line:column for an expert out of range or repeated, a missing layer, a wrong width.
RoutingTrace load_routing_trace(const std::string& file, const Architecture& model);

/// Draws the experts of single tokens: k iid draws conditioned on being distinct (conditional Poisson design), so that
/// inclusion probabilities equal the popularity exactly; under group-limited routing first the kept groups.
class TokenSampler {
public:
  virtual ~TokenSampler() = default;
  /// k distinct experts of a token in a layer of a step; out has top_k entries.
  virtual void draw(std::uint32_t step, int layer, std::uint32_t token, std::span<int> out) const = 0;
  virtual int top_k() const = 0;
  virtual int experts() const = 0;

  /// Experts of tokens 0 .. tokens - 1 of a step: out [tokens * width], -1 where a token has fewer. Returns the width:
  /// top_k, except where experts choose their tokens.
  virtual int draw_all(std::uint32_t step, int layer, std::int64_t tokens, std::vector<int>& out) const;
  /// What the router thought of every expert for this token: selection (higher is better, minus infinity outside the
  /// kept groups) and gate weight, both [experts]. Throws std::logic_error unless has_logits.
  virtual void preferences(std::uint32_t step, int layer, std::uint32_t token, std::span<double> selection,
                           std::span<double> gate) const;
};
/// balanced deals a random order of the experts to the tokens, k at a time; trace replays its tokens in order, every
/// step from another place; mixture and markov: see correlated.hpp; logits and expert_choice: see logits.hpp. Draws
/// depend on (seed, step, layer, token) alone. Throws NotModelledYet for balanced routing whose deal does not fit the
/// kept groups; InputError as load_routing_trace and expert_popularity.
std::unique_ptr<TokenSampler> make_token_sampler(const RoutingSpec& spec, const Architecture& model,
                                                 const ExpertPopularity& popularity, std::uint64_t seed);

/// Draws the loads of all experts of a layer at once, with the token sampler's means and covariance:
/// 0 <= n_e <= tokens, sum n_e = k * tokens.
class AggregateSampler {
public:
  AggregateSampler(const RouterSpec& router, const ExpertPopularity& popularity, std::uint64_t seed);
  ~AggregateSampler();
  /// loads [experts]: tokens each expert receives. Safe from several threads; depends on (seed, step, layer, tokens)
  /// alone. Means and variances are those of the token law, its covariances those of Hajek's approximation (exact
  /// between groups). Throws std::invalid_argument for tokens < 0 or beyond 2^31 - 1, or a span of another size.
  void draw(std::uint32_t step, int layer, std::int64_t tokens, std::span<std::int32_t> loads) const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Chance that a token takes at least one expert of a set, per set: 1 - P(none), exact under the conditional Poisson
/// design (uniform: 1 - C(E-|S|, k)/C(E, k)). `set_of` [slots] gives the set of each slot, -1 none; `expert_of` [slots]
/// its expert, -1 empty; an expert with c replicas sends 1/c of its tokens to each. Throws std::invalid_argument when
/// no law of this router has these inclusion probabilities, or the spans differ in size.
std::vector<double> distinct_copies(const RouterSpec& router, std::span<const double> inclusion, int top_k,
                                    std::span<const int> expert_of, std::span<const int> set_of, int sets);

/// max / mean; 1 when all are zero.
double imbalance(std::span<const double> load);

}  // namespace moesim
