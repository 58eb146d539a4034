#pragma once
// How wide a slice of an expert is on one of several ranks.

#include "models/llm/architecture.hpp"

namespace moesim {

/// Columns of a routed expert on one of `tp` ranks. Engines pad slices in mxfp4 to whole blocks of 32 (gpt-oss over 4
/// ranks: 720 become 736; vLLM and TensorRT-LLM pad to 64 and more, by kernel); other block formats they refuse to cut
/// (check_blocks).
int expert_slice_width(const Architecture& model, NumberFormat format, int tp);

}  // namespace moesim
