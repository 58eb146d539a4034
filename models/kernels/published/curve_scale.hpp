#pragma once
// Curves of large tables as short texts: times on a scale of 1 % steps, a character for each.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/kernels/published/curve.hpp"

namespace moesim {

/// The time of the scale nearest to `microseconds` (above zero, at most 1e12): within 0.5 % of it.
double on_scale(double microseconds);

/// A character for each of `sizes` (rising): so many steps up or down the scale from the knot
/// before, the last of the same alignment where there is one; '~' and two more where that is too far, and at first; a
/// space where the curve has no knot. Nothing where that cannot say the same: for a tile, for times that are not on the
/// scale, for a knot at another size.
std::optional<std::string> packed(const Curve& curve, const std::vector<double>& sizes);

/// The curve that packed() was given, but for its place. Nothing for what is no such text.
std::optional<Curve> unpacked(std::string_view text, const std::vector<double>& sizes, int alignment);

}  // namespace moesim
