#include "sim/validate/replica.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/hardware/gpu.hpp"

namespace moesim {
namespace {

// Steps differ by the experts that tokens draw alone; the mean over layers and these steps is steady to about 1 %.
constexpr int kDecodeSteps = 4, kPrefillSteps = 2;

std::string layout_yaml(const Replica& replica) {
  std::string text = fmt::format("attention: {{tp: {}, dp: {}}}", replica.attention_tp, replica.attention_dp);
  if (replica.is_moe) text += fmt::format(", experts: {{ep: {}, tp: {}}}", replica.expert_ep, replica.expert_tp);
  return text;
}

/// memory_fraction 1: what was measured did fit, whatever an engine keeps free.
std::string scenario(const Replica& replica, const std::string& workload, int steps) {
  const int per_node = find_gpu(replica.gpu, "case").gpus_per_node;
  const int ranks = replica.ranks();
  std::string text = fmt::format("model: {}\n", replica.model);
  text += fmt::format("precision: {{weights: {}, experts: {}, kv: {}}}\n", replica.formats.weights,
                      replica.formats.experts, replica.formats.kv);
  text += fmt::format("cluster: {{gpu: {}, nodes: {}, gpus_per_node: {}}}\n", replica.gpu,
                      (ranks + per_node - 1) / per_node, std::min(ranks, per_node));
  text += fmt::format("layout: {{{}}}\n", layout_yaml(replica));
  if (replica.is_moe) text += fmt::format("routing: {{kind: {}}}\n", replica.routing);
  if (replica.redundant > 0) text += fmt::format("placement: {{policy: eplb, redundant: {}}}\n", replica.redundant);
  if (replica.two_batch) text += "overlap: {two_batch: true}\n";
  return text + fmt::format("workload: {{{}, steps: {}}}\nmemory_fraction: 1\n", workload, replica.is_moe ? steps : 1);
}

}  // namespace

std::string layout_words(const Replica& replica) {
  std::string text =
      replica.attention_tp > 1 || replica.attention_dp == 1 ? fmt::format("tp{}", replica.attention_tp) : std::string{};
  if (replica.attention_dp > 1) text += fmt::format("{}dp{}", text.empty() ? "" : " ", replica.attention_dp);
  if (!replica.is_moe || replica.expert_ep == 1) return text;
  text += fmt::format(" ep{}", replica.expert_ep);
  return replica.expert_tp > 1 ? text + fmt::format(" etp{}", replica.expert_tp) : text;
}

std::string decode_scenario(const Replica& replica, double sequences, int context) {
  return scenario(
      replica, fmt::format("phase: decode, tokens_per_gpu: {}, context: {}", sequences / replica.attention_tp, context),
      kDecodeSteps);
}

std::string prefill_scenario(const Replica& replica, double tokens, int prompt) {
  return scenario(replica,
                  fmt::format("phase: prefill, tokens_per_gpu: {}, context: {}", tokens / replica.attention_tp, prompt),
                  kPrefillSteps);
}

}  // namespace moesim
