// A device behind a worker program: what it measures, and every way in which the worker fails.

#include <chrono>
#include <cmath>

#include "models/kernels/calibration.hpp"
#include "models/kernels/worker/worker_backend.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/toy_backend.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

const std::string kWorker = MOESIM_FAKE_WORKER_BINARY;

std::unique_ptr<ExpertBackend> worker(const std::string& fault = "honest", Seconds patience = Seconds{20}) {
  return make_worker_backend({kWorker, fault}, patience);
}

/// Calibrates until the worker fails; what it then says.
std::string failure(const std::string& fault, Profile& profile, Seconds patience = Seconds{20}) {
  try {
    calibrate(*worker(fault, patience), toy_request(), silent(), profile);
  } catch (const RunError& error) {
    return error.what();
  }
  return "no failure";
}

}  // namespace

TEST_CASE("A device behind a worker is calibrated as any other", "[kernels]") {
  const auto backend = worker();
  Profile profile = dated_profile();
  calibrate(*backend, toy_request(), silent(), profile);
  CHECK(profile.complete);
  CHECK(profile.device.kind == DeviceKind::cuda);
  CHECK(profile.device.name == "Toy GPU");
  CHECK(profile.device.copy.value() == 1e12);
  CHECK(profile.device.gemm.back().kernel == "toy_mma");
  CHECK(profile.hold_out.front().p90 < 1e-9);  // its experts add up
  REQUIRE(profile.operations.size() == 1);
  CHECK(profile.operations[0].median.value() == Approx(2e-6));
  CHECK(profile.provenance.libraries.front().name == "toy driver");
  CHECK(profile.provenance.notes.back() == "the toy stayed cool");
  for (const ProfilePoint& point : profile.points) CHECK(point.kernel == "toy_mma");
  CHECK(parse_profile(profile_text(profile), "p.json") == profile);
}

TEST_CASE("A worker without a device is a missing backend", "[kernels]") {
  REQUIRE_THROWS_WITH(worker("no_device"), "no CUDA device: the toy is not plugged in");
  CHECK_THROWS_AS(worker("no_device"), BackendMissing);
}

TEST_CASE("A worker that cannot be started or speaks another protocol is refused", "[kernels]") {
  REQUIRE_THROWS_WITH(make_worker_backend({"/nowhere/worker"}),
                      "/nowhere/worker ended with status 127: cannot be started: No such file or directory");
  CHECK_THROWS_WITH(worker("protocol"), Contains("answered 'start'") && Contains("protocol 7, expected 1"));
  CHECK_THROWS_WITH(make_worker_backend({"echo", "hello"}), Contains("echo answered 'start' with 'hello': "));
  CHECK_THROWS_WITH(make_worker_backend({"true"}), "true ended with status 0");
}

TEST_CASE("When a worker fails what was measured is a valid profile", "[kernels]") {
  const auto [fault, message] =
      GENERATE(table<std::string, std::string>({{"dies", "died of signal 9"},
                                                {"ends", "ended with status 3: the device fell off the bus"},
                                                {"rubbish", "answered 'run' with '\"4 8 15 16 23 42\"': "},
                                                {"negative", "-1, which is no positive number"},
                                                {"error", "kernels: an illegal memory access was encountered"},
                                                {"endless", " bytes without the end of a line"}}));
  INFO(fault);
  Profile profile = dated_profile();
  CHECK_THAT(failure(fault, profile), Contains(message));
  REQUIRE(profile.points.size() == 1);  // four runs: to warm up, those that count, and two with warm caches
  CHECK_FALSE(profile.complete);
  CHECK(parse_profile(profile_text(profile), "p.json") == profile);
}

TEST_CASE("A worker that hangs is ended in time", "[kernels]") {
  const auto start = std::chrono::steady_clock::now();
  Profile profile;
  CHECK_THAT(failure("hangs", profile, Seconds{0.3}), Contains("gave no answer in 0.3 s and was ended"));
  CHECK_THROWS_WITH(worker("silent", Seconds{0.2}), Contains("gave no answer in 0.2 s"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{10});
}

TEST_CASE("A worker that ended stays ended", "[kernels]") {
  const auto backend = worker("dies");
  const std::vector<std::int32_t> rows{1};
  for (int run = 0; run < 4; ++run) backend->run(rows, 1, Caches::cold);
  CHECK_THROWS_WITH(backend->run(rows, 1, Caches::cold), Contains("died of signal 9"));
  CHECK_THROWS_WITH(backend->run(rows, 1, Caches::cold), Contains("has ended"));
}

TEST_CASE("A worker's points without memory are left out", "[kernels]") {
  const auto backend = worker("out_of_memory");
  Profile profile = dated_profile();
  calibrate(*backend, toy_request(), silent(), profile);
  CHECK_FALSE(profile.complete);
  CHECK(profile.points.size() > 10);
  for (const ProfilePoint& point : profile.points) CHECK(point.shape.experts <= 4);
  CHECK_THAT(profile.provenance.notes.back(), Contains(" points left out: the device was out of memory"));
}

TEST_CASE("A worker's points without a kernel are left out", "[kernels]") {
  const auto backend = worker("decode_only");
  Profile profile = dated_profile();
  calibrate(*backend, toy_request(), silent(), profile);
  CHECK(profile.points.size() > 10);
  for (const ProfilePoint& point : profile.points)
    for (const std::int32_t rows : point.histogram.rows) CHECK(rows <= 64);
  CHECK_THAT(profile.provenance.notes.back(), Contains(" points left out: no kernel here takes them"));
}

TEST_CASE("A worker verifies its kernels", "[kernels]") {
  const auto right = worker()->verify(7);
  REQUIRE(right.size() == 1);
  CHECK(right[0].kernel == "toy_mma gemm 1");
  CHECK(right[0].right());
  const auto wrong = worker("wrong")->verify(7);
  CHECK(std::isinf(wrong.at(0).relative_error));
  CHECK_FALSE(wrong.at(0).right());
}
