#pragma once
// How long a kernel takes on one GPU: the interface that measured profiles fill, and the roofline that stands in for
// them.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "models/hardware/gpu.hpp"
#include "models/llm/ops.hpp"

namespace moesim {

enum class KernelSource { calibrated, published, transferred, roofline };
std::string_view name_of(KernelSource source);

/// The grouped expert FFN of one layer on one rank: GEMM1 (gate, up) + SwiGLU + GEMM2, weights of active slots read
/// once.
struct ExpertShape {
  int hidden = 0;
  int expert_hidden = 0;  ///< on this rank (after expert TP), with the padding of formats in blocks
  NumberFormat format = NumberFormat::bf16;
  // What measured times depend on besides; the roofline does not ask.
  int slots = 0;    ///< expert slots of this rank
  int experts = 0;  ///< of the model
  int top_k = 0;
  int own_width = 0;  ///< expert_hidden without padding, by which tables name a slice; 0: there is no padding
  int table_width() const { return own_width > 0 ? own_width : expert_hidden; }
};

/// Whose time it is, and how well it is known.
struct KernelEvidence {
  KernelSource source = KernelSource::roofline;
  std::string kernel;    ///< as its source names it; empty for the roofline
  double sigma = 0;      ///< of the logarithm of the time, one standard deviation; 0 when unknown
  std::string regime;    ///< "inside", "between", "outside" ... what was measured; empty for the roofline
  std::string lender{};  ///< another engine, whose times stand in for doubtful ones of the own; else empty
};

/// Prepared for one shape; called once per rank, layer and step, so it must take well under 100 ns per local slot.
class ExpertTimes {
public:
  virtual ~ExpertTimes() = default;
  /// rows_per_slot [slots]: tokens of each local expert slot, not negative.
  /// tokens: that enter the rank's block, wherever their experts are, which engines' kernels take time for too; when
  /// not given, as many as balanced routing of all tokens of the expert-parallel group would bring with these rows.
  /// Returns zero when no slot has a row: nothing is launched.
  virtual Seconds operator()(std::span<const std::int32_t> rows_per_slot, std::optional<double> tokens = {}) const = 0;
};

class KernelTimes {
public:
  virtual ~KernelTimes() = default;
  virtual KernelSource source() const = 0;
  /// Zero for an op without FLOPs and bytes: an idle rank launches nothing.
  virtual Seconds time(const Op& op) const = 0;
  /// Throws std::invalid_argument for a shape without width.
  virtual std::unique_ptr<ExpertTimes> experts(const ExpertShape& shape) const = 0;
  /// Of what time() and experts() say. Not for the innermost loop.
  virtual KernelEvidence evidence(const Op& op) const;
  virtual KernelEvidence evidence(const ExpertShape& shape, std::span<const std::int32_t> rows_per_slot) const;
};

/// t = launch + max(flops / (eta_f peak), bytes / (eta_b bandwidth)), eta_f from tile quantisation (domain B.5):
/// tiles = sum_e ceil(m_e/BM) ceil(N/BN) over waves of SMs. eta_b, eta_0 and launch are the GPU's catalogue entry,
/// which names their sources; nothing here is fitted to the tables that tests/bench/kernel_accuracy compares with.
/// Throws InputError for a GPU without rates or with an efficiency outside (0, 1].
std::unique_ptr<KernelTimes> make_roofline(const Gpu& gpu);

/// Sum over ops.
Seconds total_time(const KernelTimes& kernels, std::span<const Op> ops);

}  // namespace moesim
