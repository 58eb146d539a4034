#include "models/kernels/published/aiconfigurator_collectives.hpp"

#include <fmt/format.h>

namespace moesim {
namespace {

constexpr int kGpusPerNode = 8;  ///< of the machines that DeepEP was measured on

int whole(const MeasuredRow& row, const char* column) {
  return static_cast<int>(row.positive(column));
}

PlacedPoint of_message(KernelOperation operation, const MeasuredRow& row, double bytes) {
  return {{operation, std::string{row.text("kernel_source")}, NumberFormat::bf16, {whole(row, "num_gpus")}},
          {{}, bytes, row.positive("latency") * 1e3}};
}

/// Copies cost the same whatever the format; sums do not, and only 16-bit ones are asked for.
CollectiveRowMeaning nccl(const MeasuredRow& row) {
  const std::string_view name = row.text("op_name"), dtype = row.text("nccl_dtype");
  const bool half = dtype == "half" || dtype == "bfloat16";
  if (!half && dtype != "int8") return not_modelled(dtype);
  const double bytes = row.positive("message_size") * (half ? 2 : 1);  // the column counts elements
  const auto one = [&](KernelOperation operation) { return std::vector{of_message(operation, row, bytes)}; };
  if (name == "all_gather") return one(KernelOperation::all_gather);
  if (name == "alltoall") return one(KernelOperation::all_to_all);
  if (!half) return "sums of int8 are not modelled";
  if (name == "all_reduce") return one(KernelOperation::all_reduce);
  if (name == "reduce_scatter") return one(KernelOperation::reduce_scatter);
  return fmt::format("operation {}", name);
}

CollectiveRowMeaning custom_all_reduce(const MeasuredRow& row) {
  if (row.text("allreduce_dtype") != "bfloat16") return not_modelled(row.text("allreduce_dtype"));
  if (row.text("kernel_source").ends_with("_eager")) return "launched one by one, not from a CUDA graph";
  constexpr double kBytesPerElement = 2;
  return std::vector{of_message(KernelOperation::all_reduce, row, row.positive("message_size") * kBytesPerElement)};
}

/// `sms` empty: a kernel that takes as many as it likes.
PlacedPoint of_tokens(KernelOperation operation, const MeasuredRow& row, std::vector<double> sms, double microseconds) {
  const bool out = operation == KernelOperation::dispatch_low_latency || operation == KernelOperation::dispatch_normal;
  return {{operation,
           std::string{row.text("kernel_source")},
           out ? NumberFormat::fp8_block : NumberFormat::bf16,
           {kGpusPerNode * whole(row, "node_num"), whole(row, "hidden_size"), whole(row, "num_experts"),
            whole(row, "num_topk")}},
          {std::move(sms), row.positive("num_token"), microseconds}};
}

CollectiveRowMeaning low_latency(const MeasuredRow& row) {
  return std::vector{of_tokens(KernelOperation::dispatch_low_latency, row, {}, row.positive("dispatch_avg_t_us")),
                     of_tokens(KernelOperation::combine_low_latency, row, {}, row.positive("combine_avg_t_us"))};
}

CollectiveRowMeaning normal(const MeasuredRow& row) {
  return std::vector{of_tokens(KernelOperation::dispatch_normal, row, {row.positive("dispatch_sms")},
                               row.positive("dispatch_transmit_us") + row.number("dispatch_notify_us")),
                     of_tokens(KernelOperation::combine_normal, row, {row.positive("combine_sms")},
                               row.positive("combine_transmit_us") + row.number("combine_notify_us"))};
}

}  // namespace

CollectiveTableKind nccl_table() {
  return {"nccl_perf", {"kernel_source", "op_name", "nccl_dtype", "num_gpus", "message_size", "latency"}, nccl};
}

CollectiveTableKind custom_all_reduce_table() {
  return {"custom_allreduce_perf",
          {"kernel_source", "allreduce_dtype", "num_gpus", "message_size", "latency"},
          custom_all_reduce};
}

std::vector<CollectiveTableKind> deepep_tables() {
  return {{"wideep_deepep_ll_perf",
           {"kernel_source", "node_num", "hidden_size", "num_token", "num_topk", "num_experts", "dispatch_avg_t_us",
            "combine_avg_t_us"},
           low_latency},
          {"wideep_deepep_normal_perf",
           {"kernel_source", "node_num", "hidden_size", "num_token", "num_topk", "num_experts", "dispatch_sms",
            "dispatch_transmit_us", "dispatch_notify_us", "combine_sms", "combine_transmit_us", "combine_notify_us"},
           normal}};
}

}  // namespace moesim
