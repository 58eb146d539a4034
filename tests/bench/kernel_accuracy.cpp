// Error of the roofline against measured kernel tables: n, median |error|, p90 |error| and bias per group.
//
//   MOESIM_SHARED=../shared ./kernel_accuracy [h100-sxm|b200-sxm]
//
// error = predicted / measured - 1. bias is the median signed error: below zero, the roofline is too fast.

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/core.h>

#include "models/units/error.hpp"
#include "tests/bench/kernel_cases.hpp"
#include "tests/shared_data.hpp"

namespace {

using namespace moesim;
using namespace moesim::bench;

using Compare = std::function<Outcome(KernelCases&, const MeasuredRow&)>;

struct Source {
  const char* file;
  const char* what;
  Compare compare;
};

// vLLM 0.24.0 and SGLang 0.5.14 are left out: rows faster than reading the weights (data/kernels/PROVENANCE.md, trap
// 2).
const std::vector<Source>& sources() {
  static const std::vector<Source> all = [] {
    const Compare moe = [](KernelCases& cases, const MeasuredRow& row) { return cases.fused_moe(row); };
    const Compare grouped = [](KernelCases& cases, const MeasuredRow& row) { return cases.grouped_gemms(row); };
    const Compare gemm = [](KernelCases& cases, const MeasuredRow& row) { return cases.gemm(row); };
    const Compare decode = [](KernelCases& cases, const MeasuredRow& row) { return cases.decode_attention(row); };
    const Compare prefill = [](KernelCases& cases, const MeasuredRow& row) { return cases.prefill_attention(row); };
    const Compare mla_decode = [](KernelCases& cases, const MeasuredRow& row) { return cases.decode_mla(row); };
    const Compare mla_prefill = [](KernelCases& cases, const MeasuredRow& row) { return cases.prefill_mla(row); };
    return std::vector<Source>{
        {"moe/trtllm/1.3.0rc10/moe_perf", "MoE block, TensorRT-LLM 1.3.0rc10", moe},
        {"moe/vllm/0.19.0/moe_perf", "MoE block, vLLM 0.19.0 (Triton, Marlin)", moe},
        {"moe/sglang/0.5.10/moe_perf", "MoE block, SGLang 0.5.10 (Triton, Marlin)", moe},
        {"moe/sglang/0.5.10/wideep_generation_moe_perf", "grouped GEMMs, masked, SGLang 0.5.10 (DeepGEMM)", grouped},
        {"moe/sglang/0.5.10/wideep_context_moe_perf", "grouped GEMMs, contiguous, SGLang 0.5.10 (DeepGEMM)", grouped},
        {"gemm/trtllm/1.3.0rc10/gemm_perf", "GEMM, TensorRT-LLM 1.3.0rc10", gemm},
        {"gemm/vllm/0.19.0/gemm_perf", "GEMM, vLLM 0.19.0", gemm},
        {"gemm/sglang/0.5.10/gemm_perf", "GEMM, SGLang 0.5.10", gemm},
        {"attention/trtllm/1.3.0rc10/generation_attention_perf", "GQA decode, TensorRT-LLM 1.3.0rc10", decode},
        {"attention/vllm/0.19.0/generation_attention_perf", "GQA decode, vLLM 0.19.0", decode},
        {"attention/sglang/0.5.10/generation_attention_perf", "GQA decode, SGLang 0.5.10", decode},
        {"attention/trtllm/1.3.0rc10/context_attention_perf", "GQA prefill, TensorRT-LLM 1.3.0rc10", prefill},
        {"attention/vllm/0.19.0/context_attention_perf", "GQA prefill, vLLM 0.19.0", prefill},
        {"attention/sglang/0.5.10/context_attention_perf", "GQA prefill, SGLang 0.5.10", prefill},
        {"mla/trtllm/1.3.0rc10/generation_mla_perf", "MLA decode core, TensorRT-LLM 1.3.0rc10", mla_decode},
        {"mla/sglang/0.5.10/generation_mla_perf", "MLA decode core, SGLang 0.5.10", mla_decode},
        {"mla/trtllm/1.3.0rc10/context_mla_perf", "MLA prefill core, TensorRT-LLM 1.3.0rc10", mla_prefill},
        {"mla/sglang/0.5.10/context_mla_perf", "MLA prefill core, SGLang 0.5.10", mla_prefill},
    };
  }();
  return all;
}

double quantile(std::vector<double> values, double q) {
  const auto at = values.begin() + std::lround(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void print_group(const std::string& name, const std::vector<double>& errors) {
  std::vector<double> absolute(errors.size());
  std::transform(errors.begin(), errors.end(), absolute.begin(), [](double error) { return std::abs(error); });
  fmt::print("    {:<48} {:>6} {:>8.1f} {:>8.1f} {:>+8.1f}\n", name, errors.size(), 100 * quantile(absolute, 0.5),
             100 * quantile(absolute, 0.9), 100 * quantile(errors, 0.5));
}

void print_source(const std::filesystem::path& folder, const Source& source, KernelCases& cases) {
  const auto file = folder / (std::string{source.file} + ".csv.gz");
  if (!std::filesystem::exists(file)) {
    fmt::print("  {}: {} is not there\n", source.what, file.string());
    return;
  }
  MeasuredTable table{file};
  std::map<std::string, std::vector<double>> groups;
  std::map<std::string, std::size_t> left_out;
  while (table.next()) {
    const Outcome outcome = source.compare(cases, table.row());
    if (const auto* row = std::get_if<Compared>(&outcome))
      groups[row->group].push_back(row->predicted / row->measured - 1);
    else
      ++left_out[std::get<LeftOut>(outcome).reason];
  }
  fmt::print("  {}\n    {:<48} {:>6} {:>8} {:>8} {:>8}\n", source.what, "", "n", "median %", "p90 %", "bias %");
  for (const auto& [name, errors] : groups) print_group(name, errors);
  for (const auto& [reason, rows] : left_out) fmt::print("    left out: {} rows, {}\n", rows, reason);
}

/// The anchors of domain B.5, measured with SGLang 0.5.10 on an H100.
void print_anchors(KernelCases& cases) {
  const auto line = [](const std::string& name, Seconds predicted, double measured_us) {
    fmt::print("    {:<48} {:>10.1f} {:>10.1f} {:>8.2f}\n", name, predicted.value() * 1e6, measured_us,
               predicted.value() * 1e6 / measured_us);
  };
  fmt::print("  anchors (us)\n    {:<48} {:>10} {:>10} {:>8}\n", "", "roofline", "measured", "ratio");
  const ExpertShape mixtral{4096, 14336, NumberFormat::bf16}, mixtral_fp8{4096, 14336, NumberFormat::fp8_block},
      mixtral_int4{4096, 14336, NumberFormat::int4_group128}, v3{7168, 2048, NumberFormat::fp8_block};
  struct Anchor {
    const char* name;
    const ExpertShape& shape;
    std::vector<std::int32_t> rows;
    double measured_us;
  };
  for (const auto& [name, shape, rows, us] : std::vector<Anchor>{
           {"Mixtral bf16, 1 token", mixtral, {1, 1, 0, 0, 0, 0, 0, 0}, 326},
           {"Mixtral bf16, 16 tokens", mixtral, std::vector<std::int32_t>(8, 4), 1241},
           {"Mixtral bf16, 256 tokens", mixtral, std::vector<std::int32_t>(8, 64), 1469},
           {"Mixtral bf16, 4096 tokens (Triton, 23 % of peak)", mixtral, std::vector<std::int32_t>(8, 1024), 12733},
           {"Mixtral fp8_block, 16 tokens", mixtral_fp8, std::vector<std::int32_t>(8, 4), 519},
           {"Mixtral fp8_block, 4096 tokens", mixtral_fp8, std::vector<std::int32_t>(8, 1024), 4567},
           {"Mixtral int4, 16 tokens", mixtral_int4, std::vector<std::int32_t>(8, 4), 288},
           {"Mixtral int4, 4096 tokens", mixtral_int4, std::vector<std::int32_t>(8, 1024), 10982},
           {"DeepSeek-V3 fp8_block, 32 experts, 128 rows", v3, std::vector<std::int32_t>(32, 4), 530},
           {"DeepSeek-V3 fp8_block, 8 experts, 32 rows", v3, std::vector<std::int32_t>(8, 4), 151},
           {"DeepSeek-V3 fp8_block, 1 expert, 4 rows", v3, {4}, 36}})
    line(name, cases.experts(shape, rows), us);
  for (const auto& [name, sequences, keys, us] :
       {std::tuple{"MLA decode core, 128 sequences x 4096", 128.0, 4096.0, 260.0},
        {"MLA decode core, 32 x 32768", 32.0, 32768.0, 480.0}}) {
    const AttentionCore core{.kind = AttentionKind::mla,
                             .sequences = sequences,
                             .context = keys - 1,
                             .heads = 128,
                             .kv_heads = 1,
                             .head_dim = 576,
                             .absorbed = true};
    line(name,
         cases.times().time(
             {"core", OpClass::attention_core, Flops{sequences * keys * 278528}, Bytes{sequences * keys * 1152}, core}),
         us);
  }
}

}  // namespace

int main(int count, char** arguments) try {
  const auto root = moesim::testing::shared_folder() / "data/kernels";
  for (const auto& [gpu, folder] : {std::pair{"h100-sxm", "h100_sxm"}, std::pair{"b200-sxm", "b200_sxm"}}) {
    if (count > 1 && arguments[1] != std::string_view{gpu}) continue;
    KernelCases cases{find_gpu(gpu, "kernel_accuracy")};
    fmt::print("{}\n", gpu);
    if (folder == std::string_view{"h100_sxm"}) print_anchors(cases);
    for (const Source& source : sources()) print_source(root / folder, source, cases);
  }
  return 0;
} catch (const moesim::InputError& error) {
  fmt::print(stderr, "kernel_accuracy: {}\n", error.what());
  return 2;
}
