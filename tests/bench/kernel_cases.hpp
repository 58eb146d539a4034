#pragma once
// What the kernel model says about one row of a measured table.

#include <map>
#include <string>
#include <tuple>
#include <variant>

#include "models/kernels/kernel_times.hpp"
#include "models/kernels/published/measured_table.hpp"

namespace moesim::bench {

/// A row that the model can express: which group it counts in, and both times.
struct Compared {
  std::string group;  ///< "bfloat16 balanced ep1, tokens 1-64"
  Seconds predicted, measured;
};
/// Why a row is left out.
struct LeftOut {
  std::string reason;
};
using Outcome = std::variant<Compared, LeftOut>;

/// Compares the tables of one GPU. Holds the prepared expert shapes, so one object serves a whole run.
class KernelCases {
public:
  explicit KernelCases(const Gpu& gpu);

  /// moe_perf: experts(), and the three streams around it that the rows include (top-k, permute, weighted sum).
  Outcome fused_moe(const MeasuredRow& row);
  /// wideep_*_moe_perf: the two masked or contiguous grouped GEMMs and the activation between them. Contiguous
  /// `uniform` rows are left out: 32 tokens at EP 2 are listed with 415 us, but the 128 experts of their label take 1.7
  /// ms to read.
  Outcome grouped_gemms(const MeasuredRow& row);
  Outcome gemm(const MeasuredRow& row) const;
  Outcome decode_attention(const MeasuredRow& row) const;
  Outcome prefill_attention(const MeasuredRow& row) const;
  Outcome decode_mla(const MeasuredRow& row) const;
  Outcome prefill_mla(const MeasuredRow& row) const;

  const KernelTimes& times() const { return *times_; }
  Seconds experts(const ExpertShape& shape, std::span<const std::int32_t> rows);

private:
  Outcome moe(const MeasuredRow& row, bool whole_block);
  /// Left out when the row claims more FLOPs per second than the GPU has: what ran was not what the label says.
  Outcome compared(std::string group, const Op& op, const MeasuredRow& row, FlopsPerSecond peak) const;

  Gpu gpu_;
  std::unique_ptr<KernelTimes> times_;
  std::map<std::tuple<int, int, NumberFormat>, std::unique_ptr<ExpertTimes>> experts_;
};

}  // namespace moesim::bench
