#pragma once
// The GEMMs of the expert FFN on random rows, launched as the product launches them and compared with fp64.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/kernels/cuda/expert_ffn.cuh"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_emulation/ffn_testing.hpp"

namespace moesim::cuda::testing {

/// Rows per expert and where they lie.
struct Layout {
  std::vector<int> counts;
  int capacity = 0;  ///< 0: contiguous
  std::size_t begin(std::size_t expert) const {
    std::size_t row = 0;
    for (std::size_t e = 0; e < expert; ++e) row += static_cast<std::size_t>(capacity > 0 ? capacity : counts[e]);
    return row;
  }
  std::size_t rows() const { return begin(counts.size()); }
};

/// Empty experts at both ends and in the middle; one row, a full tile, one row more and one less.
inline std::vector<int> ragged(int tile_rows) {
  return {0, 1, tile_rows, 0, tile_rows + 1, tile_rows - 1, 0};
}

struct GemmResult {
  double error;         ///< relative, over all rows of all experts
  bool rest_untouched;  ///< rows of no expert are still poison

  /// "" when it is right.
  std::string verdict() const {
    return !(error <= kTolerance) ? "wrong result" : rest_untouched ? "" : "overwritten rows";
  }
};

inline void check(const GemmResult& result) {
  CAPTURE(result.error);
  CHECK(result.error <= kTolerance);
  CHECK(result.rest_untouched);
}

/// Compares c [rows, width] with `expected(expert, row)`, the values of one row, for the rows of all experts.
template <class Expected>
GemmResult compare(const Layout& layout, const std::vector<Bf16>& c, const Expected& expected) {
  std::vector<Bf16> got;
  std::vector<double> wanted;
  const std::size_t rows = layout.rows(), width = rows == 0 ? 0 : c.size() / rows;
  std::vector<bool> owned(rows, false);
  for (std::size_t expert = 0; expert < layout.counts.size(); ++expert)
    for (std::size_t row = layout.begin(expert), i = 0; i < static_cast<std::size_t>(layout.counts[expert]);
         ++i, ++row) {
      owned[row] = true;
      const std::vector<double> one = expected(expert, row);
      wanted.insert(wanted.end(), one.begin(), one.end());
      got.insert(got.end(), c.begin() + static_cast<long>(row * width),
                 c.begin() + static_cast<long>((row + 1) * width));
    }
  bool untouched = true;
  for (std::size_t i = 0; i < c.size(); ++i) untouched &= owned[i / width] || c[i].bits == 0xFFFF;
  return {reference::relative_errors(got, wanted).worst, untouched};
}

/// What a GEMM is told besides its operands: where rows come from, their combine weights, the biases.
struct RowInputs {
  std::vector<float> scales;
  std::vector<int> from;
  std::vector<Bf16> bias;  ///< [experts, n]

  RowInputs(std::size_t rows, std::size_t biases, bool gathered, std::uint64_t seed)
      : scales(rows), from(rows), bias{random_bf16(biases, 3.0, seed, 4)} {
    Random random{seed, Purpose::test, 3, 0};
    for (std::size_t row = 0; row < rows; ++row) {
      scales[row] = static_cast<float>(random.uniform());
      from[row] = gathered ? static_cast<int>(random.below(static_cast<std::uint32_t>(rows))) : static_cast<int>(row);
    }
  }

  /// One row of products as the epilogue leaves it.
  template <Epilogue kEpilogue>
  std::vector<double> finished(std::vector<double> products, std::size_t expert, std::size_t row) const {
    const std::size_t n = products.size();
    if (is_biased(kEpilogue))
      for (std::size_t i = 0; i < n; ++i) products[i] += float_from(bias[expert * n + i]);
    if (kEpilogue == Epilogue::swiglu) return reference::swiglu(products, n);
    if (kEpilogue == Epilogue::clamped_swiglu) return reference::clamped_swiglu(products, n);
    for (double& value : products) value *= is_row_scaled(kEpilogue) ? static_cast<double>(scales[row]) : 1.0;
    return products;
  }
};

/// Random rows for a GEMM [rows, k] x [n, k]^T, and where its result goes.
template <Epilogue kEpilogue>
class GemmCase {
public:
  GemmCase(const Layout& layout, int tile_rows, int n, int k, std::uint64_t seed, bool gathered)
      : layout_{layout},
        n_{n},
        k_{k},
        gathered_{gathered},
        rows_{random_bf16(layout.rows() * depth(), 1.0, seed, 1)},
        inputs_{layout.rows(), layout.counts.size() * static_cast<std::size_t>(n), gathered, seed},
        c_{layout.rows() * static_cast<std::size_t>(is_gated(kEpilogue) ? n / 2 : n)},
        map_{layout.counts, tile_rows, layout.capacity} {}

  const Bf16* a() { return a_.data(); }
  /// `b`: the weights as the kernel reads them.
  GroupedGemm gemm(const void* b) {
    return {a_.data(),   gathered_ ? from_.data() : nullptr, b, c_.data(), scales_.data(), map_.map(), n_, k_,
            bias_.data()};
  }

  /// What c holds now, against what it should: `weights(expert)` are [n, k].
  template <class Weights>
  GemmResult result(const Weights& weights) {
    return compare(layout_, c_.values(), [&](std::size_t expert, std::size_t row) {
      const auto x = std::span{rows_}.subspan(static_cast<std::size_t>(inputs_.from[row]) * depth(), depth());
      return inputs_.finished<kEpilogue>(reference::multiply(x, weights(expert), depth()), expert, row);
    });
  }

private:
  std::size_t depth() const { return static_cast<std::size_t>(k_); }

  Layout layout_;
  int n_, k_;
  bool gathered_;
  std::vector<Bf16> rows_;
  RowInputs inputs_;
  Buffer<Bf16> a_{rows_}, bias_{inputs_.bias}, c_;
  Buffer<float> scales_{inputs_.scales};
  Buffer<int> from_{inputs_.from};
  BuiltMap map_;
};

/// bf16 weights [n, k] of every expert.
class PlainExperts {
public:
  PlainExperts(std::size_t experts, int n, int k, std::uint64_t seed)
      : size_{static_cast<std::size_t>(n) * static_cast<std::size_t>(k)},
        values_{random_bf16(experts * size_, 1.5 / std::sqrt(k), seed, 2)} {}

  const Bf16* data() { return in_.data(); }
  std::span<const Bf16> operator()(std::size_t expert) const {
    return std::span{values_}.subspan(expert * size_, size_);
  }

private:
  std::size_t size_;
  std::vector<Bf16> values_;
  Buffer<Bf16> in_{values_};
};

/// One grouped GEMM against the reference.
template <class Tile, Epilogue kEpilogue, Fault kFault = Fault::none>
GemmResult run_gemm(const Layout& layout, int n, int k, std::uint64_t seed, bool gathered = false) {
  PlainExperts weights{layout.counts.size(), n, k, seed};
  GemmCase<kEpilogue> input{layout, Tile::kRows, n, k, seed, gathered};
  const GroupedGemm gemm = input.gemm(weights.data());
  emulation::launch({kBlocks, Tile::kThreads, Tile::kSharedBytes},
                    [&] { grouped_gemm<Tile, kEpilogue, kFault>(gemm); });
  return input.result(weights);
}

}  // namespace moesim::cuda::testing
