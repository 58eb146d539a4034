#include "sim/scenario/choices.hpp"

#include "models/collectives/collectives.hpp"
#include "models/hardware/cluster.hpp"
#include "models/layout/layout.hpp"
#include "models/llm/number_format.hpp"
#include "models/llm/ops.hpp"
#include "models/placement/placement.hpp"
#include "models/routing/routing.hpp"
#include "models/traffic/traffic.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {
namespace {

template <class Enum>
constexpr Choice now(std::string_view name, Enum value, std::string_view doc) {
  return {name, static_cast<int>(value), doc, {}};
}
constexpr Choice later(std::string_view name, std::string_view doc, std::string_view instead) {
  return {name, kLater, doc, instead};
}

}  // namespace

std::vector<Choice> weight_format_choices() {
  return {now("bf16", NumberFormat::bf16, "16 bits"),
          now("fp8_block", NumberFormat::fp8_block, "8 bits, one fp32 scale per 128 x 128 block"),
          now("fp8", NumberFormat::fp8_block, "short for fp8_block"),
          now("fp8_per_tensor", NumberFormat::fp8, "8 bits, scales per tensor or channel not counted"),
          now("int8", NumberFormat::int8, "8 bits"),
          now("int4_group128", NumberFormat::int4_group128, "4 bits, one fp16 scale per 128"),
          now("fp16", NumberFormat::fp16, "16 bits"),
          now("mxfp8", NumberFormat::mxfp8, "8 bits, one e8m0 scale per 32"),
          now("int4_group32", NumberFormat::int4_group32, "4 bits, one fp16 scale per 32"),
          now("int4_group128_asymmetric", NumberFormat::int4_group128_asymmetric,
              "4 bits, one fp16 scale and a zero point per 128"),
          now("int3_group128", NumberFormat::int3_group128, "3 bits, one fp16 scale and a zero point per 128"),
          now("int2_group128", NumberFormat::int2_group128, "2 bits, one fp16 scale and a zero point per 128"),
          now("mxfp4", NumberFormat::mxfp4, "4 bits, one e8m0 scale per 32; activations bf16"),
          now("mxfp4_mxfp8", NumberFormat::mxfp4_mxfp8, "mxfp4 with activations in mxfp8, as on Blackwell"),
          now("nvfp4", NumberFormat::nvfp4, "4 bits, one fp8 scale per 16; activations bf16")};
}

std::vector<Choice> stored_format_choices() {
  return {now("bf16", NumberFormat::bf16, "16 bits"),
          now("fp8", NumberFormat::fp8, "8 bits, scales not counted"),
          now("int8", NumberFormat::int8, "8 bits"),
          now("fp16", NumberFormat::fp16, "16 bits"),
          now("mxfp8", NumberFormat::mxfp8, "8 bits, one e8m0 scale per 32"),
          now("nvfp4", NumberFormat::nvfp4, "4 bits, one fp8 scale per 16")};
}

std::vector<Choice> dispatch_format_choices() {
  return {now("bf16", NumberFormat::bf16, "2 bytes per value"),
          now("fp8_block", NumberFormat::fp8_block, "1 byte per value, one fp32 scale per 128"),
          now("fp8", NumberFormat::fp8_block, "short for fp8_block"),
          later("mxfp8", "one e8m0 scale per 32", "fp8_block"), later("nvfp4", "4 bits", "fp8_block")};
}

std::vector<Choice> combine_format_choices() {
  return {now("bf16", NumberFormat::bf16, "2 bytes per value"),
          now("fp8_block", NumberFormat::fp8_block, "1 byte per value, one fp32 scale per 128"),
          now("fp8", NumberFormat::fp8_block, "short for fp8_block"), later("logfmt10", "10 bits per value", "bf16"),
          later("nvfp4", "4 bits", "fp8_block")};
}

std::vector<Choice> offload_choices() {
  return {now("none", OffloadTo::none, "all experts are on the GPUs"),
          now("host", OffloadTo::host, "host memory, over PCIe"), now("nvme", OffloadTo::nvme, "a drive")};
}

std::vector<Choice> fabric_choices() {
  return {now("single_node", FabricKind::single_node, "no network: GPUs of one node"),
          now("rail-optimised", FabricKind::rail_optimised,
              "NIC i of every node on rail i, leaves per rail, all leaves on the same spines"),
          now("multi-rail", FabricKind::multi_rail, "the same with the spines in planes, rail r in plane r mod planes"),
          now("rail-only", FabricKind::rail_only, "rails of one leaf each, no spines"),
          now("fat-tree", FabricKind::fat_tree, "all NICs of a node on one leaf, two or three tiers"),
          now("dragonfly", FabricKind::dragonfly, "groups of routers, all to all inside and between groups"),
          now("torus", FabricKind::torus, "a router per node, joined to its neighbours in a 2D grid"),
          now("graph", FabricKind::graph, "vertices and links as listed")};
}

std::vector<Choice> node_link_choices() {
  return {now("nvswitch", NodeLinks::nvswitch, "each GPU to a non-blocking switch"),
          now("mesh", NodeLinks::mesh, "a link between each two GPUs"),
          now("pcie", NodeLinks::pcie, "GPUs below PCIe switches, those below one root complex"),
          now("none", NodeLinks::none, "the links of fabric graph alone")};
}

std::vector<Choice> tier_choices() {
  std::vector<Choice> choices;
  for (const Tier tier : {Tier::nvlink, Tier::pcie, Tier::nic, Tier::spine})
    choices.push_back(now(name_of(tier), tier, ""));
  return choices;
}

std::vector<Choice> placement_choices() {
  return {
      now("linear", PlacementPolicy::linear, "experts in order, an equal block per rank"),
      now("round_robin", PlacementPolicy::round_robin, "expert e on rank e modulo ranks"),
      now("lpt", PlacementPolicy::lpt, "heaviest expert first, to the least loaded rank that has a free slot"),
      now("eplb", PlacementPolicy::eplb,
          "replicas of hot experts: eplb_hierarchical when the expert groups divide over the nodes, else eplb_global"),
      now("eplb_global", PlacementPolicy::eplb_global, "replicas anywhere"),
      now("eplb_hierarchical", PlacementPolicy::eplb_hierarchical, "expert groups to nodes first, then GPUs"),
      now("file", PlacementPolicy::file, "as a file says: layer,rank,experts"),
      later("random", "a seeded shuffle", "round_robin"),
      later("affinity", "experts that follow each other on one rank", "eplb"),
      later("exact", "branch and bound", "eplb")};
}

std::vector<Choice> routing_choices() {
  return {now("uniform", RoutingKind::uniform, "every expert equally likely, tokens independent"),
          now("balanced", RoutingKind::balanced, "every expert gets the same number of tokens"),
          now("zipf", RoutingKind::zipf, "the i-th popular expert ~ i^-exponent, popularity shuffled per layer"),
          now("dirichlet", RoutingKind::dirichlet, "shares of a layer ~ Dir(concentration, ...)"),
          now("lognormal", RoutingKind::lognormal, "shares of a layer lognormal: exp(sigma z)"),
          now("power_law", RoutingKind::power_law, "loads of a layer by a power law between min and max"),
          now("histogram", RoutingKind::histogram, "measured counts: a file of layer,expert,count"),
          now("mixture", RoutingKind::mixture, "measured counts per domain, every request of one domain"),
          now("markov", RoutingKind::markov, "zipf shares; tokens follow their layer before, and the token before"),
          now("logits", RoutingKind::logits, "random logits through the model's router, with gate weights"),
          now("expert_choice", RoutingKind::expert_choice, "every expert takes its best tokens: equal loads"),
          now("trace", RoutingKind::trace, "recorded tokens: a file of seq,pos,layer,e0,e1,...")};
}

std::vector<Choice> capacity_choices() {
  return {now("none", CapacityPolicy::none, "no limit, nothing is dropped"),
          now("drop_position", CapacityPolicy::drop_position, "the later token loses its expert"),
          now("drop_prob", CapacityPolicy::drop_prob, "the lower gate weight loses its expert (kind logits)"),
          now("backup", CapacityPolicy::backup, "the later token tries its next-best experts (kind logits)")};
}

std::vector<Choice> capacity_scope_choices() {
  return {now("rank", CapacityScope::rank, "tokens of one rank, as Megatron and Switch do"),
          now("global", CapacityScope::global, "tokens of the whole step")};
}

std::vector<Choice> sampler_choices() {
  return {now("auto", Sampler::automatic,
              "token for few tokens, a capacity limit and routing whose tokens depend on each other; else aggregate"),
          now("token", Sampler::token, "every token draws its experts"),
          now("aggregate", Sampler::aggregate, "the loads of a layer at once, with the same mean and covariance")};
}

std::vector<Choice> workload_choices() {
  return {now("batch", 0, "the same batch in every step"), later("poisson", "requests arrive at a rate", "batch"),
          later("gamma", "bursty arrivals", "batch"), later("closed_loop", "a fixed number of users", "batch"),
          later("trace", "recorded requests", "batch")};
}

std::vector<Choice> phase_choices() {
  return {now("decode", Phase::decode, "one new token per sequence and step"),
          now("prefill", Phase::prefill, "whole prompts"),
          later("mixed", "decode and prefill chunks together", "decode")};
}

std::vector<Choice> all_to_all_choices() {
  return {now("auto", AllToAll::automatic, "by phase, tokens per rank and hardware; the results say which"),
          now("deepep_low_latency", AllToAll::deepep_low_latency, "a copy per chosen expert, straight to its GPU"),
          now("deepep_normal", AllToAll::deepep_normal, "a copy per node over the own rail, then NVLink"),
          now("allgather_reducescatter", AllToAll::allgather_reducescatter, "all tokens to all ranks, and back"),
          now("pairwise", AllToAll::pairwise, "a send and a receive between each two ranks, as NCCL and RCCL do"),
          now("hierarchical", AllToAll::hierarchical, "over NVLink to the receiver's rail, then along the rails"),
          now("one_sided", AllToAll::one_sided, "a copy per rank, written into its memory; one NVLink domain")};
}

std::vector<Choice> copy_rule_choices() {
  return {now("auto", kAuto, "what the all-to-all implies"),
          now("per_expert", CopyRule::per_expert, "once per chosen expert"),
          now("per_rank", CopyRule::per_rank, "once per distinct rank"),
          now("per_node", CopyRule::per_node, "once per distinct node, then NVLink to each distinct rank")};
}

std::vector<Choice> all_reduce_choices() {
  return {now("auto", AllReduceAlgorithm::automatic, "the fastest for the size; the results say which"),
          now("ring", AllReduceAlgorithm::ring, "2 (p-1)/p of the message per rank"),
          now("one_shot", AllReduceAlgorithm::one_shot, "everyone reads everyone: small messages, one node"),
          now("nvls", AllReduceAlgorithm::nvls, "reduced inside the NVSwitch, one node"),
          now("hierarchical", AllReduceAlgorithm::hierarchical, "reduce-scatter in nodes, ring over rails, all-gather"),
          now("tree", AllReduceAlgorithm::tree, "as hierarchical, but a double binary tree over each rail")};
}

std::vector<Choice> rail_choices() {
  return {now("forward", RailPolicy::forward, "the sender's rail, then NVLink in the receiver's node"),
          now("pxn", RailPolicy::pxn, "NVLink in the sender's node, then the receiver's rail"),
          now("spine", RailPolicy::spine, "from the sender's own NIC to the receiver's own NIC")};
}

std::vector<Choice> spread_choices() {
  return {now("ecmp", SpreadPolicy::ecmp, "a hash of the flow picks the uplink"),
          now("spray", SpreadPolicy::spray, "packets over all uplinks evenly")};
}

std::vector<Choice> replica_choices() {
  return {now("uniform_random", ReplicaChoice::uniform_random, "a copy at random per token"),
          now("static_nearest", ReplicaChoice::static_nearest, "own GPU, else own node, else by the source rank"),
          later("round_robin", "copies in turn", "uniform_random"),
          later("least_loaded", "the copy with the fewest tokens", "uniform_random")};
}

std::vector<Choice> padding_choices() {
  return {now("none", DpPadding::none, "each rank its own tokens"),
          now("max", DpPadding::max, "every rank padded to the largest"),
          later("sum", "every rank padded to the sum", "max")};
}

std::vector<Choice> fallback_choices() {
  return {now("error", 0, "what the profile lacks is refused"),
          now("roofline", 1, "what the profile lacks comes from the roofline, and is marked")};
}

}  // namespace moesim
