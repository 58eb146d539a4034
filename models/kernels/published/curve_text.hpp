#pragma once
// Curves read straight out of a file's text: a document of 60,000 numbers takes a JSON library several times as long.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/kernels/published/curve.hpp"

namespace moesim {

/// The curves of one table, and the text that they were.
struct CurveText {
  std::string_view text;  ///< "[[[4,64],[1,2],[3.5,7]], ...]"
  std::vector<Curve> curves;
};

/// A document without the curves that are as they should be.
struct CurvesApart {
  std::string rest;  ///< the document with a text in the place of each curves[i], which marked_curves() tells
  std::vector<CurveText> curves;
};

/// Cuts every `"curves": [...]` out of a JSON text that is nothing but lists of curves within their bounds (numbers
/// from 0 to 1e12, sizes that rise, times above 0 that do not fall, a tile), or of packed curves, behind their
/// alignment (curve_scale.hpp). What is not stays where it is, for a parser that tells what is wrong. The text must
/// outlive the result.
CurvesApart cut_curves(const std::string& text);

/// Which of the cut ones a value of the rest stands for: nothing for a text that is no marker.
std::optional<std::size_t> marked_curves(std::string_view value);

}  // namespace moesim
