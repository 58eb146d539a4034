// The decode GEMMs as the worker launches and verifies them, on a device that is not there: what a launch is given, and
// whether the verification tells right kernels, which the emulation runs, from wrong ones.

#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>

#include <nlohmann/json.hpp>

#include "models/kernels/cuda/build_tile_map.cuh"
#include "models/kernels/cuda/device_worker.hpp"
#include "models/kernels/cuda/quantized_weights.hpp"
#include "models/kernels/cuda/variant_gemm_kernel.hpp"
#include "models/kernels/cuda/wgmma_kernels.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_worker/fake_device.hpp"

using namespace moesim::testing;
using nlohmann::json;

namespace moesim::cuda {
namespace {

/// The device's memory, for kernels under the emulation.
class AllocationsDeclared {
public:
  AllocationsDeclared() {
    for (const auto& [memory, bytes] : fake_allocations()) all_.emplace_back(memory, bytes, emulation::Access::write);
  }

private:
  std::deque<emulation::Declaration> all_;
};

}  // namespace

// What only nvcc compiles.
cudaError_t launch_tile_map(const int* counts, int experts, int tile_rows, int capacity, TileMap map, cudaStream_t) {
  const AllocationsDeclared memory;
  emulation::launch({1, kTileMapThreads, kTileMapSharedBytes},
                    [&] { build_tile_map(counts, experts, tile_rows, capacity, map); });
  return cudaSuccess;
}
cudaError_t launch_wgmma(const GemmVariant&, const GroupedGemm&, int, int, int, cudaStream_t) {
  return cudaErrorNotSupported;
}
bool fits_hopper(const GemmVariant&, int, const cudaDeviceProp&) {
  return false;
}

const std::vector<std::unique_ptr<GemmKernel>>& gemm_kernels() {
  static const auto all = [] {
    std::vector<std::unique_ptr<GemmKernel>> kernels;
    for (const GemmVariant& variant : decode_variants())
      kernels.push_back(std::make_unique<VariantGemmKernel>(variant));
    return kernels;
  }();
  return all;
}
const std::vector<std::unique_ptr<Operation>>& operations() {
  static const std::vector<std::unique_ptr<Operation>> none;
  return none;
}

}  // namespace moesim::cuda

namespace {

using namespace moesim::cuda;

const GemmVariant& variant_of(const void* function) {
  for (const GemmVariant& variant : decode_variants())
    if (variant.kernel.function == function) return variant;
  throw std::logic_error{"a kernel that is in no table"};
}

/// What was launched, by kernel: the last launch of each.
std::map<const GemmVariant*, GroupedGemm> launched;

/// Every launch takes 1 us for each of the kernel's tokens, so that the smallest tiles are fastest.
void record(const FakeLaunch& launch) {
  const GemmVariant& variant = variant_of(launch.function);
  const GroupedGemm& gemm = *static_cast<GroupedGemm*>(launch.arguments[0]);
  launched[&variant] = gemm;
  launch_fake(gemm.b, weight_bytes(variant.format, gemm.n, gemm.k), moesim::Seconds{1e-6 * variant.rows});
}

enum class Wrong { nothing, depth, bias, rows };

/// Runs the kernel, or a wrong one.
void emulate(const FakeLaunch& launch, Wrong wrong) {
  GroupedGemm gemm = *static_cast<GroupedGemm*>(launch.arguments[0]);
  const AllocationsDeclared memory;
  if (wrong == Wrong::depth) gemm.k -= variant_of(launch.function).depth;
  if (wrong == Wrong::bias) gemm.bias += 1;
  const auto kernel = reinterpret_cast<void (*)(GroupedGemm)>(const_cast<void*>(launch.function));  // NOLINT
  emulation::launch({launch.blocks, launch.threads, launch.shared_bytes}, [&] { kernel(gemm); });
  if (wrong == Wrong::rows) std::memset(gemm.c, 0, fake_allocations().at(gemm.c));
}

double verified(const GemmKernel& kernel, Wrong wrong = Wrong::nothing) {
  fake_device() = {};
  fake_device().on_launch = [&](const FakeLaunch& launch) { emulate(launch, wrong); };
  cudaDeviceProp device;
  cudaGetDeviceProperties(&device, 0);
  const auto seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  CAPTURE(kernel.name(), kernel.gemm(), seed);
  return kernel.verify(device, seed);
}

json ask(DeviceWorker& worker, const json& request) {
  return json::parse(worker.answer(request.dump()));
}

}  // namespace

TEST_CASE("The worker runs the FFN of gpt-oss in mxfp4 with its biases", "[kernels]") {
  fake_device() = {};
  fake_device().on_launch = record;
  launched.clear();
  DeviceWorker worker;
  CHECK(json::parse(worker.greeting())["formats"] == json({"int4", "fp8", "mxfp4"}));
  const json shape{{"do", "prepare"}, {"hidden", 2880}, {"intermediate", 2880}, {"experts", 4}, {"format", "mxfp4"}};
  CHECK(ask(worker, shape)["prepared"] == true);
  const json few = ask(worker, {{"do", "run"}, {"rows", {3, 0, 8, 1}}, {"calls", 2}, {"caches", "cold"}});
  INFO(few.dump());
  CHECK(few["kernel"] == "mxfp4_8+mxfp4_8");
  CHECK(few["seconds"][1].get<double>() == Approx(16e-6));
  // the choice of kernels launched all six
  REQUIRE(launched.size() == 6);
  for (const auto& [variant, gemm] : launched) {
    CHECK(variant->format == WeightFormat::mxfp4);
    CHECK(gemm.k == 2880);
    CHECK(gemm.n == (is_gated(variant->epilogue) ? 5760 : 2880));
    CHECK(gemm.bias != nullptr);
    CHECK(gemm.row_scale != nullptr);
  }
  const json many = ask(worker, {{"do", "run"}, {"rows", {300, 0, 0, 0}}, {"calls", 2}, {"caches", "cold"}});
  CHECK(many["text"] == "no mxfp4 kernel takes 300 rows in GEMM 1 of 2880 x 2880");
}

TEST_CASE("Kernels without biases are given none, and words that are numbers in their format", "[kernels]") {
  fake_device() = {};
  fake_device().on_launch = record;
  launched.clear();
  DeviceWorker worker;
  const std::string format = GENERATE("int4", "fp8");
  ask(worker, {{"do", "prepare"}, {"hidden", 256}, {"intermediate", 128}, {"experts", 2}, {"format", format}});
  const json run = ask(worker, {{"do", "run"}, {"rows", {1, 2}}, {"calls", 1}, {"caches", "warm"}});
  CHECK(run.contains("seconds"));
  REQUIRE_FALSE(launched.empty());
  for (const auto& [variant, gemm] : launched) CHECK(gemm.bias == nullptr);
}

TEST_CASE("Random weights are numbers in every format", "[kernels]") {
  for (const auto& kernel : gemm_kernels()) {
    INFO(kernel->name());
    const WordPattern words = kernel->words();
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t word = (byte * 0x01010101u & words.keep) | words.set;
      for (int shift = 0; shift < 32; shift += 8) {
        const std::uint32_t of = word >> shift & 0xFF;
        if (kernel->format() == "fp8") CHECK((of & 0x7F) != 0x7F);  // e4m3
        if (kernel->format() == "mxfp4") CHECK(of <= 127);          // e8m0: 2^(of - 127)
      }
    }
  }
}

TEST_CASE("The verification on a device accepts kernels that are right", "[kernels]") {
  int of_fewest_rows = 0;
  for (const auto& kernel : gemm_kernels())
    if (kernel->name().ends_with("_8")) {
      INFO(kernel->name() << " GEMM " << kernel->gemm());
      ++of_fewest_rows;
      CHECK(verified(*kernel) <= kernel->tolerance());
    }
  CHECK(of_fewest_rows == 8);  // four formats, two GEMMs
}

TEST_CASE("The verification on a device refuses kernels that are wrong", "[kernels]") {
  const GemmKernel& second = *gemm_kernels().at(21);
  REQUIRE((second.name() == "mxfp4_8" && second.gemm() == 2));
  CHECK(verified(second, Wrong::depth) > second.tolerance());
  CHECK(verified(second, Wrong::bias) > second.tolerance());
  CHECK(std::isinf(verified(second, Wrong::rows)));
}

TEST_CASE("GEMMs in every format take the layers they are made for", "[kernels]") {
  cudaDeviceProp device;
  cudaGetDeviceProperties(&device, 0);
  // 2880 = 22.5 x 128 = 45 x 64
  for (const auto& kernel : gemm_kernels()) {
    INFO(kernel->name());
    CHECK(kernel->fits(7168, 2048, 256, device));
    CHECK_FALSE(kernel->fits(7168, 2048, 257, device));
    const bool fine = kernel->format() == "mxfp4" || kernel->name().starts_with("int4_group32");
    CHECK(kernel->fits(2880, 2880, 1, device) == fine);
  }
}
