#include "sim/scenario/choices.hpp"
#include "sim/scenario/key_parts.hpp"

namespace moesim {
namespace {

constexpr double kMostGpus = 65536;

using T = KeyType;

}  // namespace

std::vector<Key> model_keys() {
  std::vector<Key> keys{
      {.path = "question", .type = T::text, .doc = "What the scenario asks, in one sentence"},
      {.path = "model",
       .type = T::model,
       .doc = "A name of `moesim list models`, or a path to a Hugging Face config.json (has a / or ends in .json)",
       .required = true},
      {.path = "precision.weights",
       .type = T::choice,
       .doc = "Attention, dense FFN and shared experts",
       .standard_note = "the checkpoint's format",
       .choices = weight_format_choices()},
      {.path = "precision.experts",
       .type = T::choice,
       .doc = "Routed experts: one format, or a list with one for each expert, the same in every layer",
       .standard_note = "the checkpoint's format",
       .choices = weight_format_choices()},
      {.path = "precision.kv",
       .type = T::choice,
       .doc = "KV cache",
       .standard = "bf16",
       .choices = stored_format_choices()},
      {.path = "precision.dispatch",
       .type = T::choice,
       .doc = "Tokens on their way to the experts",
       .standard_note = "fp8_block when precision.experts is fp8_block, else bf16",
       .choices = dispatch_format_choices()},
      {.path = "precision.combine",
       .type = T::choice,
       .doc = "Expert outputs on their way back",
       .standard = "bf16",
       .choices = combine_format_choices()},
      {.path = "precision.embedding",
       .type = T::choice,
       .doc = "Embedding and LM head",
       .standard = "bf16",
       .choices = stored_format_choices()},
  };
  for (Key& key : keys)  // nested above GCC 12 would warn (maybe-uninitialized, on its own unwinding)
    if (key.path == "precision.experts")
      key.fields = {{.path = "format", .type = T::choice, .doc = "Of an expert", .choices = weight_format_choices()}};
  return keys;
}

std::vector<Key> layout_keys() {
  std::vector<Key> keys{
      {.path = "layout.attention.tp",
       .type = T::integer,
       .doc = "Ranks that split the heads of one token",
       .standard_note = "ranks / layout.attention.dp; 1 for a MoE model, all ranks for a dense one",
       .least = 1,
       .most = kMostGpus},
      {.path = "layout.attention.dp",
       .type = T::integer,
       .doc = "Groups that each attend to their own sequences",
       .standard_note = "ranks / layout.attention.tp",
       .least = 1,
       .most = kMostGpus},
      {.path = "layout.experts.ep",
       .type = T::integer,
       .doc = "Ranks over which whole experts are spread",
       .standard_note = "ranks / layout.experts.tp; all ranks for a MoE model, 1 for a dense one",
       .least = 1,
       .most = kMostGpus},
      {.path = "layout.experts.tp",
       .type = T::integer,
       .doc = "Ranks that split the width of one expert",
       .standard_note = "ranks / layout.experts.ep",
       .least = 1,
       .most = kMostGpus},
      {.path = "layout.experts.apart",
       .type = T::boolean,
       .doc = "Attention-FFN disaggregation: routed experts have GPUs of their own, behind those of attention",
       .standard = "false"},
      {.path = "layout.pp",
       .type = T::integer,
       .doc = "Pipeline stages, each on ranks = GPUs / pp consecutive GPUs",
       .standard = "1",
       .least = 1,
       .most = kMostGpus},
      {.path = "layout.microbatches",
       .type = T::integer,
       .doc = "Microbatches that a step is cut into and that are in the pipeline (or between the pools) at once",
       .standard_note = "layout.pp; 2 with layout.experts.apart",
       .least = 1,
       .most = kMostGpus},
      {.path = "layout.stage_layers",
       .type = T::records,
       .doc = "Layers of each pipeline stage, as [15, 16, 15, 15]",
       .standard_note = "even; what is left goes to later stages, but the last"},
      {.path = "placement.policy",
       .type = T::choice,
       .doc = "Which slot holds which expert",
       .standard = "linear",
       .choices = placement_choices()},
      {.path = "placement.redundant",
       .type = T::integer,
       .doc = "Slots beyond one per expert, over all ranks",
       .standard = "0",
       .least = 0,
       .most = kMostGpus},
      {.path = "placement.file",
       .type = T::file,
       .doc = "CSV of layer,rank,experts (space separated), may be .gz",
       .only_with = {"placement.policy", {"file"}, true}},
  };
  for (Key& key : keys)  // nested above GCC 12 would warn (maybe-uninitialized, on its own unwinding)
    if (key.path == "layout.stage_layers")
      key.fields = {
          {.path = "stage", .type = T::integer, .doc = "Layers of a stage", .required = true, .least = 1, .most = 1e6}};
  return keys;
}

}  // namespace moesim
