#include "sim/scenario/choices.hpp"
#include "sim/scenario/key_parts.hpp"

namespace moesim {
namespace {

using T = KeyType;

constexpr double kMostExperts = 65536, kMostWork = 1e18, kMostPenalty = 1e12;

std::vector<Key> storage_keys() {
  const std::vector<std::string_view> offloaded{"host", "nvme"};
  return {
      {.path = "precision.cold_experts.below",
       .type = T::number,
       .doc = "Share of its layer's tokens below which an expert is cold, by the mean loads of `routing`",
       .most = 1,
       .above_least = true},
      {.path = "precision.cold_experts.format",
       .type = T::choice,
       .doc = "Of the cold experts; the others are in precision.experts, which has more bits",
       .choices = weight_format_choices()},
      {.path = "offload.to",
       .type = T::choice,
       .doc = "Where experts lie that do not stay on the GPU",
       .standard = "none",
       .choices = offload_choices()},
      {.path = "offload.resident",
       .type = T::integer,
       .doc = "Experts of each layer that stay on each GPU: those with the largest mean loads",
       .least = 0,
       .most = kMostExperts,
       .only_with = {"offload.to", offloaded, true}},
      {.path = "offload.bandwidth",
       .type = T::bandwidth,
       .doc = "Achieved, into each GPU",
       .standard_note = "host: 82 % of the GPU's PCIe link; nvme: 7 GB/s",
       .above_least = true,
       .only_with = {"offload.to", offloaded, false}},
      {.path = "offload.hit_rate",
       .type = T::number,
       .doc = "Share of the experts wanted that are on the GPU, of a cache that follows the tokens",
       .standard_note = "counted: a wanted expert misses when it is not among the resident ones",
       .most = 1,
       .only_with = {"offload.to", offloaded, false}},
  };
}

std::vector<Key> list_keys() {
  return {
      {.path = "quality_penalty",
       .type = T::records,
       .doc =
           "What experts lose in a format, in any unit; the summary has the load-weighted sum. Quality itself is not "
           "simulated"},
      {.path = "extra_ops",
       .type = T::records,
       .doc = "Work beside the published model, once per step on every rank: adapters, LoRA, hypernetworks"},
  };
}

std::vector<Key> penalty_fields() {
  return {
      {.path = "format", .type = T::choice, .doc = "Of experts", .required = true, .choices = weight_format_choices()},
      {.path = "penalty", .type = T::number, .doc = "Per unit of load", .required = true, .most = kMostPenalty},
      {.path = "expert",
       .type = T::integer,
       .doc = "This one in every layer, instead of what holds for all",
       .most = kMostExperts}};
}

std::vector<Key> extra_op_fields() {
  return {{.path = "name", .type = T::text, .doc = "What it is", .required = true},
          {.path = "flops_per_token", .type = T::number, .doc = "FLOPs, all layers together", .most = kMostWork},
          {.path = "bytes_per_token", .type = T::number, .doc = "Activations through HBM, in bytes", .most = kMostWork},
          {.path = "weights_bytes",
           .type = T::number,
           .doc = "Held by every rank and read once per step, in bytes",
           .most = kMostWork}};
}

}  // namespace

std::vector<Key> expert_keys() {
  std::vector<Key> keys = storage_keys();
  for (Key& key : list_keys()) {
    key.fields = key.path == "extra_ops" ? extra_op_fields() : penalty_fields();
    keys.push_back(key);
  }
  return keys;
}

}  // namespace moesim
