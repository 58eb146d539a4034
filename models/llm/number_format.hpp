#pragma once
// How many bits a stored number really takes, scales included (domain table B.4).

#include <string>
#include <string_view>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

enum class NumberFormat { bf16, fp8_block, fp8, int8, int4_group128 };

/// Effective bits per stored element, scales included: bf16 16, fp8_block 8 + 32/16384, int4_group128 4.125 ...
double bits_per_element(NumberFormat format);
Bytes bytes_of(double elements, NumberFormat format);

std::string_view name_of(NumberFormat format);
std::vector<std::string> number_format_names();
/// Throws InputError (or NotModelledYet for the formats of B.4 that come later: mxfp4, nvfp4, int3 ...).
NumberFormat parse_number_format(std::string_view name, std::string_view where);

/// The format of every tensor class. Router weights and norms are always bf16 (fp32 bias ignored).
struct Precision {
  NumberFormat weights = NumberFormat::bf16;     ///< attention, dense FFN, shared experts
  NumberFormat experts = NumberFormat::bf16;     ///< routed experts
  NumberFormat embedding = NumberFormat::bf16;   ///< embedding and LM head
  NumberFormat kv = NumberFormat::bf16;
  NumberFormat dispatch = NumberFormat::bf16;    ///< tokens on the wire to the experts
  NumberFormat combine = NumberFormat::bf16;     ///< expert outputs on the wire back
};

}  // namespace moesim
