#pragma once
// Colours that colour-blind readers tell apart, and greys that read on light and dark ground.

#include <array>
#include <cstddef>

namespace moesim {

struct Colour {
  const char* fill;
  const char* text;  ///< readable on the fill
};

/// Source: Okabe and Ito, Color Universal Design, 2008; its black is a grey here, for dark ground.
inline constexpr std::array<Colour, 8> kOkabeIto{{{"#E69F00", "#111111"},
                                                  {"#56B4E9", "#111111"},
                                                  {"#009E73", "#FFFFFF"},
                                                  {"#F0E442", "#111111"},
                                                  {"#0072B2", "#FFFFFF"},
                                                  {"#D55E00", "#FFFFFF"},
                                                  {"#CC79A7", "#111111"},
                                                  {"#9A9A9A", "#111111"}}};

/// Rails beyond the eighth repeat the colours; their number tells them apart.
inline Colour rail_colour(int rail) {
  return kOkabeIto[static_cast<std::size_t>(rail) % kOkabeIto.size()];
}

inline constexpr const char* kInkGrey = "#737B88";     ///< text and outlines, contrast above 4 on white and on black
inline constexpr const char* kSwitchGrey = "#4B5563";  ///< filled boxes with white text

}  // namespace moesim
