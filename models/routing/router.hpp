#pragma once
// The router itself: from a token's logits to its experts and their gate weights.

#include <span>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/routing/token_design.hpp"

namespace moesim {

/// Scores = softmax or sigmoid of the logits; selection = score + bias (the bias selects only); groups keep those with
/// the best selection (their best one, or the sum of their two best); then the k best selections. Gate weights are the
/// scores, divided by the sum of the chosen ones when the router normalises, times its scale.
/// Source: modeling_deepseek.py of DeepSeek-V2 and V3 (noaux_tc), Mixtral's and Qwen3's top-k routers.
/// An object serves one thread.
class Router {
public:
  Router(const RouterSpec& spec, int experts, int top_k);

  /// logits, bias [experts] (bias may be empty: none); chosen [top_k]: best first, equal selections by the lower id.
  void choose(std::span<const double> logits, std::span<const double> bias, std::span<int> chosen);

  /// Of the token chosen last. Minus infinity: its group was not kept.
  std::span<const double> selection() const { return selection_; }
  /// Of the token chosen last: what each expert's gate weight is, or would be with the same normalisation.
  std::span<const double> gate() const { return gate_; }

private:
  void score(std::span<const double> logits, std::span<const double> bias);
  void drop_groups();

  RouterSpec spec_;
  RouterShape shape_;
  std::vector<double> selection_, gate_, group_;
  std::vector<int> order_;
};

}  // namespace moesim
