#pragma once
// The grouped expert FFN of one rank on processors: oneDNN has no grouped product, so experts run one after the other,
// each on all threads.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "models/kernels/profile.hpp"

namespace moesim {

/// Y = (combine * silu(X Wg) * (X Wu)) Wd of every expert, on its own rows.
class ExpertFfn {
public:
  /// Whether oneDNN multiplies in this format on this processor (bf16 takes AVX-512), and f32, bf16 or int8 it is.
  /// int8: weights of 8 bits with a scale per column, activations that get theirs per row in every call.
  static bool runs(KernelFormat format);
  static std::string onednn_version();

  /// Requires runs(format).
  ExpertFfn(int hidden, int intermediate, KernelFormat format);
  ~ExpertFfn();
  ExpertFfn(const ExpertFfn&) = delete;
  ExpertFfn& operator=(const ExpertFfn&) = delete;

  /// What one expert takes in the layout that the library wants.
  Bytes stored_size() const;
  /// gate_up [hidden, 2 intermediate] (gate first) and down [intermediate, hidden], row-major, into a slot of
  /// stored_size(), 64-byte aligned.
  void store(std::span<const float> gate_up, std::span<const float> down, std::byte* slot);

  /// Takes the rows of a batch, sorted by expert, and makes what their products need.
  /// rows_per_expert [experts], x [rows, hidden], combine [rows]. Throws std::bad_alloc.
  void load(std::span<const std::int32_t> rows_per_expert, std::span<const float> x, std::span<const float> combine);

  /// One call. slots [experts]: where each expert's weights are; those of experts without rows are not read.
  void run(std::span<const std::byte* const> slots);

  /// [rows, hidden] of the last run.
  std::span<const float> output() const;

private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// One product [size, size] x [size, size] in a format, run once ahead; then the time of each of `calls`.
std::vector<Seconds> time_square_product(int size, KernelFormat format, int calls);

}  // namespace moesim
