#include "models/llm/extra_ops.hpp"

namespace moesim {

Op extra_op(const ExtraOp& extra, double tokens) {
  const Bytes weights = tokens > 0 ? extra.weights : Bytes{};
  return {extra.name, OpClass::extra, tokens * extra.flops_per_token, tokens * extra.bytes_per_token + weights,
          Streaming{}};
}

Bytes extra_weight_bytes(std::span<const ExtraOp> extras) {
  Bytes bytes;
  for (const ExtraOp& extra : extras) bytes += extra.weights;
  return bytes;
}

}  // namespace moesim
