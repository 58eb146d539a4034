#pragma once
// What calibration measured on one device: times of expert kernels under token histograms, and where they are from.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

enum class DeviceKind { cuda, cpu };

/// What the weights of an expert kernel are stored in. Activations are as wide, at most bf16 with weights below 16
/// bits. mxfp4 is the FFN of gpt-oss: 4 bits, a power of two for 32 of them, biases and a clamped SwiGLU.
enum class KernelFormat { f32, bf16, int8, fp8, int4, mxfp4 };
inline constexpr KernelFormat kLastKernelFormat = KernelFormat::mxfp4;

/// How a histogram was made. The counts say what was run; the kind says which class its error belongs to.
enum class HistogramKind {
  uniform,      ///< every expert the same rows
  multinomial,  ///< rows thrown at experts that are equally popular
  zipf,         ///< expert e with popularity (e + 1)^-exponent, in shuffled order
  one_hot,      ///< one expert has all rows
  half_empty,   ///< every second expert has none
  recorded      ///< out of a simulated run or a trace
};

std::string_view name_of(DeviceKind kind);
std::string_view name_of(KernelFormat format);
std::string_view name_of(HistogramKind kind);
/// All of them, in the order above: what files and options may say.
std::vector<std::string> kernel_format_names();

/// The experts of one layer on one rank.
struct KernelShape {
  int hidden = 0;
  int intermediate = 0;  ///< of one expert, on this rank (after expert TP)
  int experts = 0;       ///< on this rank
  KernelFormat format = KernelFormat::bf16;

  auto operator<=>(const KernelShape&) const = default;
};

/// Gate, up and down matrix of one expert, without scales.
Bytes expert_weights(const KernelShape& shape);
/// GEMM1 [rows, hidden] x [hidden, 2 intermediate] and GEMM2 [rows, intermediate] x [intermediate, hidden].
Flops expert_flops(const KernelShape& shape, std::int64_t rows);

struct TokenHistogram {
  HistogramKind kind = HistogramKind::uniform;
  double exponent = 0;             ///< of zipf, else 0
  std::vector<std::int32_t> rows;  ///< [experts], as they were run

  std::int64_t total() const;
  bool operator==(const TokenHistogram&) const = default;
};

/// One call of the grouped expert FFN: GEMM1, SwiGLU, GEMM2 with combine weights; rows are already sorted by expert.
struct ProfilePoint {
  std::string kernel;  ///< which implementation, as "onednn_matmul"
  KernelShape shape;
  TokenHistogram histogram;
  int repetitions = 0;
  Seconds median, p10, p90;     ///< caches cold: no weight was read since several times the last-level cache went by
  std::optional<Seconds> warm;  ///< median of calls that repeat on the same weights
  bool held_out = false;        ///< never used for predicting; the hold-out errors are from these
  bool unstable = false;        ///< p90 - p10 is above 10 % of the median, also when measured again

  bool operator==(const ProfilePoint&) const = default;
};

/// A kernel other than the expert FFN, at one size.
struct OperationPoint {
  std::string operation;  ///< "gqa_decode"
  std::string kernel;
  KernelFormat format = KernelFormat::bf16;   ///< of what is read most
  std::map<std::string, std::int64_t> sizes;  ///< {"batch", 32}, {"length", 4096}
  Bytes moved;                                ///< fewest that memory must move
  Flops work;
  int repetitions = 0;
  Seconds median, p10, p90;  ///< caches cold
  bool unstable = false;

  bool operator==(const OperationPoint&) const = default;
};

struct FormatRate {
  KernelFormat format = KernelFormat::f32;
  FlopsPerSecond rate;
  std::string kernel;  ///< which library or kernel multiplied

  bool operator==(const FormatRate&) const = default;
};

struct ProfileDevice {
  DeviceKind kind = DeviceKind::cpu;
  std::string name;
  int processors = 0;  ///< SMs, or the threads that computed
  Bytes memory;
  Bytes last_level_cache;
  BytesPerSecond copy;  ///< measured, read + written
  std::vector<FormatRate>
      gemm;  ///< measured, one large square product by each kernel, a format's fastest library first

  bool operator==(const ProfileDevice&) const = default;
};

struct LibraryVersion {
  std::string name, version;

  bool operator==(const LibraryVersion&) const = default;
};

struct ProfileProvenance {
  std::string measured_at;  ///< UTC, "2026-11-22T16:50:00Z"
  std::string program_version;
  std::vector<LibraryVersion> libraries;  ///< the driver too, where there is one
  std::vector<std::string> notes;         ///< on clocks, and who else used the machine
  std::uint64_t seed = 0;                 ///< of histograms and order
  Seconds budget;

  bool operator==(const ProfileProvenance&) const = default;
};

/// |predicted / measured - 1| over the held-out points of a class; mean-only predicts from the mean rows per expert.
struct HoldOutError {
  std::string histograms;  ///< "all", or a HistogramKind's name
  int points = 0;
  double median = 0, p90 = 0;
  double mean_only_median = 0, mean_only_p90 = 0;

  bool operator==(const HoldOutError&) const = default;
};

/// Anchor points are measured again and again: the largest |median / first median - 1|.
struct Drift {
  int anchors = 0;  ///< repeated measurements
  double worst = 0;

  bool operator==(const Drift&) const = default;
};

/// Drift above this makes a profile suspicious (the clock changed, or others used the device).
inline constexpr double kDriftLimit = 0.03;

struct Profile {
  bool complete = false;  ///< every planned point was measured; a profile that was cut off is valid too
  int planned = 0;        ///< points and operations
  ProfileDevice device;
  ProfileProvenance provenance;
  std::vector<ProfilePoint> points;
  std::vector<HoldOutError> hold_out;  ///< empty while there is nothing to judge with
  std::optional<Drift> drift;          ///< nothing when no anchor was repeated
  std::vector<OperationPoint> operations;

  bool operator==(const Profile&) const = default;
};

/// Version of the files that profile_text writes and parse_profile takes.
inline constexpr int kProfileVersion = 2;

/// The JSON document (scenarios/schema/profile.schema.json). Reading it gives an equal profile.
std::string profile_text(const Profile& profile);

/// `origin` is what to call the text in errors. Throws InputError (file and key, found, expected) for damaged JSON,
/// other documents, other versions, unknown or missing keys and impossible values.
Profile parse_profile(const std::string& text, const std::string& origin);

/// Throws InputError as parse_profile, and for files that cannot be read.
Profile load_profile(const std::filesystem::path& file);

}  // namespace moesim
