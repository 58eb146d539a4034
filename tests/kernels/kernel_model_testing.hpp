#pragma once
// A small kernel model with every kind of value in it.

#include <string>

#include "models/kernels/published/kernel_model.hpp"
#include "tests/catch_compat.hpp"

namespace moesim::testing {

/// The text with its first `from`, which is there, replaced.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

inline KernelModel small_kernel_model() {
  KernelModel model;
  model.name = "toy";
  model.gpu = "h100-sxm";
  model.device = "Toy \"GPU\"";
  model.origin = {KernelSource::published, "someone", "abc", "2026-01-02", "Apache-2.0", {"a note"}};
  EngineModel engine{"toyrt", "1.0", {}, {}};
  engine.tables.push_back({KernelOperation::experts,
                           "toy_moe",
                           NumberFormat::fp8_block,
                           {4096, 1536, 128, 8},
                           {{{16}, {8, 16, 128}, {30.5, 41.25, 99}}, {{128}, {8, 1024}, {60, 1200}}},
                           Seconds{0},
                           {32, {0, 0.25, 1, 0.75, 0.5, 0}},
                           6});
  engine.tables.push_back({KernelOperation::gemm,
                           "toy_gemm",
                           NumberFormat::bf16,
                           {},
                           {{{256, 256}, {1, 64}, {3, 9}}, {{512, 256}, {1, 64}, {4, 12}}}});
  engine.tables.push_back(
      {KernelOperation::decode_attention, "toy_attention", NumberFormat::fp8, {128}, {{{8, 1024}, {1, 8}, {12, 14}}}});
  engine.errors.push_back({KernelOperation::experts, "balanced", 17, 0.01, 0.08, 0.02, -0.003, "roofline", 0.2, 0.6});
  model.engines.push_back(engine);
  EngineModel library{"nccl", "9.9", {}, {}};
  library.tables.push_back(
      {KernelOperation::all_reduce, "NCCL", NumberFormat::bf16, {4}, {{{}, {1024, 1048576}, {10, 50}}}});
  library.tables.push_back({KernelOperation::dispatch_normal,
                            "deepep",
                            NumberFormat::fp8_block,
                            {8, 7168, 256, 8},
                            {{{20}, {1, 4096}, {30, 500}}, {{24}, {1, 4096}, {30, 490}}}});
  library.errors.push_back(
      {KernelOperation::all_reduce, "4 ranks", 19, 0.02, 0.09, 0.05, 0.001, "latency and bandwidth", 0.1, 0.2});
  model.collectives.push_back(library);
  return model;
}

}  // namespace moesim::testing
