#pragma once
// Times of dispatch and combine under uniform routing, and of the vendor's collectives, on a catalogue GPU.

#include "models/collectives/collectives.hpp"

namespace moesim::bench {

/// DeepSeek-V3's tokens, as every case here has them: hidden 7168, top-8 of 256.
inline constexpr int kHidden = 7168, kTopK = 8, kExperts = 256;
inline constexpr Bytes kFp8{7392}, kBf16{14336};

/// Distinct parts of `parts` equal ones that 8 distinct experts of 256 hit, uniformly (oracle L4).
double distinct_parts(int parts);

/// The first `ranks` GPUs of as many nodes as they need.
class UniformExchange {
public:
  UniformExchange(const std::string& gpu, int ranks, int gpus_per_node);

  const Gpu& gpu() const { return gpu_; }
  /// Every rank sends `tokens` tokens to uniformly chosen experts; combine is the same backwards.
  Seconds time(CopyRule rule, const CollectiveParameters& parameters, double tokens, Bytes payload) const;
  /// Every rank sends message / ranks to each, by sends and receives of the vendor's library.
  Seconds pairwise(Bytes message) const;
  /// Vendor collectives of all ranks.
  Seconds all_reduce(Bytes message) const;
  Seconds all_gather(Bytes gathered) const;

private:
  Seconds time_of(CopyRule rule, const CollectiveParameters& parameters, Bytes into_rank, Bytes into_node) const;
  bool crosses_nics() const { return topology_.nodes() > 1; }

  Gpu gpu_;
  int ranks_;
  Topology topology_;
};

}  // namespace moesim::bench
