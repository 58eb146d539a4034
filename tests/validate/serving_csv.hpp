#pragma once
// End-to-end rows for tests, under the header that measured files have.

#include <string>
#include <vector>

namespace moesim::testing {

struct ServingCsvRow {
  std::string flags{}, concurrency = "16", model = "nvidia/Llama-3.1-8B-Instruct-FP8", system = "h100_sxm";
  std::string mode = "agg", linear = "fp8", batch{}, tp = "1", moe_tp = "1", moe_ep = "1", tpot = "10";
};

inline std::string serving_csv(const std::vector<ServingCsvRow>& rows) {
  std::string text =
      "flags,concurrency,measured,id,backend,backend_version,model_path,system,precision,mode,isl,osl,gemm_quant_mode,"
      "moe_quant_mode,batch_size,tp_size,pp_size,attention_dp_size,moe_tp_size,moe_ep_size,prefill_batch_size,"
      "prefill_num_workers,prefill_tp_size,prefill_pp_size,prefill_attention_dp_size,prefill_moe_tp_size,"
      "prefill_moe_ep_size,decode_batch_size,decode_num_workers,decode_tp_size,decode_pp_size,"
      "decode_attention_dp_size,decode_moe_tp_size,decode_moe_ep_size,silicon_ttft_ms,silicon_tpot_ms\n";
  for (const ServingCsvRow& row : rows)
    text += row.flags + "," + row.concurrency + ",2026-01-01,x,vllm,0.1," + row.model + "," + row.system + ",fp8," +
            row.mode + ",1000,500," + row.linear + ",fp8," + row.batch + "," + row.tp + ",1,," + row.moe_tp + "," +
            row.moe_ep + ",,,,,,,,,,,,,,,100," + row.tpot + "\n";
  return text;
}

}  // namespace moesim::testing
