#include "plots/glossary.hpp"

namespace moesim {

std::vector<std::pair<std::string, std::string>> glossary() {
  return {{"output tokens/s per GPU",
           "Tokens that users get, over the GPUs of the layout. Prompt tokens are not among them; prefill runs count "
           "input tokens instead."},
          {"step", "One pass through all layers: in decode every sequence gets one token."},
          {"TPOT", "Time per output token: here the length of a decode step."},
          {"TTFT", "Time to first token. A batch has no arrivals, so it is not judged."},
          {"p99", "99 of 100 steps are at most this long (nearest rank)."},
          {"TP, DP, EP, PP",
           "Tensor, data, expert and pipeline parallelism: weights cut over GPUs, batches spread over them, whole "
           "experts spread over them, layers spread over them."},
          {"dispatch, combine",
           "The two all-to-all exchanges of a MoE layer: tokens to the GPUs of their experts, results back."},
          {"TP collective", "Exchange inside a tensor-parallel group: all-reduce, reduce-scatter or all-gather."},
          {"max/mean", "Load of the fullest over the mean one: 1 is perfectly even. The fullest sets the pace."},
          {"slot, replica", "A place for an expert's weights on a GPU; a popular expert may have several."},
          {"critical path", "What the step really waits for; work hidden behind longer work is not on it."},
          {"hotspot", "An expert, GPU, link or stage that makes the others wait."},
          {"roofline",
           "Kernel times from peak rates and published efficiencies, not measured: expect errors of tens of percent."},
          {"audit",
           "A sample of the run's MoE layers, drawn again token by token and replayed as flows on the network: how "
           "far the fast methods of the run are off."},
          {"usable memory", "The device's memory times memory_fraction."}};
}

}  // namespace moesim
