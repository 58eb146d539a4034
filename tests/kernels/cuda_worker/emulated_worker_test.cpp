// The CUDA worker with its own kernels on a device that is not there: what launches are given, and whether the
// verification tells right kernels, which the emulation runs, from wrong ones.

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>

#include <nlohmann/json.hpp>

#include "models/kernels/cuda/attention_kernels.hpp"
#include "models/kernels/cuda/device_worker.hpp"
#include "models/kernels/cuda/expert_kernels.hpp"
#include "models/kernels/cuda/norm_kernels.hpp"
#include "models/kernels/cuda/operations.hpp"
#include "models/kernels/cuda/primitives.cuh"
#include "models/kernels/cuda/quantized_weights.hpp"
#include "models/kernels/cuda/verify_gemm.hpp"
#include "models/kernels/cuda/wgmma_kernels.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_worker/fake_device.hpp"

using namespace moesim::testing;
using nlohmann::json;

namespace moesim::cuda {

// Hopper's own, which only nvcc compiles.
std::span<const GemmVariant> wgmma_variants() {
  return {};
}
cudaError_t launch_wgmma(const GemmVariant&, const GroupedGemm&, int, int, int, cudaStream_t) {
  return cudaErrorNotSupported;
}
bool fits_hopper(const GemmVariant&, int, const cudaDeviceProp&) {
  return false;
}

}  // namespace moesim::cuda

namespace {

using namespace moesim::cuda;

/// The compiled GEMM that was launched; null for another kernel.
const GemmVariant* gemm_of(const FakeLaunch& launch) {
  for (const auto& table : {gemm_variants(), decode_variants()})
    for (const GemmVariant& variant : table)
      if (variant.kernel.function == launch.function) return &variant;
  return nullptr;
}

template <class Argument>
void run_kernel(const FakeLaunch& launch, const Argument& argument) {
  const auto kernel = reinterpret_cast<void (*)(Argument)>(const_cast<void*>(launch.function));  // NOLINT
  emulation::launch({launch.blocks, launch.threads, launch.shared_bytes}, [&] { kernel(argument); });
}

/// A device whose memory the emulation knows.
class EmulatedDevice {
public:
  explicit EmulatedDevice(std::function<void(const FakeLaunch&)> on_launch) {
    fake_device() = {};
    fake_device().on_allocate = [&](void* memory, std::size_t bytes) {
      memory_.try_emplace(memory, memory, bytes, emulation::Access::write);
      bytes_[memory] = bytes;
    };
    fake_device().on_free = [&](void* memory) { memory_.erase(memory); };
    fake_device().on_launch = std::move(on_launch);
    cudaGetDeviceProperties(&properties, 0);
  }
  ~EmulatedDevice() { fake_device() = {}; }
  EmulatedDevice(const EmulatedDevice&) = delete;
  EmulatedDevice& operator=(const EmulatedDevice&) = delete;

  std::size_t bytes(void* memory) const { return bytes_.at(memory); }

  cudaDeviceProp properties;

private:
  std::map<void*, emulation::Declaration> memory_;
  std::map<void*, std::size_t> bytes_;
};

std::uint64_t fresh_seed() {
  return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

enum class Wrong { nothing, depth, bias, rows };

/// What the device says of a GEMM, or of one that is wrong in one thing.
double verified(const GemmKernel& kernel, std::uint64_t seed, Wrong wrong = Wrong::nothing) {
  EmulatedDevice* at = nullptr;
  EmulatedDevice device{[&](const FakeLaunch& launch) {
    GroupedGemm gemm = *static_cast<GroupedGemm*>(launch.arguments[0]);
    if (wrong == Wrong::depth) gemm.k -= gemm_of(launch)->depth;
    if (wrong == Wrong::bias) gemm.bias += 1;
    run_kernel(launch, gemm);
    if (wrong == Wrong::rows) std::memset(gemm.c, 0, at->bytes(gemm.c));
  }};
  at = &device;
  return kernel.verify(device.properties, seed);
}

const GemmKernel& named(const std::string& name, int gemm) {
  for (const auto& kernel : gemm_kernels())
    if (kernel->name() == name && kernel->gemm() == gemm) return *kernel;
  throw std::logic_error{"no kernel " + name};
}

/// What was launched, by kernel: the last launch of each.
using Launched = std::map<const GemmVariant*, GroupedGemm>;

/// Every launch takes 1 us for each of the tile's rows, so that the smallest tiles are fastest.
std::function<void(const FakeLaunch&)> record(Launched& launched) {
  return [&launched](const FakeLaunch& launch) {
    const GemmVariant& variant = *gemm_of(launch);
    const GroupedGemm& gemm = *static_cast<GroupedGemm*>(launch.arguments[0]);
    launched[&variant] = gemm;
    launch_fake(gemm.b, weight_bytes(variant.format, gemm.n, gemm.k), moesim::Seconds{1e-6 * variant.rows});
  };
}

json ask(DeviceWorker& worker, const json& request) {
  return json::parse(worker.answer(request.dump()));
}

}  // namespace

TEST_CASE("The worker runs the FFN of gpt-oss in mxfp4 with its biases", "[kernels]") {
  Launched launched;
  const EmulatedDevice device{record(launched)};
  DeviceWorker worker;
  CHECK(json::parse(worker.greeting())["formats"] == json({"bf16", "int4", "fp8", "mxfp4"}));
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

TEST_CASE("Kernels without biases are given none", "[kernels]") {
  Launched launched;
  const EmulatedDevice device{record(launched)};
  DeviceWorker worker;
  const std::string format = GENERATE("bf16", "int4", "fp8");
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

TEST_CASE("Quantised GEMMs take the layers they are made for", "[kernels]") {
  const EmulatedDevice device{[](const FakeLaunch&) {}};
  // 2880 = 22.5 x 128 = 45 x 64
  for (const auto& kernel : gemm_kernels()) {
    INFO(kernel->name());
    if (kernel->format() == "bf16") continue;
    CHECK(kernel->fits(7168, 2048, 256, device.properties));
    CHECK_FALSE(kernel->fits(7168, 2048, 257, device.properties));
    const bool fine = kernel->format() == "mxfp4" || kernel->name().starts_with("int4_group32");
    CHECK(kernel->fits(2880, 2880, 1, device.properties) == fine);
  }
}

TEST_CASE("The verification on a device accepts GEMMs that are right", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  for (const char* name : {"mma_16x64", "mma_32x128", "int4_group128_8", "int4_group32_8", "fp8_block128_8", "mxfp4_8"})
    for (const int gemm : {1, 2}) {
      CAPTURE(name, gemm, seed);
      CHECK(verified(named(name, gemm), seed) <= named(name, gemm).tolerance());
    }
}

TEST_CASE("The verification on a device refuses GEMMs that are wrong", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  const GemmKernel& kernel = named("mxfp4_8", 2);
  CHECK(verified(kernel, seed, Wrong::depth) > kernel.tolerance());
  CHECK(verified(kernel, seed, Wrong::bias) > kernel.tolerance());
  CHECK(std::isinf(verified(kernel, seed, Wrong::rows)));
}

TEST_CASE("The verification on a device accepts attention and norms that are right and refuses wrong ones",
          "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  bool wrong = false;
  const EmulatedDevice device{[&](const FakeLaunch& launch) {
    DecodeAttention attention = *static_cast<DecodeAttention*>(launch.arguments[0]);
    if (wrong) attention.scale *= 1.1f;
    run_kernel(launch, attention);
  }};
  for (const auto& operation : operations()) {
    if (operation->kernel() != "gqa_64" && operation->kernel() != "rms_norm") continue;
    INFO(operation->kernel());
    wrong = false;
    CHECK(operation->verify(device.properties, seed) <= operation->tolerance());
    wrong = operation->kernel() == "gqa_64";
    if (wrong) CHECK(operation->verify(device.properties, seed) > operation->tolerance());
  }
}

TEST_CASE("Sizes beyond what a kernel takes are refused before a launch", "[kernels]") {
  CHECK(launch_router({nullptr, nullptr, 1, 257, 8, 0, nullptr, nullptr}, Scoring::softmax, nullptr) ==
        cudaErrorInvalidValue);
  CHECK(launch_router({nullptr, nullptr, 1, 40, 8, 2, nullptr, nullptr}, Scoring::sigmoid, nullptr) ==
        cudaErrorInvalidValue);
  CHECK(launch_rms_norm({nullptr, nullptr, nullptr, nullptr, 1, 16392, 1e-6f}, nullptr) == cudaErrorInvalidValue);
}
