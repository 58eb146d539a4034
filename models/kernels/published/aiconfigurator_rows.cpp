#include "models/kernels/published/aiconfigurator_rows.hpp"

#include <charconv>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "models/kernels/published/collector_histogram.hpp"

namespace moesim {

std::optional<NumberFormat> format_of_dtype(std::string_view dtype) {
  if (dtype == "bfloat16") return NumberFormat::bf16;
  if (dtype == "fp8_block") return NumberFormat::fp8_block;
  if (dtype == "fp8") return NumberFormat::fp8;
  if (dtype == "int4_wo") return NumberFormat::int4_group128;
  if (dtype == "w4a16_mxfp4") return NumberFormat::mxfp4;
  if (dtype == "w4a8_mxfp4_mxfp8") return NumberFormat::mxfp4_mxfp8;
  if (dtype == "nvfp4") return NumberFormat::nvfp4;
  return std::nullopt;
}

std::string not_modelled(std::string_view dtype) {
  return fmt::format("number format {} is not modelled", dtype);
}

namespace {

double microseconds_of(const MeasuredRow& row) {
  return row.positive("latency") * 1e3;
}

/// 0 for balanced, else the exponent of the power law; nothing for a distribution that cannot be drawn.
std::optional<double> skew_of(std::string_view distribution) {
  if (distribution == "balanced" || distribution == "uniform") return 0;
  constexpr std::string_view kPowerLaw = "power_law_";
  if (!distribution.starts_with(kPowerLaw)) return std::nullopt;
  distribution.remove_prefix(kPowerLaw.size());
  double exponent = 0;
  const auto [end, error] = std::from_chars(distribution.data(), distribution.data() + distribution.size(), exponent);
  if (error != std::errc{} || end != distribution.data() + distribution.size() || exponent <= 0 || exponent == 1)
    return std::nullopt;
  return exponent;
}

RowMeaning moe(const MeasuredRow& row) {
  const auto format = format_of_dtype(row.text("moe_dtype"));
  if (!format) return not_modelled(row.text("moe_dtype"));
  if (row.text("kernel_source").ends_with("_nongated")) return "experts with two matrices are not modelled";
  const auto skew = skew_of(row.text("distribution"));
  if (!skew) return fmt::format("distribution {} cannot be drawn", row.text("distribution"));
  const auto whole = [&](const char* column) { return static_cast<int>(row.positive(column)); };
  const CollectorRouting routing{whole("num_tokens"), whole("num_experts"), whole("topk"), whole("moe_ep_size")};
  if (routing.experts % routing.ep != 0) return "experts that the ranks do not share evenly";
  const auto rows = balanced_batch(routing).rows;
  const double received = std::accumulate(rows.begin(), rows.end(), 0.0);
  return PlacedPoint{
      {KernelOperation::experts,
       std::string{row.text("kernel_source")},
       *format,
       {whole("hidden_size"), whole("inter_size") / whole("moe_tp_size"), routing.experts, routing.top_k}},
      {{static_cast<double>(rows.size())}, received, microseconds_of(row), *skew, routing.tokens, routing.ep}};
}

RowMeaning gemm(const MeasuredRow& row) {
  const auto format = format_of_dtype(row.text("gemm_dtype"));
  if (!format) return not_modelled(row.text("gemm_dtype"));
  constexpr double kLeastColumns = 64, kLeastDepth = 128, kMostDepth = 32768;
  if (row.positive("n") < kLeastColumns || row.positive("k") < kLeastDepth || row.positive("k") > kMostDepth)
    return "shaped like no layer (n below 64, k below 128 or above 32,768)";
  return PlacedPoint{{KernelOperation::gemm, std::string{row.text("kernel_source")}, *format, {}},
                     {{row.positive("n"), row.positive("k")}, row.positive("m"), microseconds_of(row)}};
}

/// Why a core is left out; the format of its cache in `cache`.
std::optional<std::string> refused_core(const MeasuredRow& row, const char* arithmetic, NumberFormat& cache) {
  if (row.number_or("window_size", 0) > 0) return "windows are priced by the keys in sight";
  if (row.number_or("beam_width", 1) != 1) return "beam search is not modelled";
  if (row.text(arithmetic) != "bfloat16") return "attention in fp8 arithmetic is not modelled";
  const auto format = format_of_dtype(row.text("kv_cache_dtype"));
  if (!format) return not_modelled(row.text("kv_cache_dtype"));
  cache = *format;
  return std::nullopt;
}

RowMeaning prefill_attention(const MeasuredRow& row) {
  TableKey key{KernelOperation::prefill_attention, std::string{row.text("kernel_source")}, {}, {}};
  if (auto reason = refused_core(row, "attn_dtype", key.format)) return *reason;
  if (row.number("step") != 0) return "prompts with a context are priced by the keys in sight";
  key.dimensions = {static_cast<int>(row.positive("head_dim"))};
  const double heads = row.positive("num_heads");
  return PlacedPoint{key,
                     {{heads / row.positive("num_key_value_heads"), row.positive("isl")},
                      row.positive("batch_size") * heads,
                      microseconds_of(row)}};
}

RowMeaning decode_attention(const MeasuredRow& row) {
  TableKey key{KernelOperation::decode_attention, std::string{row.text("kernel_source")}, {}, {}};
  if (auto reason = refused_core(row, "attn_dtype", key.format)) return *reason;
  key.dimensions = {static_cast<int>(row.positive("head_dim"))};
  const double kv_heads = row.positive("num_key_value_heads");
  return PlacedPoint{key,
                     {{row.positive("num_heads") / kv_heads, row.positive("isl") + row.number("step")},
                      row.positive("batch_size") * kv_heads,
                      microseconds_of(row)}};
}

RowMeaning prefill_mla(const MeasuredRow& row) {
  TableKey key{KernelOperation::prefill_mla, std::string{row.text("kernel_source")}, {}, {}};
  if (auto reason = refused_core(row, "mla_dtype", key.format)) return *reason;
  if (row.number("step") != 0) return "prompts with a context are priced by the keys in sight";
  return PlacedPoint{
      key, {{row.positive("num_heads"), row.positive("isl")}, row.positive("batch_size"), microseconds_of(row)}};
}

RowMeaning decode_mla(const MeasuredRow& row) {
  TableKey key{KernelOperation::decode_mla, std::string{row.text("kernel_source")}, {}, {}};
  if (auto reason = refused_core(row, "mla_dtype", key.format)) return *reason;
  return PlacedPoint{key,
                     {{row.positive("num_heads"), row.positive("isl") + row.number("step")},
                      row.positive("batch_size"),
                      microseconds_of(row)}};
}

RowMeaning mla_bmm(const MeasuredRow& row) {
  const auto format = format_of_dtype(row.text("bmm_dtype"));
  if (!format) return not_modelled(row.text("bmm_dtype"));
  const bool in = row.text("op_name") == "mla_gen_pre";
  if (!in && row.text("op_name") != "mla_gen_post") return fmt::format("operation {}", row.text("op_name"));
  return PlacedPoint{
      {in ? KernelOperation::mla_in : KernelOperation::mla_out, std::string{row.text("kernel_source")}, *format, {}},
      {{row.positive("num_heads")}, row.positive("num_tokens"), microseconds_of(row)}};
}

}  // namespace

const std::vector<TableKind>& aiconfigurator_tables() {
  static const std::vector<std::string> attention{
      "kernel_source", "batch_size",     "isl",  "num_heads", "num_key_value_heads", "head_dim",
      "attn_dtype",    "kv_cache_dtype", "step", "latency"};
  static const std::vector<std::string> mla{"kernel_source", "mla_dtype", "kv_cache_dtype", "num_heads",
                                            "batch_size",    "isl",       "step",           "latency"};
  static const std::vector<TableKind> kinds{
      {"moe",
       "moe_perf",
       {"kernel_source", "moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size",
        "moe_ep_size", "distribution", "latency"},
       moe},
      {"gemm", "gemm_perf", {"kernel_source", "gemm_dtype", "m", "n", "k", "latency"}, gemm},
      {"attention", "context_attention_perf", attention, prefill_attention},
      {"attention", "generation_attention_perf", attention, decode_attention},
      {"mla", "context_mla_perf", mla, prefill_mla},
      {"mla", "generation_mla_perf", mla, decode_mla},
      {"mla_bmm",
       "mla_bmm_perf",
       {"op_name", "kernel_source", "bmm_dtype", "num_tokens", "num_heads", "latency"},
       mla_bmm},
  };
  return kinds;
}

}  // namespace moesim
