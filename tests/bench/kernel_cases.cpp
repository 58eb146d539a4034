#include "tests/bench/kernel_cases.hpp"

#include <charconv>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "models/kernels/published/aiconfigurator_rows.hpp"
#include "models/kernels/published/collector_histogram.hpp"

namespace moesim::bench {
namespace {

std::string_view size_class(double tokens) {
  return tokens <= 64 ? "1-64" : tokens <= 1024 ? "65-1024" : "over 1024";
}

Seconds measured(const MeasuredRow& row) {
  return Seconds{row.number("latency") * 1e-3};
}

/// Rows per local expert, or nothing for a distribution we cannot draw.
std::optional<std::vector<std::int32_t>> rows_of(const CollectorRouting& routing, std::string_view distribution,
                                                 std::string_view kernel) {
  if (distribution == "balanced" || distribution == "uniform") return balanced_batch(routing).rows;
  constexpr std::string_view kPowerLaw = "power_law_";
  if (!distribution.starts_with(kPowerLaw)) return std::nullopt;
  distribution.remove_prefix(kPowerLaw.size());
  double alpha = 0;
  std::from_chars(distribution.data(), distribution.data() + distribution.size(), alpha);
  if (alpha <= 0 || alpha == 1) return std::nullopt;
  return power_law_batch(routing, alpha, collector_habits(kernel), static_cast<std::uint32_t>(routing.tokens)).rows;
}

Op attention(const AttentionCore& core, double flops_per_pair, double bytes) {
  const double pairs = core.sequences * core.new_tokens * (core.context + (core.new_tokens + 1) / 2) * core.heads;
  return {"attention core", OpClass::attention_core, Flops{flops_per_pair * pairs}, Bytes{bytes}, core};
}

std::string_view kv_format(const MeasuredRow& row) {
  return row.text("kv_cache_dtype");
}

double kv_bytes(const MeasuredRow& row) {
  return kv_format(row) == "fp8" ? 1 : 2;
}

/// Windowed layers and fp8 attention are not modelled yet.
std::optional<LeftOut> unsupported_attention(const MeasuredRow& row, std::string_view dtype_column) {
  if (row.number_or("window_size", 0) > 0) return LeftOut{"sliding window is not modelled"};
  if (row.text(dtype_column) != "bfloat16")
    return LeftOut{fmt::format("attention in {} is not modelled", row.text(dtype_column))};
  if (kv_format(row) != "bfloat16" && kv_format(row) != "fp8") return LeftOut{not_modelled(kv_format(row))};
  return std::nullopt;
}

AttentionCore core_of(const MeasuredRow& row, Phase phase) {
  AttentionCore core{.phase = phase, .sequences = row.number("batch_size"), .heads = row.number("num_heads")};
  core.new_tokens = phase == Phase::decode ? 1 : row.number("isl");
  core.context = phase == Phase::decode ? row.number("isl") + row.number("step") - 1 : row.number("step");
  return core;
}

}  // namespace

KernelCases::KernelCases(const Gpu& gpu) : gpu_(gpu), times_(make_roofline(gpu)) {}

Outcome KernelCases::compared(std::string group, const Op& op, const MeasuredRow& row, FlopsPerSecond peak) const {
  if (op.flops / peak > measured(row)) return LeftOut{"faster than the peak of the data sheet"};
  return Compared{std::move(group), times_->time(op), measured(row)};
}

Seconds KernelCases::experts(const ExpertShape& shape, std::span<const std::int32_t> rows) {
  auto& prepared = experts_[{shape.hidden, shape.expert_hidden, shape.format}];
  if (!prepared) prepared = times_->experts(shape);
  return (*prepared)(rows);
}

Outcome KernelCases::fused_moe(const MeasuredRow& row) {
  return moe(row, true);
}
Outcome KernelCases::grouped_gemms(const MeasuredRow& row) {
  if (row.text("op_name") == "moe_context" && row.text("distribution") == "uniform")
    return LeftOut{"contiguous, uniform: fewer experts were touched than the label says"};
  return moe(row, false);
}

Outcome KernelCases::moe(const MeasuredRow& row, bool whole_block) {
  const auto format = format_of_dtype(row.text("moe_dtype"));
  if (!format) return LeftOut{not_modelled(row.text("moe_dtype"))};
  if (row.text("kernel_source").ends_with("_nongated")) return LeftOut{"experts with two matrices are not modelled"};

  const CollectorRouting routing{static_cast<int>(row.number("num_tokens")),
                                 static_cast<int>(row.number("num_experts")), static_cast<int>(row.number("topk")),
                                 static_cast<int>(row.number("moe_ep_size"))};
  const auto rows = rows_of(routing, row.text("distribution"), row.text("kernel_source"));
  if (!rows) return LeftOut{fmt::format("distribution {} cannot be drawn", row.text("distribution"))};

  const double d = row.number("hidden_size"), received = std::accumulate(rows->begin(), rows->end(), 0.0);
  Seconds predicted = experts({.hidden = static_cast<int>(d),
                               .expert_hidden = static_cast<int>(row.number("inter_size") / row.number("moe_tp_size")),
                               .format = *format},
                              *rows);
  if (whole_block)
    for (const double bytes :
         {routing.tokens * routing.experts * 8.0, received * d * 4, received * d * 2 + routing.tokens * d * 2})
      predicted += times_->time({"around", OpClass::dispatch_local, Flops{0}, Bytes{bytes}, Streaming{}});
  return Compared{fmt::format("{} {} {}, tokens {}", row.text("moe_dtype"), row.text("distribution"),
                              routing.ep == 1 ? "ep1" : "ep>1", size_class(routing.tokens)),
                  predicted, measured(row)};
}

Outcome KernelCases::gemm(const MeasuredRow& row) const {
  const auto format = format_of_dtype(row.text("gemm_dtype"));
  if (!format) return LeftOut{not_modelled(row.text("gemm_dtype"))};
  const double m = row.number("m"), n = row.number("n"), k = row.number("k");
  const double input = *format == NumberFormat::bf16 ? 2 : 1;
  const Op op{"gemm", OpClass::dense_ffn, Flops{2 * m * n * k},
              bytes_of(n * k, *format) + Bytes{m * k * input + m * n * 2}, Gemm{m, n, k, *format}};
  return compared(fmt::format("{}, m {}", row.text("gemm_dtype"), size_class(m)), op, row,
                  *format == NumberFormat::bf16 ? gpu_.bf16 : gpu_.fp8);
}

Outcome KernelCases::decode_attention(const MeasuredRow& row) const {
  if (auto reason = unsupported_attention(row, "attn_dtype")) return *reason;
  AttentionCore core = core_of(row, Phase::decode);
  core.kv_heads = row.number("num_key_value_heads");
  core.head_dim = row.number("head_dim");
  const double keys = core.sequences * (core.context + 1);
  const double bytes =
      keys * 2 * core.kv_heads * core.head_dim * kv_bytes(row) + core.sequences * core.heads * core.head_dim * 4;
  return compared(fmt::format("{} KV, {}", kv_format(row), keys < 65536 ? "under 64 k keys" : "64 k keys and more"),
                  attention(core, 4 * core.head_dim, bytes), row, gpu_.bf16);
}

Outcome KernelCases::prefill_attention(const MeasuredRow& row) const {
  if (auto reason = unsupported_attention(row, "attn_dtype")) return *reason;
  AttentionCore core = core_of(row, Phase::prefill);
  core.kv_heads = row.number("num_key_value_heads");
  core.head_dim = row.number("head_dim");
  const double tokens = core.sequences * core.new_tokens;
  const double bytes = tokens * core.head_dim * (4 * core.heads + 2 * core.kv_heads * (2 + kv_bytes(row)));
  return compared(fmt::format("{} KV, {}", kv_format(row),
                              core.new_tokens < 1024 ? "prompts under 1 k" : "prompts of 1 k and more"),
                  attention(core, 4 * core.head_dim, bytes), row, gpu_.bf16);
}

// DeepSeek's MLA (V2, V3, Kimi K2): latent 512 + rope 64; naive heads of 128 + 64 (queries, keys) and 128 (values).
Outcome KernelCases::decode_mla(const MeasuredRow& row) const {
  if (auto reason = unsupported_attention(row, "mla_dtype")) return *reason;
  AttentionCore core = core_of(row, Phase::decode);
  core.kind = AttentionKind::mla;
  core.kv_heads = 1;
  core.head_dim = 576;
  core.absorbed = true;
  const double keys = core.sequences * (core.context + 1);
  const double bytes = keys * 576 * kv_bytes(row) + core.sequences * core.heads * (576 + 512) * 2;
  return compared(fmt::format("{} KV, {}", kv_format(row), keys < 65536 ? "under 64 k keys" : "64 k keys and more"),
                  attention(core, 2 * (576 + 512), bytes), row, gpu_.bf16);
}

Outcome KernelCases::prefill_mla(const MeasuredRow& row) const {
  if (auto reason = unsupported_attention(row, "mla_dtype")) return *reason;
  AttentionCore core = core_of(row, Phase::prefill);
  core.kind = AttentionKind::mla;
  core.kv_heads = core.heads;
  core.head_dim = 192;
  const double bytes = core.sequences * core.new_tokens * core.heads * (2 * 192 + 2 * 128) * 2;
  return compared(fmt::format("{} KV, {}", kv_format(row),
                              core.new_tokens < 1024 ? "prompts under 1 k" : "prompts of 1 k and more"),
                  attention(core, 2 * (192 + 128), bytes), row, gpu_.bf16);
}

}  // namespace moesim::bench
