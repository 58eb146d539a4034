#include "models/llm/number_format.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

struct FormatFacts {
  NumberFormat format;
  std::string_view name;
  double weight_bits;
  double vector_bits;
};

// Table B.4: element bits + scale bits / elements that share the scale.
constexpr std::array kFormats{
    FormatFacts{NumberFormat::bf16, "bf16", 16, 16},
    FormatFacts{NumberFormat::fp8_block, "fp8_block", 8 + 32.0 / (128 * 128), 8 + 32.0 / 128},
    FormatFacts{NumberFormat::fp8, "fp8", 8, 8},
    FormatFacts{NumberFormat::int8, "int8", 8, 8},
    FormatFacts{NumberFormat::int4_group128, "int4_group128", 4 + 16.0 / 128, 4 + 16.0 / 128},
};

// Formats of B.4 that are known, but whose kernels and layouts are not modelled.
constexpr std::array<std::string_view, 9> kLater{"mxfp8",         "mxfp4",         "nvfp4",
                                                 "int3_group128", "int2_group128", "int4_group128_asymmetric",
                                                 "int4_group32",  "int3",          "int2"};

const FormatFacts& facts(NumberFormat format) {
  return *std::find_if(kFormats.begin(), kFormats.end(), [&](const FormatFacts& f) { return f.format == format; });
}

}  // namespace

double bits_per_element(NumberFormat format) {
  return facts(format).weight_bits;
}

Bytes bytes_of(double elements, NumberFormat format) {
  return Bytes{elements * bits_per_element(format) / 8};
}

double bits_per_vector_element(NumberFormat format) {
  return facts(format).vector_bits;
}

Bytes vector_bytes_of(double elements, NumberFormat format) {
  return Bytes{elements * bits_per_vector_element(format) / 8};
}

NumberFormat activation_format(NumberFormat weights) {
  return weights == NumberFormat::int4_group128 ? NumberFormat::bf16 : weights;
}

std::string_view name_of(NumberFormat format) {
  return facts(format).name;
}

std::vector<std::string> number_format_names() {
  std::vector<std::string> names;
  for (const FormatFacts& f : kFormats) names.emplace_back(f.name);
  return names;
}

NumberFormat parse_number_format(std::string_view name, std::string_view where) {
  for (const FormatFacts& f : kFormats)
    if (f.name == name) return f.format;
  const std::vector<std::string> names = number_format_names();
  const std::string choices = fmt::format("one of {}", fmt::join(names, ", "));
  if (std::find(kLater.begin(), kLater.end(), name) != kLater.end())
    throw NotModelledYet{std::string{where}, std::string{name}, choices};
  throw InputError{std::string{where}, std::string{name}, choices, nearest(name, names)};
}

Precision precision_of(NumberFormat format) {
  return Precision{.weights = format, .experts = format, .dispatch = activation_format(format)};
}

}  // namespace moesim
