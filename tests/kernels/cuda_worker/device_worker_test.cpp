// The CUDA worker on a device that is not there: its kernels are toys, everything else is what runs on a GPU.

#include "models/kernels/cuda/device_worker.hpp"

#include <algorithm>
#include <numeric>

#include <nlohmann/json.hpp>

#include "models/kernels/cuda/first_device.hpp"
#include "models/kernels/cuda/operations.hpp"
#include "models/kernels/cuda/shared_library.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_worker/fake_device.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace moesim::cuda {
namespace {

using moesim::Seconds;

/// Reads the weights of experts with rows at 1 TB/s, and takes `per_tile` for each started tile of `rows` rows.
class ToyWork final : public Work {
public:
  ToyWork(const GemmProblem& problem, std::size_t expert, int rows, Seconds per_tile) : ring_{problem.weights} {
    for (const int count : problem.rows) {
      bytes_ += count > 0 ? expert : 0;
      time_ += static_cast<double>((count + rows - 1) / rows) * per_tile;
    }
    time_ += Seconds{static_cast<double>(bytes_) / 1e12};
  }
  void launch(int call, cudaStream_t) override { launch_fake(ring_.at(call), bytes_, time_); }

private:
  MemoryRing ring_;
  std::size_t bytes_ = 0;
  Seconds time_;
};

struct ToyKernel final : GemmKernel {
  ToyKernel(std::string name, std::string format, int gemm, int tile_rows, Seconds per_tile, int takes_rows = 1 << 20)
      : name_{std::move(name)},
        format_{std::move(format)},
        gemm_{gemm},
        tile_rows_{tile_rows},
        takes_rows_{takes_rows},
        per_tile_{per_tile} {}
  std::string name() const override { return name_; }
  std::string format() const override { return format_; }
  int gemm() const override { return gemm_; }
  bool fits(int, int, int most_rows, const cudaDeviceProp&) const override { return most_rows <= takes_rows_; }
  std::size_t weight_bytes(int n, int k) const override {
    return static_cast<std::size_t>(n) * static_cast<std::size_t>(k) * (format_ == "bf16" ? 2 : 1);
  }
  WordPattern words() const override { return format_ == "bf16" ? WordPattern{} : WordPattern{0xBFBFBFBF, 0}; }
  double verify(const cudaDeviceProp&, std::uint64_t seed) const override { return seed == 13 ? 1.0 / 0.0 : 1e-3; }
  std::unique_ptr<Work> make(const GemmProblem& problem) const override {
    return std::make_unique<ToyWork>(problem, weight_bytes(problem.n, problem.k), tile_rows_, per_tile_);
  }

  std::string name_, format_;
  int gemm_, tile_rows_, takes_rows_;
  Seconds per_tile_;
};

struct ToyAttention final : Operation {
  std::string name() const override { return "gqa_decode"; }
  std::string kernel() const override { return "toy"; }
  std::string format() const override { return "bf16"; }
  bool fits(const cudaDeviceProp&) const override { return true; }
  double verify(const cudaDeviceProp&, std::uint64_t) const override { return 0; }
  std::vector<OperationCase> cases() const override {
    return {{{{"batch", 1}}, 1000, 2000, 4000}, {{{"batch", 2}}, 2000, 4000, 8000}};
  }
  std::unique_ptr<Work> make(const OperationCase& size, const MemoryRing& cold, const cudaDeviceProp&) const override {
    struct Read final : Work {
      Read(const MemoryRing& from, std::size_t count) : ring{from}, bytes{count} {}
      void launch(int call, cudaStream_t) override {
        launch_fake(ring.at(call), bytes, Seconds{1e-9 * static_cast<double>(bytes)});
      }
      MemoryRing ring;
      std::size_t bytes;
    };
    return std::make_unique<Read>(cold, size.cold);
  }
};

}  // namespace

const std::vector<std::unique_ptr<GemmKernel>>& gemm_kernels() {
  static const auto all = [] {
    std::vector<std::unique_ptr<GemmKernel>> kernels;
    for (const int gemm : {1, 2}) {
      kernels.push_back(std::make_unique<ToyKernel>("small", "bf16", gemm, 16, Seconds{1e-6}));
      kernels.push_back(std::make_unique<ToyKernel>("large", "bf16", gemm, 128, Seconds{4e-6}));
      kernels.push_back(std::make_unique<ToyKernel>("decode", "int4", gemm, 8, Seconds{1e-6}, 8));
    }
    return kernels;
  }();
  return all;
}

const std::vector<std::unique_ptr<Operation>>& operations() {
  static const auto all = [] {
    std::vector<std::unique_ptr<Operation>> list;
    list.push_back(std::make_unique<ToyAttention>());
    return list;
  }();
  return all;
}

}  // namespace moesim::cuda

namespace {

using moesim::cuda::DeviceWorker;

json ask(DeviceWorker& worker, const json& request) {
  return json::parse(worker.answer(request.dump()));
}

json prepare(DeviceWorker& worker, int experts, const std::string& format = "bf16") {
  return ask(worker,
             {{"do", "prepare"}, {"hidden", 256}, {"intermediate", 128}, {"experts", experts}, {"format", format}});
}

json run(DeviceWorker& worker, const std::vector<int>& rows, const char* caches = "cold") {
  return ask(worker, {{"do", "run"}, {"rows", rows}, {"calls", 3}, {"caches", caches}});
}

/// Puts the device back as it was made.
FakeDevice& fresh_device() {
  REQUIRE(fake_device().live == 0);
  fake_device() = {};
  return fake_device();
}

}  // namespace

TEST_CASE("The worker tells its device and what it runs", "[kernels]") {
  fresh_device();
  const json greeting = json::parse(DeviceWorker{}.greeting());
  CHECK(greeting["protocol"] == 1);
  CHECK(greeting["device"]["name"] == "Fake GPU");
  CHECK(greeting["device"]["last_level_cache_bytes"] == 1 << 20);
  CHECK(greeting["formats"] == json({"bf16", "int4"}));
  CHECK(greeting["pool_bytes"] > 1e9);  // three fifths of 2 GiB
  CHECK(greeting["operations"].size() == 2);
  CHECK(greeting["operations"][1]["sizes"] == json({{"batch", 2}}));
  CHECK(greeting["libraries"][0]["version"] == "13.0");
  CHECK(fake_device().live == 0);
}

TEST_CASE("A machine without a device is told in one line", "[kernels]") {
  FakeDevice& device = fresh_device();
  device.devices = 0;
  REQUIRE_THROWS_WITH(DeviceWorker{}, "no CUDA device: the driver shows none");
  device.driver_error = 35;  // cudaErrorInsufficientDriver
  REQUIRE_THROWS_WITH(DeviceWorker{}, "no CUDA device: the driver is too old");
  CHECK_THROWS_AS(DeviceWorker{}, moesim::cuda::NoDevice);
  fresh_device().major = 7;
  CHECK_THROWS_WITH(DeviceWorker{}, Contains("Fake GPU has compute capability 7.0, they need 8.0"));
}

TEST_CASE("The kernels are those that are fastest at the mean rows", "[kernels]") {
  fresh_device();
  DeviceWorker worker;
  CHECK(prepare(worker, 4)["prepared"] == true);
  // an expert's weights are 2 x 256 x 128 x 2 B and half of that: 196,608 B, 0.196608 us; a small tile takes 1 us, a
  // large one 4 us: 16 rows are one small tile, 128 rows eight of them or one large
  const json few = run(worker, {16, 16, 0, 1});
  CHECK(few["kernel"] == "small+small");
  REQUIRE(few["seconds"].size() == 3);
  CHECK(few["seconds"][0].get<double>() == Approx(3 * 0.196608e-6 + 2 * 3 * 1e-6).epsilon(1e-4));
  const json many = run(worker, {128, 128, 128, 128});
  CHECK(many["kernel"] == "large+large");
  CHECK(many["seconds"][2].get<double>() == Approx(4 * 0.196608e-6 + 2 * 4 * 4e-6).epsilon(1e-4));
  // what an engine knows is the mean: 130 rows on one of four experts are 33, rounded up to 64: four small tiles
  const json skewed = run(worker, {130, 0, 0, 0});
  CHECK(skewed["kernel"] == "small+small");
}

TEST_CASE("Weights are cold whatever the histogram", "[kernels]") {
  FakeDevice& device = fresh_device();
  DeviceWorker worker;
  const std::vector<int> rows = GENERATE(std::vector<int>{1, 1, 1, 1}, std::vector<int>{0, 0, 5, 0},
                                         std::vector<int>{4000, 4000, 4000, 4000}, std::vector<int>{20000, 0, 0, 0});
  prepare(worker, 4);
  run(worker, rows);  // the choice of kernels too
  device.least_read_between = SIZE_MAX;
  for (int again = 0; again < 30; ++again) run(worker, rows);
  CHECK(device.least_read_between >= 5 * device.cache);
  CHECK(device.least_read_between < SIZE_MAX);
  device.least_read_between = SIZE_MAX;
  run(worker, rows, "warm");
  CHECK(device.least_read_between < device.cache);
}

TEST_CASE("What a device has no memory for fails alone", "[kernels]") {
  FakeDevice& device = fresh_device();
  {
    DeviceWorker worker;
    prepare(worker, 4);
    CHECK(run(worker, {1, 1, 1, 1}).contains("seconds"));
    CHECK(run(worker, {4'000'000, 0, 0, 0})["error"] == "out_of_memory");  // x alone: 4e6 x 256 x 2 B
    prepare(worker, 8000);                                                 // 8000 x 196,608 B
    CHECK(run(worker, std::vector<int>(8000, 1))["error"] == "out_of_memory");
    prepare(worker, 4);
    CHECK(run(worker, {1, 1, 1, 1}).contains("seconds"));
  }
  CHECK(device.live == 0);
  CHECK(device.allocated == 0);
}

TEST_CASE("A kernel that takes few rows is not asked for more", "[kernels]") {
  fresh_device();
  DeviceWorker worker;
  prepare(worker, 2, "int4");
  CHECK(run(worker, {8, 0})["kernel"] == "decode+decode");
  const json refused = run(worker, {9, 0});
  CHECK(refused["error"] == "no_kernel");
  CHECK(refused["text"] == "no int4 kernel takes 9 rows in GEMM 1 of 256 x 128");
}

TEST_CASE("Operations are timed cold", "[kernels]") {
  FakeDevice& device = fresh_device();
  DeviceWorker worker;
  const json answer = ask(worker, {{"do", "operation"}, {"index", 1}, {"calls", 5}});
  REQUIRE(answer["seconds"].size() == 5);
  CHECK(answer["seconds"][4].get<double>() == Approx(8e-6).epsilon(1e-4));
  device.least_read_between = SIZE_MAX;  // warming up is warm
  ask(worker, {{"do", "operation"}, {"index", 1}, {"calls", 5}});
  CHECK(device.least_read_between >= 5 * device.cache);
  CHECK_THAT(ask(worker, {{"do", "operation"}, {"index", 2}, {"calls", 5}})["error"].get<std::string>(),
             Contains("no operation 2"));
}

TEST_CASE("Ceilings are measured on the device", "[kernels]") {
  fresh_device();
  DeviceWorker worker;
  CHECK(ask(worker, {{"do", "copy_rate"}})["bytes_per_s"].get<double>() == Approx(1e12).epsilon(1e-3));
  const json rates = ask(worker, {{"do", "gemm_rate"}, {"format", "bf16"}})["rates"];
  // 8192 rows on 128 MiB of weights: 134.2 us for them, and 64 large tiles at 4 us
  CHECK(rates.back()["kernel"] == "large");
  CHECK(rates.back()["flop_per_s"].get<double>() == Approx(2.0 * 8192 * 8192 * 8192 / 390.2e-6).epsilon(1e-3));
  // int4 takes 8 rows at most: 64 MiB and one tile
  const json decode = ask(worker, {{"do", "gemm_rate"}, {"format", "int4"}})["rates"];
  CHECK(decode.back()["flop_per_s"].get<double>() == Approx(2.0 * 8 * 8192 * 8192 / 68.1e-6).epsilon(1e-3));
}

TEST_CASE("Every kernel is verified and an unwritten result is no number", "[kernels]") {
  fresh_device();
  DeviceWorker worker;
  const json right = ask(worker, {{"do", "verify"}, {"seed", 7}})["verified"];
  REQUIRE(right.size() == 7);
  CHECK(right[0]["kernel"] == "small bf16 GEMM1");
  CHECK(right[0]["relative_error"].get<double>() == Approx(1e-3));
  CHECK(right[6]["kernel"] == "gqa_decode toy");
  CHECK(ask(worker, {{"do", "verify"}, {"seed", 13}})["verified"][0]["relative_error"].is_null());
}

TEST_CASE("A library is whole when it is there with every symbol asked for", "[kernels]") {
  moesim::cuda::SharedLibrary math{"libnowhere.so.13", "libm.so.6"};
  double (*cosine)(double) = math["cos"];
  REQUIRE(cosine != nullptr);
  CHECK(cosine(0.0) == 1.0);
  CHECK(math.whole());
  int (*absent)(int) = math["no_such_function"];
  CHECK(absent == nullptr);
  CHECK_FALSE(math.whole());
  moesim::cuda::SharedLibrary nowhere{"libnowhere.so.13"};
  double (*never)(double) = nowhere["cos"];
  CHECK(never == nullptr);
  CHECK_FALSE(nowhere.whole());
}

TEST_CASE("A request that makes no sense is answered with what is wrong", "[kernels]") {
  fresh_device();
  DeviceWorker worker;
  CHECK_THAT(json::parse(worker.answer("{not json"))["error"].get<std::string>(), Contains("parse error"));
  CHECK(ask(worker, {{"do", "dance"}})["error"] == "the unknown request dance");
  prepare(worker, 4);
  CHECK(run(worker, {1, 2})["error"] == "2 rows for 4 experts");
  CHECK(run(worker, {1, -2, 3, 4})["error"] == "negative rows");
  CHECK(run(worker, {0, 0, 0, 0})["error"] == "0 rows in all");
  CHECK(ask(worker, {{"do", "close"}})["notes"].is_array());
}
