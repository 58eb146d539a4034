#pragma once
// A device of known law for calibration to measure.

#include "models/kernels/calibration.hpp"
#include "tests/catch_compat.hpp"

namespace moesim::testing {

/// Every expert with rows takes 10 us and 1 us a row; nothing really runs.
class ToyBackend : public ExpertBackend {
public:
  ProfileDevice device() const override { return {DeviceKind::cpu, "toy", 1, memory, Bytes{1e6}, {}, {}}; }
  std::vector<LibraryVersion> libraries() const override { return {{"toy", "1"}}; }
  std::vector<std::string> notes() const override { return {}; }
  std::vector<KernelFormat> formats() const override { return {KernelFormat::f32, KernelFormat::bf16}; }
  BytesPerSecond measure_copy() override { return copy; }
  std::vector<FormatRate> measure_gemm(KernelFormat format) override {
    return {{format, 1.0_TFLOPps, "toy_library"}, {format, 0.5_TFLOPps, "toy_matmul"}};
  }
  Bytes memory_needed(const KernelShape& shape, std::int64_t, std::int32_t) const override {
    return static_cast<double>(shape.experts) * expert_weights(shape);
  }
  void prepare(const KernelShape& shape) override { prepared = shape; }
  KernelRun run(std::span<const std::int32_t> rows, int calls, Caches) override {
    REQUIRE(rows.size() == static_cast<std::size_t>(prepared.experts));
    Seconds time;
    for (const std::int32_t count : rows)
      if (count > 0) time += Seconds{1e-5 + 1e-6 * count};
    return {"toy_matmul", std::vector<Seconds>(static_cast<std::size_t>(calls), time)};
  }

  Bytes memory{64e9};
  BytesPerSecond copy{1.0_TBps};
  KernelShape prepared;
};

inline CalibrationRequest toy_request() {
  CalibrationRequest request;
  request.layers = {{256, 128, 16}};
  request.budget = Seconds{100};
  return request;
}

/// With what the command adds.
inline Profile dated_profile() {
  Profile profile;
  profile.provenance.measured_at = "2026-11-22T16:50:00Z";
  profile.provenance.program_version = "0.1.0";
  return profile;
}

inline CalibrationWatch silent() {
  return {[] { return false; }, [](const Profile&, const CalibrationProgress&) {}};
}

}  // namespace moesim::testing
