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

/// `bits` per weight, and per group of 128 an fp16 scale and a zero point of as many bits.
constexpr double asymmetric_group128(int bits) {
  return bits + (16.0 + bits) / 128;
}

// Table B.4: element bits + scale bits / elements that share the scale.
constexpr std::array kFormats{
    FormatFacts{NumberFormat::bf16, "bf16", 16, 16},
    FormatFacts{NumberFormat::fp16, "fp16", 16, 16},
    FormatFacts{NumberFormat::fp8_block, "fp8_block", 8 + 32.0 / (128 * 128), 8 + 32.0 / 128},
    FormatFacts{NumberFormat::fp8, "fp8", 8, 8},
    FormatFacts{NumberFormat::mxfp8, "mxfp8", 8 + 8.0 / 32, 8 + 8.0 / 32},
    FormatFacts{NumberFormat::int8, "int8", 8, 8},
    FormatFacts{NumberFormat::int4_group128, "int4_group128", 4 + 16.0 / 128, 4 + 16.0 / 128},
    FormatFacts{NumberFormat::int4_group32, "int4_group32", 4 + 16.0 / 32, 4 + 16.0 / 32},
    FormatFacts{NumberFormat::int4_group128_asymmetric, "int4_group128_asymmetric", asymmetric_group128(4),
                asymmetric_group128(4)},
    FormatFacts{NumberFormat::int3_group128, "int3_group128", asymmetric_group128(3), asymmetric_group128(3)},
    FormatFacts{NumberFormat::int2_group128, "int2_group128", asymmetric_group128(2), asymmetric_group128(2)},
    FormatFacts{NumberFormat::mxfp4, "mxfp4", 4 + 8.0 / 32, 4 + 8.0 / 32},
    FormatFacts{NumberFormat::mxfp4_mxfp8, "mxfp4_mxfp8", 4 + 8.0 / 32, 4 + 8.0 / 32},
    FormatFacts{NumberFormat::nvfp4, "nvfp4", 4 + 8.0 / 16, 4 + 8.0 / 16},
};

const FormatFacts& facts(NumberFormat format) {
  return *std::find_if(kFormats.begin(), kFormats.end(), [&](const FormatFacts& f) { return f.format == format; });
}

}  // namespace

double bits_per_element(NumberFormat format) {
  return facts(format).weight_bits;
}

double bits_per_element(NumberFormat format, double inputs) {
  return bits_per_element(format) + (format == NumberFormat::int8 ? 16 / inputs : 0);
}

Bytes bytes_of(double elements, NumberFormat format) {
  return Bytes{elements * bits_per_element(format) / 8};
}

Bytes matrix_bytes(double outputs, double inputs, NumberFormat format) {
  return Bytes{outputs * inputs * bits_per_element(format, inputs) / 8};
}

double bits_per_vector_element(NumberFormat format) {
  return facts(format).vector_bits;
}

Bytes vector_bytes_of(double elements, NumberFormat format) {
  return Bytes{elements * bits_per_vector_element(format) / 8};
}

NumberFormat activation_format(NumberFormat weights) {
  switch (weights) {
    case NumberFormat::fp8_block:
    case NumberFormat::fp8:
    case NumberFormat::mxfp8:
    case NumberFormat::int8:
    case NumberFormat::fp16:
      return weights;
    case NumberFormat::mxfp4_mxfp8:
      return NumberFormat::mxfp8;
    default:
      return NumberFormat::bf16;
  }
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
  throw InputError{std::string{where}, std::string{name}, fmt::format("one of {}", fmt::join(names, ", ")),
                   nearest(name, names)};
}

Precision precision_of(NumberFormat format) {
  return precision_of(format, format);
}

Precision precision_of(NumberFormat linear, NumberFormat experts) {
  return Precision{.weights = linear, .experts = experts, .dispatch = activation_format(experts)};
}

}  // namespace moesim
