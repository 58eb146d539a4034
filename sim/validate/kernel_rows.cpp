// Single kernels.

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "models/hardware/gpu.hpp"
#include "sim/validate/measured_file.hpp"

namespace moesim {
namespace {

/// The number right behind `key` in "E=256 topk8 K=7168"; 0: none.
int value_of(const std::string& shape, std::string_view key) {
  const std::size_t at = shape.find(key);
  if (at == std::string::npos) return 0;
  int value = 0;
  std::from_chars(shape.data() + at + key.size(), shape.data() + shape.size(), value);
  return value;
}

/// Widths from the zoo where the row names a model of it, else from the shape itself; a shape's own figures win.
std::string read_shape(const CaseRow& row, RowExperts& layer) {
  const std::string shape = row.text("model_shape");
  const int tp = row.count("tp");
  if (const auto model = zoo_model(shape.substr(0, shape.find(' ')))) {
    const Architecture architecture = load_architecture(*model);
    if (!architecture.moe) return fmt::format("{} has no experts", *model);
    layer.hidden = architecture.hidden;
    layer.expert_hidden = architecture.moe->expert_hidden;
    layer.experts = architecture.moe->experts;
    layer.top_k = architecture.moe->top_k;
  }
  const auto own = [&](std::string_view key, int& value) {
    if (const int given = value_of(shape, key)) value = given;
  };
  own("E=", layer.experts);
  own(" K=", layer.hidden);
  own(" N=", layer.expert_hidden);
  own("topk", layer.top_k);
  if (layer.hidden < 1 || layer.expert_hidden < tp || layer.experts < 1 || layer.top_k < 1 ||
      layer.top_k > layer.experts)
    return fmt::format("shape '{}' is not understood", shape);
  layer.expert_hidden /= tp;
  return {};
}

/// vLLM's fp8_w8a8: blocks for DeepSeek's shapes and DeepGEMM, which has no other kernels.
std::optional<NumberFormat> expert_format(const std::string& precision, const std::string& kernel,
                                          const std::string& shape) {
  if (precision == "bf16") return NumberFormat::bf16;
  if (precision != "fp8_w8a8") return std::nullopt;
  return kernel == "deepgemm" || shape.starts_with("DeepSeek") ? NumberFormat::fp8_block : NumberFormat::fp8;
}

}  // namespace

void map_gemm_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  const std::string kind = row.text("kind"), precision = row.text("precision");
  MatrixProduct product{.m = row.positive("m_per_group"),
                        .n = row.positive("n"),
                        .k = row.positive("k"),
                        .groups = row.positive("groups"),
                        .format = NumberFormat::fp8_block};
  MeasuredCase one;
  one.group = fmt::format("DeepGEMM {}, {}", kind, row.text("gpu"));
  one.what = fmt::format("{:.0f} x m {:.0f}, n {:.0f}, k {:.0f} ({})", product.groups, product.m, product.n, product.k,
                         row.text("version"));
  one.quantity = "rate";
  one.unit = "TFLOP/s";
  one.measured = row.positive("tflops_reported");
  one.reading = {2 * product.groups * product.m * product.n * product.k * 1e-12, true};
  if (const auto gpu = catalogue_gpu(row.text("gpu")))
    product.gpu = *gpu;
  else
    one.reason = fmt::format("GPU {} is not in the catalogue", row.text("gpu"));
  if (!precision.starts_with("fp8 (1x128 / 128x128 scales)"))
    one.reason = fmt::format("precision '{}' is not known", precision);
  if (kind != "dense" && kind != "grouped_contiguous") one.reason = fmt::format("kind {} is not modelled", kind);
  if (one.reason.empty()) one.question = product;
  cases.push_back(std::move(one));
}

void map_expert_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  RowExperts layer{.tokens = row.count("tokens")};
  const std::string precision = row.text("precision"), kernel = row.text("kernel"), shape = row.text("model_shape");
  MeasuredCase one;
  one.group =
      fmt::format("{}, {}, {}, tp{}", shape.substr(0, shape.find(' ')), row.text("gpu"), kernel, row.count("tp"));
  one.what = fmt::format("{} tokens", layer.tokens);
  one.quantity = "time";
  one.unit = std::string{"us"};
  one.measured = row.positive("time_us");
  one.reading = {1e6, false};
  one.reason = read_shape(row, layer);
  if (const auto format = expert_format(precision, kernel, shape))
    layer.format = *format;
  else
    one.reason = fmt::format("precision '{}' is not known", precision);
  if (const auto gpu = catalogue_gpu(row.text("gpu")))
    layer.gpu = *gpu;
  else
    one.reason = fmt::format("GPU {} is not in the catalogue", row.text("gpu"));
  if (one.reason.empty()) one.question = layer;
  cases.push_back(std::move(one));
}

}  // namespace moesim
