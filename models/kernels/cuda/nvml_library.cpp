#include "models/kernels/cuda/nvml_library.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <dlfcn.h>

namespace moesim::cuda {
namespace {

// Values of nvml.h, unchanged since its version 1.
constexpr int kSmClock = 1, kGpuTemperature = 0;

std::string range(const std::string& what, std::vector<unsigned> values, const std::string& unit) {
  std::sort(values.begin(), values.end());
  return what + " " + std::to_string(values.front()) + " to " + std::to_string(values.back()) + " " + unit +
         ", median " + std::to_string(values[values.size() / 2]) + ", in " + std::to_string(values.size()) +
         " readings";
}

}  // namespace

struct NvmlLibrary::Functions {
  void* library = nullptr;
  void* device = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*find_device)(const char*, void**) = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
  int (*clock)(void*, int, unsigned*) = nullptr;
  int (*power)(void*, unsigned*) = nullptr;
  int (*temperature)(void*, int, unsigned*) = nullptr;

  template <class Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library, name));
  }
};

NvmlLibrary::NvmlLibrary(std::unique_ptr<Functions> functions) : functions_{std::move(functions)} {}

NvmlLibrary::~NvmlLibrary() {
  if (functions_->shutdown) functions_->shutdown();
}

std::unique_ptr<NvmlLibrary> NvmlLibrary::load(const std::string& pci_bus_id) {
  auto found = std::make_unique<Functions>();
  found->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!found->library) return nullptr;
  found->find(found->init, "nvmlInit_v2");
  found->find(found->shutdown, "nvmlShutdown");
  found->find(found->find_device, "nvmlDeviceGetHandleByPciBusId_v2");
  found->find(found->driver_version, "nvmlSystemGetDriverVersion");
  found->find(found->clock, "nvmlDeviceGetClockInfo");
  found->find(found->power, "nvmlDeviceGetPowerUsage");
  found->find(found->temperature, "nvmlDeviceGetTemperature");
  if (!found->init || !found->find_device || found->init() != 0) return nullptr;
  if (found->find_device(pci_bus_id.c_str(), &found->device) != 0) return nullptr;
  return std::unique_ptr<NvmlLibrary>{new NvmlLibrary{std::move(found)}};
}

std::string NvmlLibrary::driver_version() const {
  std::array<char, 96> text{};
  if (!functions_->driver_version || functions_->driver_version(text.data(), text.size()) != 0) return {};
  return text.data();
}

void NvmlLibrary::read() {
  unsigned value = 0;
  void* device = functions_->device;
  if (functions_->clock && functions_->clock(device, kSmClock, &value) == 0) clocks_.push_back(value);
  if (functions_->power && functions_->power(device, &value) == 0) powers_.push_back(value);
  if (functions_->temperature && functions_->temperature(device, kGpuTemperature, &value) == 0)
    temperatures_.push_back(value);
}

std::vector<std::string> NvmlLibrary::summary() const {
  std::vector<std::string> lines;
  if (!clocks_.empty()) lines.push_back(range("SM clock", clocks_, "MHz"));
  if (!powers_.empty()) lines.push_back(range("power", powers_, "mW"));
  if (!temperatures_.empty()) lines.push_back(range("temperature", temperatures_, "C"));
  return lines;
}

}  // namespace moesim::cuda
