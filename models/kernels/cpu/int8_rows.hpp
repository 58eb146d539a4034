#pragma once
// Eight-bit activations, made row by row when they are needed: symmetric, a scale per row. Weights have one per column.

#include <cstdint>
#include <span>

namespace moesim {

/// values [rows, width] -> codes [rows, width] from -127 to 127, and scale[r] = max |values[r]| / 127, on all threads.
void quantise_rows(std::span<const float> values, std::span<std::int8_t> codes, std::span<float> scales);

/// Weights [rows, columns], row-major, -> codes from -63 to 63, which no processor's sums of pairs saturate at, and
/// scale[c] = max |values[., c]| / 63.
void quantise_columns(std::span<const float> values, std::span<std::int8_t> codes, std::span<float> scales);

/// middle[r, c] = combine[r] silu(gate) up, where gate = sums[r, c] row_scale[r] column_scale[c] and up the same of
/// column intermediate + c. sums [rows, 2 intermediate], middle [rows, intermediate].
void swiglu_of_sums(std::span<const std::int32_t> sums, std::span<const float> row_scale,
                    std::span<const float> column_scale, std::span<const float> combine, std::span<float> middle);

/// out[r, c] = sums[r, c] row_scale[r] column_scale[c].
void scale_sums(std::span<const std::int32_t> sums, std::span<const float> row_scale,
                std::span<const float> column_scale, std::span<float> out);

}  // namespace moesim
