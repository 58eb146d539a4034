#pragma once
// A small profile with every kind of value in it.

#include "models/kernels/profile.hpp"

namespace moesim::testing {

inline ProfilePoint profile_point(std::vector<std::int32_t> rows, Seconds median) {
  ProfilePoint point;
  point.kernel = "toy_matmul";
  point.shape = {64, 32, static_cast<int>(rows.size()), KernelFormat::f32};
  point.histogram = {HistogramKind::uniform, 0, std::move(rows)};
  point.repetitions = 9;
  point.median = median;
  point.p10 = 0.9 * median;
  point.p90 = 1.1 * median;
  return point;
}

inline Profile small_profile() {
  Profile profile;
  profile.planned = 4;
  profile.device = {DeviceKind::cpu,
                    "toy \"CPU\"",
                    2,
                    Bytes{24e9},
                    Bytes{32e6},
                    20.0_GBps,
                    {{KernelFormat::f32, FlopsPerSecond{1e11}, "toy_matmul"},
                     {KernelFormat::bf16, FlopsPerSecond{2e11}, "toy_matmul"}}};
  profile.provenance = {"2026-11-22T16:50:00Z", "0.1.0", {{"onednn", "2.6.3"}}, {"governor unknown"}, 7, 20.0_s};
  profile.points = {profile_point({8, 8}, 1.25_ms), profile_point({16, 0}, Seconds{1.0 / 3000})};
  profile.points[1].histogram.kind = HistogramKind::zipf;
  profile.points[1].histogram.exponent = 0.6;
  profile.points[1].warm = 0.2_ms;
  profile.points[1].held_out = profile.points[1].unstable = true;
  profile.hold_out = {{"all", 1, 0.031, 0.04, 0.2, 0.5}, {"zipf", 1, 0.031, 0.04, 0.2, 0.5}};
  profile.drift = Drift{2, 0.012};
  profile.operations = {{"gqa_decode",
                         "toy_attention",
                         KernelFormat::bf16,
                         {{"batch", 32}, {"length", 4096}},
                         Bytes{5e8},
                         Flops{1e9},
                         9,
                         0.5_ms,
                         0.4_ms,
                         0.6_ms,
                         true}};
  return profile;
}

}  // namespace moesim::testing
