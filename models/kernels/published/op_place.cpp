#include "models/kernels/published/op_place.hpp"

namespace moesim {

NumberFormat timed_as(NumberFormat format) {
  return format == NumberFormat::fp16 ? NumberFormat::bf16 : format;
}

OpPlace place_of(const Op& op, const AttentionCore& core) {
  OpPlace place;
  const bool prefill = core.phase == Phase::prefill, mla = core.kind == AttentionKind::mla;
  place.format = timed_as(core.kv);
  if (prefill) {
    const double flops_per_pair = mla ? 2 * (core.head_dim + 128) : 4 * core.head_dim;
    const double pairs = core.sequences * core.heads * core.new_tokens * (core.new_tokens + 1) / 2;
    place.operation = mla ? KernelOperation::prefill_mla : KernelOperation::prefill_attention;
    place.size = mla ? core.sequences : core.sequences * core.heads;
    place.share_of_pairs = op.flops.value() / (flops_per_pair * pairs);
    place.at = {mla ? core.heads : core.heads / core.kv_heads, core.new_tokens};
  } else {
    const double keys = core.context + core.new_tokens;
    place.operation = mla ? KernelOperation::decode_mla : KernelOperation::decode_attention;
    place.at = {mla ? core.heads : core.heads / core.kv_heads, keys};
    place.size = core.sequences * core.new_tokens * (mla ? 1 : core.kv_heads);
  }
  place.axes = 2;
  if (!mla) place.head_dim = static_cast<int>(core.head_dim);
  return place;
}

OpPlace place_of(const Op& op, const Gemm& gemm) {
  OpPlace place{KernelOperation::gemm, timed_as(gemm.weights), {}, {gemm.n, gemm.k}, 2, gemm.m, 1};
  const bool in = op.name == "absorb q" && gemm.k == 128, out = op.name == "absorb v" && gemm.k == 512;
  if (!in && !out) return place;
  place.operation = in ? KernelOperation::mla_in : KernelOperation::mla_out;
  place.at = {gemm.n / (in ? 512 : 128), 0};
  place.axes = 1;
  return place;
}

}  // namespace moesim
