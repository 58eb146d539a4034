#pragma once
// Exchanges under uniform routing, and the vendor's collectives, of the first GPUs of a machine: what measured cases
// are held against.

#include "models/collectives/collectives.hpp"

namespace moesim {

/// What a token is in an exchange.
struct UniformTokens {
  double per_rank = 0;
  int experts = 1, top_k = 1;
  Bytes payload;  ///< of one copy
};

/// Distinct parts of `parts` equal ones that top_k distinct experts hit, uniformly: parts (1 - C(E - E/parts, k) / C(E,
/// k)) (domain notes, L4).
double distinct_parts(int parts, int experts, int top_k);

/// The first `ranks` GPUs of as many nodes as they need, on rails.
class UniformExchange {
public:
  UniformExchange(const Gpu& gpu, int ranks, int gpus_per_node);

  const Gpu& gpu() const { return gpu_; }
  /// Every rank sends its tokens to uniformly chosen experts; combine is the same backwards.
  Seconds time(CopyRule rule, const CollectiveParameters& parameters, const UniformTokens& tokens) const;
  /// Every rank sends message / ranks to each, by sends and receives of the vendor's library.
  Seconds pairwise(Bytes message) const;
  /// Vendor collectives of all ranks. The library has no one-shot kernel; its ring and NVLS come to about the same.
  Seconds all_reduce(Bytes message) const;
  Seconds all_gather(Bytes gathered) const;

private:
  Seconds time_of(CopyRule rule, const CollectiveParameters& parameters, Bytes into_rank, Bytes into_node) const;
  bool crosses_nics() const { return topology_.nodes() > 1; }

  Gpu gpu_;
  int ranks_;
  Topology topology_;
};

}  // namespace moesim
