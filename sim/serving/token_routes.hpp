#pragma once
// Which experts the tokens of a step go to, after the limit on places.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/routing/routing.hpp"
#include "sim/serving/batch.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {

class TokenRoutes {
public:
  TokenRoutes(const Scenario& scenario, const Deployment& plan, std::uint64_t seed);

  /// Draws all tokens of a step, source rank after source rank, and gives them their places.
  void draw(int step, int moe_layer, const StepBatch& batch);

  /// Entries per row of chosen(): experts of a token at most.
  int width() const { return width_; }
  /// [rows * width], -1 where a row has fewer experts. Padding comes after the tokens, one row per empty place.
  std::span<const int> chosen() const { return chosen_; }
  std::span<const int> source_of() const { return source_of_; }  ///< [rows] rank
  /// Expert rows of the last draw: assignments that were kept, and padding.
  std::int64_t rows() const { return rows_; }
  const CapacityCount& count() const { return count_; }  ///< of the last draw

private:
  struct Scope {
    std::size_t first, tokens;
    int rank;  ///< -1: global
  };
  std::vector<Scope> scopes(const StepBatch& batch) const;
  void limit(int step, int moe_layer, const Scope& scope);
  void pad(const Scope& scope, std::int64_t places);

  const CapacitySpec& capacity_;
  int experts_, top_k_, ranks_;
  std::unique_ptr<TokenSampler> tokens_;
  int width_ = 0;
  std::vector<int> chosen_, source_of_;
  std::int64_t rows_ = 0;
  CapacityCount count_;
};

}  // namespace moesim
