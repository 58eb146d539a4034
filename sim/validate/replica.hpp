#pragma once
// One copy of a model on its GPUs, and the scenarios that ask how long it takes.

#include <string>

#include "sim/validate/names.hpp"

namespace moesim {

struct Replica {
  std::string model, gpu;  ///< of the zoo and of the catalogue
  int attention_tp = 1, attention_dp = 1;
  int expert_ep = 1, expert_tp = 1;  ///< a dense model's are not looked at
  bool is_moe = true;
  StoredFormats formats;
  std::string engine;               ///< trtllm, sglang, vllm; empty: unknown
  std::string routing = "uniform";  ///< a kind without further keys
  int redundant = 0;                ///< expert slots beyond one per expert, placed by EPLB
  bool two_batch = false;

  int ranks() const { return attention_tp * attention_dp; }
};

/// "tp8", "dp8 ep8", "tp4 ep2 etp2": the layout in a word.
std::string layout_words(const Replica& replica);

/// YAML of a steady decode batch. sequences : of each attention-DP group, a whole number
std::string decode_scenario(const Replica& replica, double sequences, int context);

/// YAML of a prefill step. tokens : of each attention-DP group
std::string prefill_scenario(const Replica& replica, double tokens, int prompt);

}  // namespace moesim
