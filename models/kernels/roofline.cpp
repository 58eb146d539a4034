#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/kernels/expert_roofline.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Share of the bf16 peak that attention cores reach. DeepSeek's profile of V3 training on H800 shows causal
/// FlashAttention-3 forward at 4,096 tokens with 551 of 989.5 TFLOP/s (repository deepseek-ai/profile-data,
/// train.json). Not from the tables the roofline is benched against.
constexpr double kAttentionEfficiency = 551.0 / 989.5;

// Query rows that one thread block holds: 128 in FlashAttention-3 prefill; decode packs the query heads that share a KV
// head into one 64-row tensor-core tile.
constexpr double kPrefillRows = 128;
constexpr double kDecodeRows = 64;

double padded_to(double rows, double tile) {
  return std::ceil(rows / tile) * tile;
}

void require(bool holds, const Gpu& gpu, std::string_view field, double found, std::string_view expected) {
  if (!holds)
    throw InputError{fmt::format("gpu {}.{}", gpu.name, field), fmt::format("{}", found), std::string{expected}};
}

const Gpu& checked(const Gpu& gpu) {
  const auto positive = [&](std::string_view field, double value) {
    require(value > 0 && std::isfinite(value), gpu, field, value, "a value above 0");
  };
  const auto share = [&](std::string_view field, double value) {
    require(value > 0 && value <= 1, gpu, field, value, "a share in (0, 1]");
  };
  positive("memory_bandwidth", gpu.memory_bandwidth.value());
  positive("bf16", gpu.bf16.value());
  positive("sms", gpu.sms);
  share("memory_efficiency", gpu.memory_efficiency);
  share("compute_efficiency", gpu.compute_efficiency);
  const double launch = gpu.kernel_launch.value();
  require(launch >= 0 && std::isfinite(launch), gpu, "kernel_launch", launch, "a value of 0 or more");
  return gpu;
}

class Roofline final : public KernelTimes {
public:
  explicit Roofline(const Gpu& gpu)
      : memory_(gpu.memory_efficiency * checked(gpu).memory_bandwidth),
        attention_(kAttentionEfficiency * gpu.bf16),
        products_(gpu.compute_efficiency * gpu.bf16),
        launch_(gpu.kernel_launch),
        sms_(gpu.sms),
        narrow_(gpu.compute_efficiency * std::max(gpu.bf16, gpu.fp8)) {}

  KernelSource source() const override { return KernelSource::roofline; }

  Seconds time(const Op& op) const override {
    if (op.flops <= Flops{0} && op.bytes <= Bytes{0}) return Seconds{0};
    const Seconds compute = std::visit([&](const auto& shape) { return compute_time(op, shape); }, op.shape);
    return launch_ + std::max(compute, op.bytes / memory_);
  }

  std::unique_ptr<ExpertTimes> experts(const ExpertShape& shape) const override {
    return std::make_unique<ExpertRoofline>(shape, waves_of(shape.format), memory_, launch_);
  }

private:
  /// Eight-bit weights run at the fp8 rate where the GPU has one; narrower ones are weight-only and multiply in bf16.
  TileWaves waves_of(NumberFormat weights) const {
    const bool narrow = bits_per_vector_element(activation_format(weights)) < 16;
    return {narrow ? narrow_ : products_, sms_, narrow ? 1 : bits_per_element(weights) / 16};
  }

  /// Norms, top-k, permutes: their few FLOPs run on the vector units behind the bytes. What a user adds are products of
  /// unknown shape, so whole tiles.
  Seconds compute_time(const Op& op, const Streaming&) const {
    return op.kind == OpClass::extra ? op.flops / products_ : Seconds{0};
  }

  /// op.flops may hold several equal products (the per-head products of absorbed MLA): 2mnk times a batch.
  Seconds compute_time(const Op& op, const Gemm& gemm) const {
    const double one = 2 * gemm.m * gemm.n * gemm.k;
    if (one <= 0) return Seconds{0};
    return waves_of(gemm.weights).best_dense(gemm.m, gemm.n, gemm.k, op.flops.value() / one, memory_);
  }

  Seconds compute_time(const Op& op, const AttentionCore& core) const {
    return core.phase == Phase::prefill ? prefill_time(op, core) : decode_time(op, core);
  }

  /// Blocks of 128 query rows per head. The last block of a sequence attends to all of it and is not split, so a chunk
  /// with fewer blocks than SMs waits for that one.
  Seconds prefill_time(const Op& op, const AttentionCore& core) const {
    const double pairs = core.new_tokens * (core.context + (core.new_tokens + 1) / 2);  // causal, per sequence and head
    const double queries = core.sequences * core.heads;
    if (pairs <= 0 || queries <= 0) return Seconds{0};
    const double padding = padded_to(core.new_tokens, kPrefillRows) / core.new_tokens;
    const Flops longest = op.flops / (queries * pairs) * kPrefillRows * (core.context + core.new_tokens);
    return std::max(op.flops * padding, longest * static_cast<double>(sms_)) / attention_;
  }

  /// Split along the KV cache (flash decoding), so SMs are never short of blocks; rows are padded to the tile.
  Seconds decode_time(const Op& op, const AttentionCore& core) const {
    const double kv_heads = core.absorbed ? 1 : std::max(1.0, core.kv_heads);
    const double rows = core.new_tokens * core.heads / kv_heads;
    if (rows <= 0) return Seconds{0};
    return op.flops * (padded_to(rows, kDecodeRows) / rows) / attention_;
  }

  BytesPerSecond memory_;
  FlopsPerSecond attention_, products_;
  Seconds launch_;
  int sms_;
  FlopsPerSecond narrow_;
};

}  // namespace

std::unique_ptr<KernelTimes> make_roofline(const Gpu& gpu) {
  return std::make_unique<Roofline>(gpu);
}

}  // namespace moesim
