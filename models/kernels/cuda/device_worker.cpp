#include "models/kernels/cuda/device_worker.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>
#include <optional>

#include <nlohmann/json.hpp>

#include "models/kernels/cuda/comparators.hpp"
#include "models/kernels/cuda/cublas_lt_library.hpp"
#include "models/kernels/cuda/ffn_bench.hpp"
#include "models/kernels/cuda/first_device.hpp"
#include "models/kernels/cuda/nvml_library.hpp"

namespace moesim::cuda {
namespace {

using nlohmann::json;

std::string cuda_version(int number) {
  constexpr int kMajor = 1000, kMinor = 10;
  return std::to_string(number / kMajor) + "." + std::to_string(number % kMajor / kMinor);
}

std::string bus_id() {
  std::array<char, 32> id{};
  check(cudaDeviceGetPCIBusId(id.data(), static_cast<int>(id.size()), 0), "bus id");
  return id.data();
}

std::vector<int> rows_of(const json& request, int experts) {
  const auto rows = request.at("rows").get<std::vector<int>>();
  if (static_cast<int>(rows.size()) != experts)
    throw std::runtime_error{std::to_string(rows.size()) + " rows for " + std::to_string(experts) + " experts"};
  std::int64_t total = 0;
  for (const int count : rows) {
    if (count < 0) throw std::runtime_error{"negative rows"};
    total += count;
  }
  constexpr std::int64_t kMost = 1 << 24;  // row numbers are ints, and activations must fit too
  if (total == 0 || total > kMost) throw std::runtime_error{std::to_string(total) + " rows in all"};
  return rows;
}

int calls_of(const json& request) {
  const int calls = request.at("calls");
  if (calls < 1) throw std::runtime_error{"no calls"};
  return calls;
}

}  // namespace

struct DeviceWorker::Parts {
  cudaDeviceProp device = first_device();
  DevicePool pool{device};
  CallTimer timer;
  std::unique_ptr<NvmlLibrary> nvml = NvmlLibrary::load(bus_id());
  FfnBench bench{device, pool, timer};
  FfnShape shape;

  /// What the timer times: the same request again needs no warm-up.
  struct Current {
    json what;
    std::string kernel;
    std::unique_ptr<Work> work;
  };
  std::optional<Current> current;

  json libraries() const {
    int driver = 0, runtime = 0;
    check(cudaDriverGetVersion(&driver), "driver version");
    check(cudaRuntimeGetVersion(&runtime), "runtime version");
    json found = json::array({{{"name", "cuda runtime"}, {"version", cuda_version(runtime)}},
                              {{"name", "cuda driver interface"}, {"version", cuda_version(driver)}}});
    const auto add = [&](const char* name, const std::string& version) {
      if (!version.empty()) found.push_back({{"name", name}, {"version", version}});
    };
    if (nvml) add("nvidia driver", nvml->driver_version());
    if (const auto lt = CublasLtLibrary::load()) add("cublaslt", lt->version());
    if (const auto cublas = CublasLibrary::load()) add("cublas", cublas->version());
    return found;
  }

  json described_operations() const {
    json all = json::array();
    for (const auto& operation : operations()) {
      if (!operation->fits(device)) continue;
      for (const OperationCase& size : operation->cases()) {
        json sizes = json::object();
        for (const auto& [name, value] : size.sizes) sizes[name] = value;
        all.push_back({{"operation", operation->name()},
                       {"kernel", operation->kernel()},
                       {"format", operation->format()},
                       {"sizes", sizes},
                       {"bytes", size.moved_bytes},
                       {"flop", size.operations}});
      }
    }
    return all;
  }

  /// Times `calls` samples of what `make` makes, which is kept for the next request of the same words.
  template <class Make>
  json timed(const json& what, int calls, const Make& make) {
    if (!current || current->what != what) {
      current.reset();  // before anything else takes its memory
      int sets = 1;
      Current made{what, {}, nullptr};
      make(made, sets);
      timer.start(*made.work, sets);
      current = std::move(made);
    }
    json times = timer.times(calls);
    if (nvml) nvml->read();
    return {{"kernel", current->kernel}, {"seconds", std::move(times)}};
  }

  json run(const json& request) {
    const std::vector<int> rows = rows_of(request, shape.experts);
    const bool cold = request.at("caches") == "cold";
    const json what{{"rows", rows}, {"cold", cold}, {"shape", {shape.hidden, shape.intermediate, shape.format}}};
    return timed(what, calls_of(request), [&](Current& made, int& sets) {
      FfnWork ffn = bench.make(shape, rows, cold);
      made.kernel = std::move(ffn.kernel);
      made.work = std::move(ffn.work);
      sets = ffn.sets;
    });
  }

  json run_operation(const json& request) {
    const std::size_t index = request.at("index");
    std::size_t before = 0;
    for (const auto& operation : operations()) {
      if (!operation->fits(device)) continue;
      const auto cases = operation->cases();
      if (index >= before + cases.size()) {
        before += cases.size();
        continue;
      }
      const OperationCase& size = cases[index - before];
      return timed({{"operation", index}}, calls_of(request), [&](Current& made, int& sets) {
        const MemoryRing cold = pool.ring(size.cold, size.cold, operation->words());
        made.kernel = operation->kernel();
        made.work = operation->make(size, cold, device);
        sets = cold.sets;
      });
    }
    throw std::runtime_error{"no operation " + std::to_string(index)};
  }

  json verify(const json& request) {
    current.reset();
    const std::uint64_t seed = request.at("seed");
    json all = json::array();
    const auto add = [&](const std::string& name, double error, double tolerance) {
      all.push_back({{"kernel", name},
                     {"relative_error", std::isfinite(error) ? json(error) : json()},
                     {"tolerance", tolerance}});
    };
    for (const auto& kernel : gemm_kernels()) {
      constexpr int kAny = 1 << 14;  // rows and depth that every tile divides: whether the device has its shared memory
      if (!kernel->fits(kAny * 3, kAny, 1, device)) continue;
      add(kernel->name() + " " + kernel->format() + " GEMM" + std::to_string(kernel->gemm()),
          kernel->verify(device, seed), kernel->tolerance());
    }
    for (const auto& operation : operations())
      if (operation->fits(device))
        add(operation->name() + " " + operation->kernel(), operation->verify(device, seed), operation->tolerance());
    return {{"verified", all}};
  }

  json product_rates_of(const json& request) {
    current.reset();
    json rates = json::array();
    for (const ProductRate& rate : product_rates(request.at("format"), device, pool, timer))
      rates.push_back({{"kernel", rate.kernel}, {"flop_per_s", rate.rate}});
    return {{"rates", rates}};
  }

  json prepare(const json& request) {
    FfnShape wanted{request.at("hidden"), request.at("intermediate"), request.at("experts"), request.at("format")};
    if (wanted.hidden < 1 || wanted.intermediate < 1 || wanted.experts < 1) throw std::runtime_error{"an empty shape"};
    if (wanted != shape) current.reset();
    shape = std::move(wanted);
    return {{"prepared", true}};
  }

  json close() const {
    json notes = nvml ? json(nvml->summary()) : json::array({"clocks unknown: libnvidia-ml.so.1 was not found"});
    if (pool.short_rings() > 0)
      notes.push_back(std::to_string(pool.short_rings()) +
                      " times the weights came again before five caches went by: the device has too little memory");
    return {{"notes", notes}};
  }

  json answer(const json& request) {
    const std::string what = request.at("do");
    if (what == "verify") return verify(request);
    if (what == "copy_rate") {
      current.reset();
      return {{"bytes_per_s", copy_rate(pool, timer)}};
    }
    if (what == "gemm_rate") return product_rates_of(request);
    if (what == "prepare") return prepare(request);
    if (what == "run") return run(request);
    if (what == "operation") return run_operation(request);
    if (what == "close") return close();
    throw std::runtime_error{"the unknown request " + what};
  }
};

DeviceWorker::DeviceWorker() : parts_{std::make_unique<Parts>()} {}

DeviceWorker::~DeviceWorker() = default;

std::string DeviceWorker::greeting() const {
  const cudaDeviceProp& device = parts_->device;
  return json{{"protocol", 1},
              {"device",
               {{"name", device.name},
                {"processors", device.multiProcessorCount},
                {"memory_bytes", device.totalGlobalMem},
                {"last_level_cache_bytes", device.l2CacheSize}}},
              {"pool_bytes", parts_->pool.bytes()},
              {"formats", parts_->bench.formats()},
              {"libraries", parts_->libraries()},
              {"notes", {"compute capability " + std::to_string(device.major) + "." + std::to_string(device.minor)}},
              {"operations", parts_->described_operations()}}
      .dump();
}

std::string DeviceWorker::answer(const std::string& request) {
  try {
    return parts_->answer(json::parse(request)).dump();
  } catch (const std::bad_alloc&) {
    return json{{"error", "out_of_memory"}}.dump();
  } catch (const NoKernel& error) {
    return json{{"error", "no_kernel"}, {"text", error.what()}}.dump();
  } catch (const std::exception& error) {
    return json{{"error", error.what()}}.dump();
  }
}

}  // namespace moesim::cuda
