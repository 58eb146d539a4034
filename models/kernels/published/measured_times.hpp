#pragma once
// KernelTimes out of a kernel model.

#include <memory>
#include <string>

#include "models/kernels/kernel_times.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

struct MeasuredTimesOptions {
  std::string engine = "auto";
  bool roofline_fallback = false;  ///< for shapes that no table holds; else they are refused
};

/// Dense products, attention cores and experts from the model's tables of one engine; where several kernels have the
/// shape, the fastest. Between tables and beyond them as CurveGrid and ExpertCurves do, with the sigma that rows kept
/// out of the fit had there. What only streams bytes (norms, RoPE, activations, sampling) no table times: the roofline
/// does, and says so. Tables of whole MoE blocks hold top-k, permutation and weighted sum: those ops then cost nothing
/// of their own.
///
/// A windowed or continued prompt is the new prompt's time, by the ceiling of its (query, key) pairs over the prompt's.
/// A model of another GPU is carried over by the ceilings of both (transferred; stated sigma).
/// Throws InputError: another engine, a GPU that the model cannot be carried to. time() and experts() throw InputError
/// for an operation, format or expert shape that the engine lacks, naming the nearest, unless the fallback is allowed.
std::unique_ptr<KernelTimes> make_measured_times(const KernelModel& model, const Gpu& gpu,
                                                 const MeasuredTimesOptions& options);

/// What is known of carrying times from one GPU to another.
struct TransferError {
  double sigma = 0, p90 = 0;
  std::string evidence;
};
/// Throws InputError for a pair that nobody has judged.
TransferError transfer_error(const std::string& from, const std::string& to);

/// Every curve of the model carried to another GPU: what launches stays, the rest goes by the ratio of the ceilings.
/// Collectives are left behind: ceilings say nothing of links.
KernelModel transferred(KernelModel model, const Gpu& from, const Gpu& to);

}  // namespace moesim
