#pragma once
// Times of collectives inside a node off measured curves, where somebody measured that GPU and as many ranks.

#include <span>
#include <string>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// One collective over one number of ranks.
struct MeasuredCollective {
  KernelOperation operation = KernelOperation::all_reduce;
  int ranks = 0;
  std::string library;  ///< "nccl 2.29.2"
  KernelSource source = KernelSource::published;
  Curve curve;       ///< microseconds by bytes
  double sigma = 0;  ///< of the logarithm of the time, of sizes that were left out of the fit

  /// Below the smallest size its latency; above the largest the bandwidth reached there. Never falls with the message.
  Seconds time(Bytes message) const;
  bool is_beyond(Bytes message) const { return message > Bytes{curve.size.back()}; }
  /// Twice the sigma beyond the largest size [assumed].
  double sigma_at(Bytes message) const { return is_beyond(message) ? 2 * sigma : sigma; }
};

/// The collectives of one GPU's profile that an engine runs: its own all-reduce where it has one, else the library's.
class CollectiveCurves {
public:
  CollectiveCurves(const KernelModel& model, const std::string& engine);

  /// The curve for a group on one node whose links are whole and those of the GPU that was measured; else nothing.
  const MeasuredCollective* find(KernelOperation operation, const Topology& topology, std::span<const int> group) const;

  bool empty() const { return measured_.empty(); }

private:
  BytesPerSecond nvlink_;
  std::vector<MeasuredCollective> measured_;  ///< the first that has the ranks is taken
};

}  // namespace moesim
