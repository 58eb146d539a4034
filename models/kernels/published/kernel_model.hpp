#pragma once
// The kernel model: what a simulation needs to know of measured kernels, as few numbers, with where they are from.

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/gpu.hpp"
#include "models/kernels/kernel_times.hpp"
#include "models/kernels/published/curve.hpp"

namespace moesim {

struct Profile;

/// What a table times. Each has its own fixed dimensions, axes and size (kernel_operations.cpp).
enum class KernelOperation {
  experts,            ///< routing, permute, GEMM1, activation, GEMM2 and weighted sum of a MoE layer: the whole block
  expert_gemms,       ///< GEMM1, activation and GEMM2 alone
  gemm,               ///< one dense product
  prefill_attention,  ///< the causal core of new prompts
  decode_attention,   ///< the core of one new token per sequence
  prefill_mla,
  decode_mla,  ///< absorbed
  mla_in,      ///< queries into the latent space: a product per head
  mla_out,     ///< and values out of it
  // Collectives of several GPUs, by bytes as nccl-tests count them (gathered, reduced, or in a rank's buffer):
  all_reduce,
  all_gather,
  reduce_scatter,
  all_to_all,
  // DeepEP under uniform routing, fp8 out and bf16 back, by tokens of a rank; transmission and notification:
  dispatch_low_latency,
  combine_low_latency,
  dispatch_normal,
  combine_normal
};
inline constexpr int kKernelOperations = 17;

/// How the numbers of a table are meant.
struct OperationLayout {
  std::string_view name;                     ///< "experts"
  std::vector<std::string_view> dimensions;  ///< that the table is for: must match
  std::vector<std::string_view> axes;        ///< along which curves lie: blended between
  std::string_view size;                     ///< that a curve grows with: linear between knots
};
const OperationLayout& layout_of(KernelOperation operation);
std::string_view name_of(KernelOperation operation);
bool is_experts(KernelOperation operation);
bool is_collective(KernelOperation operation);
/// Throws InputError naming the nearest and what there is.
KernelOperation parse_operation(std::string_view name, const std::string& where, const std::string& expected);

/// How far a kernel's time goes by the tiles that its rows fill, the tile being chosen for the whole batch
/// (expert_curves.hpp).
struct TileLaw {
  /// Mean rows per expert between which shares are linear in the logarithm.
  static constexpr std::array<double, 6> kRows{0.5, 2, 8, 32, 128, 512};

  int tile = 0;                              ///< rows; 0: there is no such law
  std::array<double, kRows.size()> share{};  ///< at kRows, of the time without launch and tokens, 0 to 1

  bool operator==(const TileLaw&) const = default;
};

/// One kernel of one engine for one set of dimensions.
struct KernelTable {
  KernelOperation operation = KernelOperation::gemm;
  std::string kernel;                        ///< as its source names it
  NumberFormat format = NumberFormat::bf16;  ///< of weights; attention: of the KV cache; collectives: of what is summed
  std::vector<int> dimensions;               ///< as layout_of(operation) says
  std::vector<Curve> curves;
  /// Experts: what the block takes for a token that enters it, wherever its experts are (permuting, sums, zeros for
  /// pairs with experts of other ranks). The curves hold it, for balanced routing of all tokens of the group.
  Seconds per_token{};
  TileLaw tiles{};  ///< experts
  int points = 0;   ///< balanced measured times that it rests on, held out ones too; 0: the file does not say

  bool doubtful = false;  ///< hard to believe beside the GPU's ceiling and the other tables (doubts.hpp)
  std::string lender{};   ///< the engine that it is of, where it stands in (with_stand_ins); else empty, as in files

  bool operator==(const KernelTable&) const = default;
};

/// Error against rows that were kept out of the fit: |predicted / measured - 1|.
struct ModelError {
  KernelOperation operation = KernelOperation::gemm;
  std::string regime;  ///< "balanced", "unseen slots", "skewed to 512 tokens", "skewed above", "inside", "8 ranks"
  int points = 0;
  double median = 0, p90 = 0;
  double sigma = 0;      ///< 68 % of |ln(predicted / measured)| lie below
  double bias = 0;       ///< median of predicted / measured - 1
  std::string baseline;  ///< what else could predict: "roofline", "mean rows"
  double baseline_median = 0, baseline_p90 = 0;

  bool operator==(const ModelError&) const = default;
};

struct EngineModel {
  std::string name, version;  ///< "trtllm", "1.3.0rc10"
  std::vector<KernelTable> tables;
  std::vector<ModelError> errors;
  /// Whose tables stand in for those of an operation, where the engine's own are doubtful (doubts.hpp): an engine of
  /// the same model.
  std::map<KernelOperation, std::string> stand_ins{};

  bool operator==(const EngineModel&) const = default;
};

struct ModelOrigin {
  KernelSource kind = KernelSource::published;  ///< not roofline
  std::string name;                             ///< who measured, or with what
  std::string revision, date, licence;
  std::vector<std::string> notes;

  bool operator==(const ModelOrigin&) const = default;
};

struct KernelModel {
  std::string name;    ///< "h100-sxm"
  std::string gpu;     ///< of the catalogue: its ceilings carry between and beyond the curves
  std::string device;  ///< as the source names it
  ModelOrigin origin;
  std::vector<EngineModel> engines;
  /// By who runs them: "nccl", an engine's own all-reduce under its name, "deepep". Of this GPU's links alone.
  std::vector<EngineModel> collectives{};

  bool operator==(const KernelModel&) const = default;
};

/// Version of the files that kernel_model_text writes. parse_kernel_model takes those since kOldestKernelModel, which
/// had no packed tables.
inline constexpr int kKernelModelVersion = 3, kOldestKernelModel = 2;

/// The JSON document (scenarios/schema/kernel_model.schema.json). Reading it gives an equal model.
std::string kernel_model_text(const KernelModel& model);

/// `origin` is what to call the text in errors. Throws InputError (file and key, found, expected) for damaged JSON,
/// other documents, other versions, unknown, missing or repeated keys, a GPU that the catalogue lacks, two engines of
/// one name, curves that fall, repeat a place or are not above zero, and what an import refuses
/// (kernel_model_check.hpp).
KernelModel parse_kernel_model(const std::string& text, const std::string& origin);

/// A kernel model, or a profile of `moesim calibrate`, which becomes one. A name without a folder or ".json" is a
/// shipped one. Throws InputError as parse_kernel_model, and for files that cannot be read.
KernelModel load_kernel_model(const std::string& name_or_file);
std::vector<std::string> shipped_kernel_models();

/// The points that were not held out, as curves; hold-out errors as the profile has them. `gpu` is the catalogue's.
KernelModel kernel_model_of(const Profile& profile, const std::string& name, const std::string& gpu);

/// Throws InputError naming the nearest and what there is. "auto" is the first.
const EngineModel& find_engine(const KernelModel& model, const std::string& name, const std::string& where);

/// The engine as a simulation takes it: tables and errors of its stand-ins in place of its own, but for formats and
/// dimensions that they lack. `engine` is one of the model's.
EngineModel with_stand_ins(const KernelModel& model, const EngineModel& engine);

}  // namespace moesim
