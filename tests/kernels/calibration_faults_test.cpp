// Calibration where something goes wrong on the device, and on a device that has more than expert kernels.

#include <algorithm>
#include <new>
#include <set>

#include "models/kernels/calibration.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/toy_backend.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

/// Has no memory for ranks of more than `most` experts, whatever it said before.
class SmallBackend final : public ToyBackend {
public:
  explicit SmallBackend(int most) : most_{most} {}
  void prepare(const KernelShape& shape) override {
    if (shape.experts > most_) throw std::bad_alloc{};
    ToyBackend::prepare(shape);
  }

private:
  int most_;
};

/// The first time that every expert has 8 rows, something else runs for a while.
class DisturbedBackend final : public ToyBackend {
public:
  KernelRun run(std::span<const std::int32_t> rows, int calls, Caches caches) override {
    KernelRun result = ToyBackend::run(rows, calls, caches);
    if (prepared.format != KernelFormat::f32 || prepared.experts != 8) return result;
    if (std::any_of(rows.begin(), rows.end(), [](std::int32_t count) { return count != 8; })) return result;
    if (caches == Caches::cold && (seen_ += calls) <= kDisturbed)
      for (Seconds& time : result.times) time = 100 * time;
    return result;
  }

private:
  static constexpr int kDisturbed = 31;  // a call to warm up and 30 that count
  int seen_ = 0;
};

/// Attention at three lengths, 1 us a key.
class AttentionBackend final : public ToyBackend {
public:
  DeviceKind kind = DeviceKind::cpu;

  ProfileDevice device() const override {
    ProfileDevice device = ToyBackend::device();
    device.kind = kind;
    return device;
  }
  std::vector<OperationPoint> operations() const override {
    std::vector<OperationPoint> points;
    for (const std::int64_t length : {10, 20, 40})
      points.push_back({"gqa_decode",
                        "toy_attention",
                        KernelFormat::bf16,
                        {{"length", length}},
                        Bytes{1e6},
                        Flops{1e6},
                        0,
                        {},
                        {},
                        {},
                        false});
    return points;
  }
  std::vector<Seconds> run_operation(std::size_t index, int calls) override {
    if (index == 1) throw std::bad_alloc{};
    return std::vector<Seconds>(static_cast<std::size_t>(calls), Seconds{1e-5 * static_cast<double>(1 << index)});
  }
  std::vector<std::string> closing_notes() override { return {"clock 1 MHz"}; }
};

bool mentions(const Profile& profile, const std::string& text) {
  const auto& notes = profile.provenance.notes;
  return std::any_of(notes.begin(), notes.end(),
                     [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("Points that find no memory are left out and the others measured", "[kernels]") {
  SmallBackend backend{4};
  Profile profile = dated_profile();
  calibrate(backend, toy_request(), silent(), profile);
  CHECK_FALSE(profile.complete);
  CHECK(profile.points.size() > 20);
  for (const ProfilePoint& point : profile.points) CHECK(point.shape.experts <= 4);
  const auto missing = static_cast<std::size_t>(profile.planned) - profile.points.size();
  CHECK(mentions(profile, std::to_string(missing) + " points left out: the device was out of memory"));
  CHECK(parse_profile(profile_text(profile), "p.json") == profile);

  SmallBackend nothing{0};
  Profile empty;
  REQUIRE_THROWS_WITH(calibrate(nothing, toy_request(), silent(), empty),
                      "the device was out of memory before the first point was measured");
}

TEST_CASE("A point that is slower than one with more rows is measured again", "[kernels]") {
  DisturbedBackend backend;
  Profile profile = dated_profile();
  calibrate(backend, toy_request(), silent(), profile);
  const auto point = std::find_if(profile.points.begin(), profile.points.end(), [](const ProfilePoint& p) {
    return p.shape.format == KernelFormat::f32 && p.histogram.rows == std::vector<std::int32_t>(8, 8);
  });
  REQUIRE(point != profile.points.end());
  CHECK(point->median.value() == Approx(144e-6));  // 8 (10 + 8) us, not 14.4 ms
}

TEST_CASE("Other operations of a device are points of their own", "[kernels]") {
  AttentionBackend backend;
  Profile profile = dated_profile();
  calibrate(backend, toy_request(), silent(), profile);
  REQUIRE(profile.operations.size() == 2);
  CHECK(profile.operations[0].median.value() == Approx(1e-5));
  CHECK(profile.operations[1].sizes.at("length") == 40);
  CHECK(profile.operations[1].median.value() == Approx(4e-5));
  CHECK(profile.operations[1].repetitions == 30);
  CHECK(static_cast<std::size_t>(profile.planned) == profile.points.size() + 3);
  CHECK_FALSE(profile.complete);
  CHECK(mentions(profile, "1 points left out: the device was out of memory"));
  CHECK(mentions(profile, "clock 1 MHz"));
  CHECK(parse_profile(profile_text(profile), "p.json") == profile);
}

TEST_CASE("A GPU gets a wide plan", "[kernels]") {
  AttentionBackend backend;
  Profile narrow = dated_profile(), wide = dated_profile();
  calibrate(backend, toy_request(), silent(), narrow);
  backend.kind = DeviceKind::cuda;
  calibrate(backend, toy_request(), silent(), wide);
  CHECK(wide.points.size() > 2 * narrow.points.size());
  std::set<std::int32_t> rows;
  for (const ProfilePoint& point : wide.points)
    if (point.histogram.kind == HistogramKind::uniform && !point.held_out) rows.insert(point.histogram.rows.front());
  for (const std::int32_t past_a_tile : {17, 33, 65, 129}) CHECK(rows.count(past_a_tile) == 1);
  CHECK(*rows.rbegin() == 2048);
}

TEST_CASE("Every product rate is in the profile in the order of the backend", "[kernels]") {
  ToyBackend backend;
  Profile profile = dated_profile();
  calibrate(backend, toy_request(), silent(), profile);
  REQUIRE(profile.device.gemm.size() == 4);
  CHECK(profile.device.gemm[0].kernel == "toy_library");
  CHECK(profile.device.gemm[1].kernel == "toy_matmul");
}
