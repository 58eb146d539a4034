// What a rank needs beside weights and KV cache: buffers, activations, libraries.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/deployment/rank_share.hpp"
#include "models/traffic/traffic.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

constexpr double kBf16 = 2;  ///< bytes

// aiconfigurator's "other" (CUDA context, cuBLAS, engine) and per-communicator figures of its H100 and H200 system
// files.
constexpr Bytes kContextAndLibraries{3.5 * 1073741824.0};
constexpr Bytes kNcclPair = 342_MiB, kNcclGroup = 392_MiB;

/// Memory of one captured batch size [assumed, engines report 10 to 50 MB].
constexpr Bytes kPerGraph{30e6};

// The sizes DeepEP's own tests and examples give its normal-mode buffer [assumed for other hidden sizes and ranks].
constexpr Bytes kNormalNvlink{2e9}, kNormalRdma{1e9};

double tokens_of(const MemoryInputs& in) {
  return std::ceil(in.batch.tokens());
}

/// 1, 2, 4, then every multiple of 8, up to the first that holds the batch, as vLLM captures them.
double captured_sizes(double tokens) {
  if (tokens <= 4) return tokens <= 1 ? 1 : std::ceil(std::log2(tokens)) + 1;
  return 3 + std::ceil(tokens / 8);
}

struct Peak {
  double elements;  ///< bf16
  std::string operation;
};

/// Elements of the attention operation beside the residual streams: q, k, v, what MLA makes of them, and the output.
Peak attention_peak(const MemoryInputs& in) {
  const AttentionSpec& a = in.model.attention;
  const int tp = in.layout.spec.attention_tp;
  const double tokens = tokens_of(in), heads = static_cast<double>(a.heads) / tp;
  if (a.kind == AttentionKind::gqa)
    return {tokens * (2 * heads + 2 * kv_heads_of_rank(in.model, tp)) * a.head_dim, "attention"};
  const double latent = a.q_lora + a.kv_lora + a.rope, qk = a.nope + a.rope;
  if (in.batch.phase == Phase::decode)  // queries taken into the latent space, and their outputs there
    return {tokens * (latent + heads * (qk + 2.0 * a.kv_lora + a.rope + a.v_dim)), "absorbed MLA"};
  const double attended = std::ceil(in.batch.sequences) * (in.batch.context + in.batch.new_tokens);
  return {tokens * (latent + heads * (qk + a.v_dim)) + attended * heads * (qk + a.v_dim),
          "MLA with decompressed K and V"};
}

/// Gate, up and their product.
Peak ffn_peak(const MemoryInputs& in) {
  const int tp = in.layout.spec.attention_tp;
  const int dense = in.model.dense_layers() > 0 ? in.model.dense_hidden : 0;
  const int shared = in.model.moe ? in.model.moe->shared_hidden : 0;
  return {tokens_of(in) * 3 * std::max(dense, shared) / tp, dense >= shared ? "dense FFN" : "shared experts"};
}

/// bf16 logits of the last tokens and their fp32 copy for sampling, whole vocabulary on every rank: 3 bf16 elements
/// each.
Peak logits_peak(const MemoryInputs& in) {
  return {3.0 * std::ceil(in.batch.sequences) * in.model.vocab, "logits"};
}

MemoryLine dispatch_line(const MemoryInputs& in) {
  if (all_to_all_of(in) == AllToAll::deepep_low_latency) {
    const int tokens = static_cast<int>(std::min(dispatched_tokens(in), 1e9));
    const int experts = slots_of_rank(in) * in.layout.spec.expert_ep;
    return {"dispatch buffers", "buffers", deepep_low_latency_buffer(in.model.hidden, tokens, experts),
            fmt::format("DeepEP low latency: 2 (send + receive + signals) for {} tokens, {} expert slots, width {}",
                        tokens, experts, in.model.hidden)};
  }
  const double tokens = dispatched_tokens(in);
  const Bytes out = payload(in.model.hidden, in.precision.dispatch),
              back = payload(in.model.hidden, in.precision.combine);
  const int peers = std::max(in.layout.ranks, in.layout.expert_ranks());  // pools may differ
  if (all_to_all_of(in) == AllToAll::one_sided)
    return {"dispatch buffers", "buffers", tokens * peers * (out + back),
            fmt::format("one-sided: {} ranks x {:.0f} tokens x ({:.0f} B out + {:.0f} B back) for others to write to",
                        peers, tokens, out.value(), back.value())};
  if (all_to_all_of(in) == AllToAll::pairwise || all_to_all_of(in) == AllToAll::hierarchical) {
    const int stages = all_to_all_of(in) == AllToAll::hierarchical ? 2 : 1;  // rows on the rail, as many again
    const int copies = in.model.moe->top_k;
    return {"dispatch buffers", "buffers", stages * tokens * copies * std::max(out, back),
            fmt::format("{} x {:.0f} tokens x {} copies x {:.0f} B, sorted by receiver", stages, tokens, copies,
                        std::max(out, back).value())};
  }
  const int node = in.gpus_per_node > 0 ? in.gpus_per_node : in.gpu.gpus_per_node;
  const bool nodes = in.layout.dispatching_gpus() > node;
  return {"dispatch buffers", "buffers", nodes ? kNormalNvlink + kNormalRdma : kNormalNvlink,
          nodes ? "DeepEP normal: 2 GB NVLink + 1 GB RDMA [assumed]" : "DeepEP normal: 2 GB NVLink [assumed]"};
}

MemoryLine gather_line(const MemoryInputs& in) {
  const double tokens = tokens_of(in) * in.layout.spec.attention_dp;
  const Bytes in_bytes = payload(in.model.hidden, in.precision.dispatch), out_bytes{kBf16 * in.model.hidden};
  return {"gathered tokens", "buffers", tokens * (in_bytes + out_bytes),
          fmt::format("{:.0f} tokens x ({:.0f} B gathered + {:.0f} B to reduce)", tokens, in_bytes.value(),
                      out_bytes.value())};
}

MemoryLine arriving_line(const MemoryInputs& in) {
  const Bytes one = in.experts.empty() ? expert_bytes(in.model, in.precision.experts, in.layout.spec.expert_tp)
                                       : in.experts.front().largest;
  return {"experts on their way", "buffers", 2 * one,
          fmt::format("2 x {:.0f} B: one that computes, one that arrives [assumed]", one.value())};
}

MemoryLine expert_rows_line(const MemoryInputs& in) {
  const double rows = expert_rows(in), d = in.model.hidden;
  const bool dispatched =
      in.layout.kind == LayoutKind::data_expert_a2a || in.layout.kind == LayoutKind::data_expert_gather;
  const Bytes input = dispatched ? payload(in.model.hidden, in.precision.dispatch) : Bytes{kBf16 * d};
  const double gate_up = 2.0 * in.model.moe->expert_hidden / in.layout.spec.expert_tp;
  const Bytes output{kBf16 * std::max(gate_up, d)};
  return {"expert rows", "activations", rows * (input + output),
          fmt::format("{:.0f} rows x ({:.0f} B in + {:.0f} B: the wider of gate/up and output)", rows, input.value(),
                      output.value())};
}

}  // namespace

Bytes deepep_low_latency_buffer(int hidden, int max_tokens_per_rank, int experts) {
  const double d = hidden, tokens = max_tokens_per_rank, e = experts;
  const double scales = 4.0 * (hidden / 128);  // one fp32 per 128 columns
  const double dispatch = 16 + std::max(2 * d, d + scales), combine = 2 * d + scales;
  const double send = std::max(tokens * dispatch, e * tokens * combine);
  const double receive = e * tokens * std::max(dispatch, combine);
  const double signals = std::ceil(4 * e / 128) * 128;
  return Bytes{2 * (send + receive + signals)};
}

std::vector<MemoryLine> buffer_lines(const MemoryInputs& in) {
  std::vector<MemoryLine> lines;
  if (in.layout.kind == LayoutKind::data_expert_a2a) lines.push_back(dispatch_line(in));
  if (in.layout.kind == LayoutKind::data_expert_gather) lines.push_back(gather_line(in));
  if (in.model.moe && resident_slots_of_rank(in) < slots_of_rank(in)) lines.push_back(arriving_line(in));
  return lines;
}

std::vector<MemoryLine> activation_lines(const MemoryInputs& in) {
  const double tokens = tokens_of(in), residual = 2 * tokens * in.model.hidden;
  const Peak peak = std::max({attention_peak(in), ffn_peak(in), logits_peak(in)},
                             [](const Peak& a, const Peak& b) { return a.elements < b.elements; });
  std::vector<MemoryLine> lines{{"activations", "activations", Bytes{kBf16 * (residual + peak.elements)},
                                 fmt::format("2 B x (2 x {:.0f} tokens x {} residual + {:.0f} of {})", tokens,
                                             in.model.hidden, peak.elements, peak.operation)}};
  if (in.model.moe) lines.push_back(expert_rows_line(in));
  return lines;
}

std::vector<MemoryLine> other_lines(const MemoryInputs& in) {
  std::vector<MemoryLine> lines{{"CUDA context and libraries", "other", kContextAndLibraries,
                                 "3.5 GiB, as aiconfigurator allows for context, cuBLAS and engine"}};
  if (in.layout.gpus() > 1)
    lines.push_back({"NCCL", "other", in.layout.gpus() == 2 ? kNcclPair : kNcclGroup,
                     fmt::format("one communicator of {} ranks (aiconfigurator: 342 MiB for 2, 392 MiB for more)",
                                 in.layout.gpus())});
  if (in.batch.phase == Phase::decode) {
    const double sizes = captured_sizes(tokens_of(in));
    lines.push_back({"CUDA graphs", "other", sizes * kPerGraph,
                     fmt::format("{:.0f} captured batch sizes x 30 MB [assumed]", sizes)});
  }
  return lines;
}

}  // namespace moesim
