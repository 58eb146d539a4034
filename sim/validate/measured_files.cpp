// The kinds of measured files. Their columns are those of published tables, as they stand.

#include "sim/validate/measured_file.hpp"

namespace moesim {
namespace {

const std::vector<std::string_view> kServingColumns{"flags",
                                                    "concurrency",
                                                    "measured",
                                                    "id",
                                                    "backend",
                                                    "backend_version",
                                                    "model_path",
                                                    "system",
                                                    "precision",
                                                    "mode",
                                                    "isl",
                                                    "osl",
                                                    "gemm_quant_mode",
                                                    "moe_quant_mode",
                                                    "batch_size",
                                                    "tp_size",
                                                    "pp_size",
                                                    "attention_dp_size",
                                                    "moe_tp_size",
                                                    "moe_ep_size",
                                                    "prefill_batch_size",
                                                    "prefill_num_workers",
                                                    "prefill_tp_size",
                                                    "prefill_pp_size",
                                                    "prefill_attention_dp_size",
                                                    "prefill_moe_tp_size",
                                                    "prefill_moe_ep_size",
                                                    "decode_batch_size",
                                                    "decode_num_workers",
                                                    "decode_tp_size",
                                                    "decode_pp_size",
                                                    "decode_attention_dp_size",
                                                    "decode_moe_tp_size",
                                                    "decode_moe_ep_size",
                                                    "silicon_ttft_ms",
                                                    "silicon_tpot_ms"};

}  // namespace

std::span<const MeasuredFile> measured_files() {
  static const std::vector<MeasuredFile> files{
      {"aws_ep_backends.csv", {"hardware", "ranks", "backend", "mode", "metric", "value", "source"}, map_efa_row},
      {"deepep_low_latency.csv",
       {"version", "gpu", "nic", "ep", "tokens_per_rank", "hidden", "topk", "precision", "dispatch_us", "dispatch_GBps",
        "combine_us", "combine_GBps", "source"},
       map_low_latency_row},
      {"deepep_normal.csv",
       {"version", "gpu", "nic", "ep", "tokens_per_rank", "hidden", "topk", "topk_groups", "precision", "dispatch_GBps",
        "combine_GBps", "bottleneck_link", "source"},
       map_normal_exchange_row},
      {"deepgemm.csv",
       {"version", "gpu", "precision", "toolchain", "kind", "groups", "m_per_group", "n", "k", "tflops_reported",
        "mem_GBps_reported", "speedup_vs_cutlass", "time_us_derived_from_tflops", "source"},
       map_gemm_row},
      {"deepseek_train_trace_kernels.csv",
       {"kernel", "stream", "count", "total_us", "mean_us", "min_us", "median_us", "max_us"},
       map_training_kernel_row},
      {"flashmla.csv", {"date", "gpu", "toolchain", "kernel", "regime", "value", "unit", "source"}, map_attention_row},
      {"fused_moe_microbench.csv",
       {"gpu", "model_shape", "tp", "tokens", "precision", "kernel", "time_us", "source"},
       map_expert_row},
      {"nccl_intranode_derived.csv",
       {"system", "nccl_version", "op", "gpus", "bytes", "time_us_measured", "algbw_GBps_derived",
        "busbw_GBps_derived"},
       map_nccl_row},
      {"routing_skew.csv",
       {"model", "hardware", "workload", "case", "m1_name", "m1", "m2_name", "m2", "m3_name", "m3", "m4_name", "m4",
        "source"},
       map_skew_row},
      {"serving_large_scale_ep.csv",
       {"id", "system", "model", "gpu", "nodes", "layout", "precision", "phase", "isl", "batch_per_gpu", "options",
        "metric", "value", "source"},
       map_large_scale_row},
      {"silicon_e2e_dense_control.csv", kServingColumns, map_serving_row},
      {"silicon_e2e_open.csv", kServingColumns, map_serving_row},
      {"trtllm_alltoall_gb200.csv",
       {"gpu", "kernel", "ep", "batch_per_rank", "hidden", "topk", "experts", "dispatch_precision", "dispatch_us",
        "dispatch_GBps_logical", "combine_us", "combine_GBps_logical", "source"},
       map_one_sided_row},
      {"trtllm_perf_overview.csv",
       {"model", "gpu", "layout", "precision", "isl", "osl", "value", "unit", "source"},
       map_throughput_row}};
  return files;
}

}  // namespace moesim
