#pragma once
// Internal to the command `model`: what both its outputs show.

#include <array>
#include <string>
#include <vector>

#include "models/llm/ops.hpp"
#include "models/llm/parameters.hpp"

namespace moesim {

inline constexpr double kShownTokens = 4096;  ///< context of the decode token, and length of the prefill
inline constexpr std::array kShownFormats{NumberFormat::bf16, NumberFormat::fp8_block, NumberFormat::int4_group128};

/// Formats to show a model in.
struct Asked {
  Precision precision;                ///< experts: of a list the one with the most bits
  std::vector<NumberFormat> experts;  ///< [experts] when they differ, the same in every layer; else empty
};

/// Stored bytes by tensor class.
std::array<Bytes, kTensorClassCount> weight_bytes(const Architecture& model, const Asked& asked);

struct OpRow {
  Phase phase = Phase::decode;
  const char* part = "";
  int layers = 0;  ///< how many layers run it; the head once
  Op op;
};

struct Work {
  Flops flops;
  Bytes bytes;
};

/// Every operation of one token at context kShownTokens, and of a prefill of kShownTokens from nothing, on one GPU that
/// holds the whole model. None for an encoder-decoder, whose operations are not modelled.
std::vector<OpRow> all_ops(const Architecture& model, const Asked& asked);

/// Sum over the rows of a phase and their layers.
Work total_of(const std::vector<OpRow>& rows, Phase phase);

/// The document of `moesim model --json` (scenarios/schema/model.schema.json), operations as asked.
std::string model_json(const Architecture& model, const Asked& asked);

}  // namespace moesim
