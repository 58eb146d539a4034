#pragma once
// How tokens choose experts. One law per layer, two samplers of it (design.md section 2).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

enum class RoutingKind { uniform, balanced, zipf, dirichlet, histogram, trace };
std::string_view name_of(RoutingKind kind);

enum class Sampler { automatic, token, aggregate };

struct RoutingSpec {
  RoutingKind kind = RoutingKind::uniform;
  double exponent = 0;       ///< zipf: share of the i-th popular expert ~ i^-exponent
  double concentration = 0;  ///< dirichlet a: shares ~ Dir(a, ..., a)
  std::string file;          ///< histogram (layer,expert,count) or trace (seq,pos,layer,e0..), .csv or .csv.gz
  std::vector<std::pair<std::string, std::string>>
      where;  ///< histogram: keep rows whose column has this value (domain = ...)
  Sampler sampler = Sampler::automatic;
};

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
/// Histogram files have columns layer, expert, count and any others; rows that pass `where` are added up. Layers are
/// numbered as in the model or 0 .. MoE layers - 1. A trace gives the shares of its tokens.
/// Throws InputError for an unreadable file, a missing layer, an expert out of range, a bad number, each with its
/// place; std::invalid_argument for a dense model.
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
};
/// balanced deals a random order of the experts to the tokens, k at a time; trace replays its tokens in order, every
/// step from another place. Draws depend on (seed, step, layer, token) alone. Throws NotModelledYet for balanced
/// routing whose deal does not fit the kept groups; InputError as load_routing_trace.
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
