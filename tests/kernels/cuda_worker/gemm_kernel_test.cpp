// The compiled decode GEMMs as the worker launches them, on a device that is not there: what a launch is given.

#include <map>

#include <nlohmann/json.hpp>

#include "models/kernels/cuda/device_worker.hpp"
#include "models/kernels/cuda/quantized_weights.hpp"
#include "models/kernels/cuda/variant_gemm_kernel.hpp"
#include "models/kernels/cuda/verify_gemm.hpp"
#include "models/kernels/cuda/wgmma_kernels.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_worker/fake_device.hpp"

using namespace moesim::testing;
using nlohmann::json;

namespace moesim::cuda {

// What only nvcc compiles.
cudaError_t launch_tile_map(const int*, int, int, int, TileMap, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t launch_wgmma(const GemmVariant&, const GroupedGemm&, int, int, int, cudaStream_t) {
  return cudaErrorNotSupported;
}
bool fits_hopper(const GemmVariant&, int, const cudaDeviceProp&) {
  return false;
}
double verify(const GemmVariant&, const cudaDeviceProp&, std::uint64_t) {
  return 1e-3;
}
double verify_wgmma(const GemmVariant&, const cudaDeviceProp&, std::uint64_t) {
  return 1e-3;
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
void record(const void* function, void** arguments) {
  const GemmVariant& variant = variant_of(function);
  const GroupedGemm& gemm = *static_cast<GroupedGemm*>(arguments[0]);
  launched[&variant] = gemm;
  launch_fake(gemm.b, weight_bytes(variant.format, gemm.n, gemm.k), moesim::Seconds{1e-6 * variant.rows});
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

TEST_CASE("GEMMs in every format take the layers they are made for", "[kernels]") {
  const cudaDeviceProp device = [] {
    cudaDeviceProp of{};
    of.sharedMemPerBlockOptin = 227 << 10;
    return of;
  }();
  // 2880 = 22.5 x 128 = 45 x 64
  for (const auto& kernel : gemm_kernels()) {
    INFO(kernel->name());
    CHECK(kernel->fits(7168, 2048, 256, device));
    CHECK_FALSE(kernel->fits(7168, 2048, 257, device));
    const bool fine = kernel->format() == "mxfp4" || kernel->name().starts_with("int4_group32");
    CHECK(kernel->fits(2880, 2880, 1, device) == fine);
  }
}
