#pragma once
// How many bits a stored number really takes, scales included (domain table B.4).

#include <string>
#include <string_view>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

enum class NumberFormat {
  bf16,
  fp8_block,
  fp8,
  int8,
  int4_group128,  ///< symmetric; the other int formats with 128 have a zero point
  fp16,
  mxfp8,
  int4_group32,
  int4_group128_asymmetric,
  int3_group128,
  int2_group128,
  mxfp4,
  mxfp4_mxfp8,  ///< mxfp4 weights on mxfp8 activations
  nvfp4
};

/// Effective bits per stored weight, scales included (table B.4): bf16 and fp16 16; fp8_block 8 + 32/16384 (one fp32
/// scale per 128x128 block); fp8 8 (one scale per tensor or channel); mxfp8 8.25, mxfp4 and mxfp4_mxfp8 4.25 (an e8m0
/// scale per 32); nvfp4 4.5 (an fp8 scale per 16; its one fp32 per tensor is left out); int8 8 (its 16 bits per output
/// channel need the inputs, below); int4_group128 4.125 and int4_group32 4.5 (symmetric, one fp16 scale per group);
/// int4_group128_asymmetric, int3_group128 and int2_group128 b + (16 + b)/128 (fp16 scale and packed zero point).
double bits_per_element(NumberFormat format);
/// The same for a matrix with `inputs` weights per output channel: int8 8 + 16/inputs.
double bits_per_element(NumberFormat format, double inputs);
Bytes bytes_of(double elements, NumberFormat format);
/// A matrix [outputs, inputs].
Bytes matrix_bytes(double outputs, double inputs, NumberFormat format);

/// Effective bits per element of an activation or KV vector. As weights, but fp8_block has one fp32 scale per 1x128
/// tile: 8 + 32/128 = 8.25, because the other dimension is tokens, which come and go.
double bits_per_vector_element(NumberFormat format);
Bytes vector_bytes_of(double elements, NumberFormat format);

/// The format a GEMM with these weights reads its activations in: 8-bit weights run W8A8, 16-bit ones on themselves.
/// All formats below 8 bits are taken as weight-only and run on bf16, mxfp4 and nvfp4 too: gpt-oss ships so, and Hopper
/// has no 4-bit tensor cores [assumed for Blackwell, which has].
NumberFormat activation_format(NumberFormat weights);

std::string_view name_of(NumberFormat format);
std::vector<std::string> number_format_names();
/// Throws InputError with the nearest name.
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
/// The same with routed experts in a format of their own (gpt-oss: bf16, and mxfp4 experts).
Precision precision_of(NumberFormat linear, NumberFormat experts);

}  // namespace moesim
