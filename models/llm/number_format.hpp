#pragma once
// How many bits a stored number really takes, scales included (domain table B.4).

#include <string>
#include <string_view>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

enum class NumberFormat { bf16, fp8_block, fp8, int8, int4_group128 };

/// Effective bits per stored weight, scales included (table B.4): bf16 16; fp8_block 8 + 32/16384 (one fp32 scale per
/// 128x128 block); fp8 8 (one scale per tensor or channel); int8 8 (its 16 bits per channel, under 0.02 bits for K >=
/// 1024, are left out because K is not known here); int4_group128 4.125 (symmetric, one fp16 scale per 128).
double bits_per_element(NumberFormat format);
Bytes bytes_of(double elements, NumberFormat format);

/// Effective bits per element of an activation or KV vector. As weights, but fp8_block has one fp32 scale per 1x128
/// tile: 8 + 32/128 = 8.25, because the other dimension is tokens, which come and go.
double bits_per_vector_element(NumberFormat format);
Bytes vector_bytes_of(double elements, NumberFormat format);

/// The format a GEMM with these weights reads its activations in: 8-bit weights run W8A8, int4 and bf16 run on bf16.
NumberFormat activation_format(NumberFormat weights);

std::string_view name_of(NumberFormat format);
std::vector<std::string> number_format_names();
/// Throws InputError (or NotModelledYet for the formats of B.4 that come later: mxfp4, nvfp4, int3 ...).
NumberFormat parse_number_format(std::string_view name, std::string_view where);

/// The format of every tensor class. Router weights and norms are always bf16 (fp32 bias ignored).
struct Precision {
  NumberFormat weights = NumberFormat::bf16;    ///< attention, dense FFN, shared experts
  NumberFormat experts = NumberFormat::bf16;    ///< routed experts
  NumberFormat embedding = NumberFormat::bf16;  ///< embedding and LM head
  NumberFormat kv = NumberFormat::bf16;
  NumberFormat dispatch = NumberFormat::bf16;  ///< tokens on the wire to the experts
  NumberFormat combine = NumberFormat::bf16;   ///< expert outputs on the wire back
};

/// The precision of a model whose linear layers (attention, dense FFN, shared and routed experts) are stored in
/// `format`; embedding, LM head and KV cache stay bf16. Dispatch carries what the experts read, combine is bf16 (as
/// DeepSeek-V3).
Precision precision_of(NumberFormat format);

}  // namespace moesim
