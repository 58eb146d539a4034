#pragma once
// The law of a single token in one layer: which k experts it takes, when all that is known is how often each is taken.
//
// Of all laws with the wanted inclusion probabilities it is the one of maximum entropy. Ungrouped, that is k draws from
// weights w conditioned on being distinct: P(S) ~ prod_{e in S} w_e (conditional Poisson; Chen, Dempster, Liu,
// Biometrika 81(3), 1994). Group-limited: a set A of `kept` groups and k experts inside it,
// P(A, S) ~ prod_{e in S} w_e. Uniform w then gives every A the same chance, as DeepSeek-V3's router under uniform
// scores.

#include <span>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

/// How a router chooses: k of E experts, from at most `kept` of the groups of consecutive experts.
struct RouterShape {
  int experts = 0;
  int top_k = 0;
  int groups = 1;
  int kept = 1;

  int group_size() const { return experts / groups; }
};

/// One group when the router does not limit groups. Throws std::invalid_argument for a shape no token can satisfy.
RouterShape shape_of(const RouterSpec& router, int experts, int top_k);

/// w / (1 + w) and 1 / (1 + w) of every expert's weight w: finite for an expert that every token takes (w infinite).
struct ExpertOdds {
  std::vector<double> take, leave;
};

/// Polynomials over groups: the sum over all ways to keep groups of the product of what each contributes.
///
/// in [groups][top_k + 1] : contribution of a kept group from which j experts are taken
/// out [groups]           : contribution of a group that is not kept
class GroupChain {
public:
  GroupChain(const RouterShape& shape, std::span<const double> in, std::span<const double> out);

  double total() const;  ///< kept groups and top_k experts in all
  /// rest [top_k + 1]: the same product without group g, with kept - 1 groups and i experts.
  void rest_of(int g, std::span<double> rest) const;
  /// Product of groups g .. end with a kept groups and r experts: what the draw of a token conditions on.
  double suffix(int g, int kept, int taken) const { return suffix_[index(g, kept, taken)]; }

private:
  std::size_t index(int g, int kept, int taken) const {
    return (static_cast<std::size_t>(g) * (static_cast<std::size_t>(shape_.kept) + 1) +
            static_cast<std::size_t>(kept)) *
               (static_cast<std::size_t>(shape_.top_k) + 1) +
           static_cast<std::size_t>(taken);
  }
  void multiply(std::span<const double> from, std::span<double> to, std::span<const double> in, double out) const;

  RouterShape shape_;
  std::vector<double> prefix_, suffix_;  // [groups + 1][kept + 1][top_k + 1]
};

class TokenDesign {
public:
  /// Fits the weights so that every inclusion probability is met within 1e-10.
  /// Throws std::invalid_argument when no such law exists (see can_realise).
  TokenDesign(const RouterShape& shape, std::span<const double> inclusion);

  const RouterShape& shape() const { return shape_; }
  const ExpertOdds& odds() const { return odds_; }
  std::span<const double> wanted() const { return wanted_; }

  std::vector<double> inclusion() const;  ///< what the weights give, [experts]
  /// Covariance of the experts taken from two groups by a token, [groups * groups].
  std::vector<double> group_covariance() const;
  /// Slope of an expert's chance on the number taken from its group, summing to 1 per group, [experts]; the slopes of a
  /// group whose number never varies are zero.
  std::vector<double> group_slopes(std::span<const double> group_covariance) const;
  /// P(token takes at least one marked expert), where a taken expert e is marked with chance mark[e].
  double hit_chance(std::span<const double> mark) const;

  /// in [groups][top_k + 1]: chance that j of a group's experts are taken under independent draws with odds_.take.
  const std::vector<double>& group_polynomials() const { return in_; }
  const std::vector<double>& left_out() const { return out_; }

private:
  RouterShape shape_;
  std::vector<double> wanted_;
  ExpertOdds odds_;
  std::vector<double> in_, out_;
  double total_ = 0;
};

/// Whether some token law of this shape has these inclusion probabilities. Ungrouped always; a router that keeps few
/// groups cannot send every token to popular experts in many groups.
bool can_realise(const RouterShape& shape, std::span<const double> inclusion);

/// Variances c of independent normals that, conditioned on their sum, have the variances v: v = c - c^2/s, s = sum c
/// (Hajek, Ann. Math. Stat. 35(4), 1964).
std::vector<double> unconditioned_variances(std::span<const double> v);

}  // namespace moesim
