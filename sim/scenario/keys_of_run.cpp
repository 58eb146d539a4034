#include "sim/scenario/choices.hpp"
#include "sim/scenario/key_parts.hpp"

namespace moesim {
namespace {

constexpr double kMostSteps = 10'000'000, kMostTokens = 10'000'000, kMostImbalance = 65536, kMostHostSeconds = 60;
/// The largest integer that every reader of JSON holds exactly, 2^53 - 1.
constexpr double kMostSeed = 9007199254740991.0;

using T = KeyType;

}  // namespace

std::vector<Key> workload_keys() {
  return {
      {.path = "workload.kind",
       .type = T::choice,
       .doc = "Where requests come from",
       .standard = "batch",
       .choices = workload_choices()},
      {.path = "workload.phase",
       .type = T::choice,
       .doc = "What a step does",
       .standard = "decode",
       .choices = phase_choices()},
      {.path = "workload.tokens_per_gpu",
       .type = T::number,
       .doc = "New tokens of one step per GPU of the layout, so that layouts compare at the same global batch. "
              "Decode: sequences per GPU. Prefill: chunk tokens per GPU",
       .required = true,
       .most = kMostTokens,
       .above_least = true},
      {.path = "workload.context",
       .type = T::integer,
       .doc = "Decode: tokens in the KV cache per sequence, in every step (a steady batch). Prefill: prompt length",
       .standard = "4096",
       .least = 1,
       .most = kMostTokens},
      {.path = "workload.steps",
       .type = T::integer,
       .doc = "Steps to simulate",
       .standard = "100",
       .least = 1,
       .most = kMostSteps},
      {.path = "workload.dp_imbalance",
       .type = T::number,
       .doc = "Tokens of the fullest attention-DP rank over the mean, in every step",
       .standard = "1",
       .least = 1,
       .most = kMostImbalance},
      {.path = "workload.host_time",
       .type = T::seconds,
       .doc = "What the GPUs of the last stage wait for the host after every batch: scheduling, sampling, the next "
              "inputs. Engines that schedule ahead hide it; with others it is 1 to 6 ms",
       .standard = "0 s",
       .most = kMostHostSeconds},
  };
}

std::vector<Key> communication_keys() {
  return {
      {.path = "communication.all_to_all",
       .type = T::choice,
       .doc = "How tokens reach the experts' ranks",
       .standard = "auto",
       .choices = all_to_all_choices()},
      {.path = "communication.copies",
       .type = T::choice,
       .doc = "How often a token travels; another rule than the all-to-all's own is a what-if",
       .standard = "auto",
       .choices = copy_rule_choices()},
      {.path = "communication.all_reduce",
       .type = T::choice,
       .doc = "Algorithm of tensor-parallel sums",
       .standard = "auto",
       .choices = all_reduce_choices()},
      {.path = "communication.rails",
       .type = T::choice,
       .doc = "Between GPUs of different index on different nodes",
       .standard_note = "forward on rails, spine on other fabrics; pxn with all_to_all hierarchical",
       .choices = rail_choices()},
      {.path = "communication.spread",
       .type = T::choice,
       .doc = "How flows choose among equal uplinks",
       .standard = "ecmp",
       .choices = spread_choices()},
      {.path = "communication.replicas",
       .type = T::choice,
       .doc = "Which copy of an expert serves a token",
       .standard = "uniform_random",
       .choices = replica_choices()},
      {.path = "communication.dp_padding",
       .type = T::choice,
       .doc = "Whether attention-DP ranks pad their batches",
       .standard = "none",
       .choices = padding_choices()},
  };
}

std::vector<Key> run_keys() {
  return {
      {.path = "overlap.shared_experts",
       .type = T::boolean,
       .doc = "Shared experts run beside dispatch; where nothing is dispatched (expert TP, or EP inside the attention "
              "TP group), beside the routed experts, which hides their launches but not their work",
       .standard = "true"},
      {.path = "overlap.two_batch",
       .type = T::boolean,
       .doc = "Two half batches hide each other's communication",
       .standard = "false"},
      {.path = "kernels.profile",
       .type = T::profile,
       .doc = "Where kernel times come from: roofline (tile-quantised, from the catalogue's peaks), a name of "
              "`moesim list profiles`, or a path to a profile (has a / or ends in .json)",
       .standard = "roofline"},
      {.path = "kernels.engine",
       .type = T::text,
       .doc = "Whose kernels, where a profile has several: trtllm, sglang, vllm in the shipped ones; auto: its first",
       .standard = "auto"},
      {.path = "kernels.fallback",
       .type = T::choice,
       .doc = "When the profile lacks a kernel",
       .standard = "error",
       .choices = fallback_choices()},
      {.path = "memory_fraction",
       .type = T::number,
       .doc = "Share of the device memory that the engine may use",
       .standard = "0.9",
       .most = 1,
       .above_least = true},
      {.path = "slo.ttft", .type = T::seconds, .doc = "Limit on the time to the first token", .above_least = true},
      {.path = "slo.tpot", .type = T::seconds, .doc = "Limit on the time per output token", .above_least = true},
      {.path = "seed",
       .type = T::integer,
       .doc = "Of all random numbers",
       .standard = "1",
       .least = 0,
       .most = kMostSeed},
  };
}

}  // namespace moesim
