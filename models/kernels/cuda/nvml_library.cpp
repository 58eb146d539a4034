#include "models/kernels/cuda/nvml_library.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "models/kernels/cuda/shared_library.hpp"

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
  SharedLibrary library{"libnvidia-ml.so.1"};
  void* device = nullptr;
  int (*init)() = library["nvmlInit_v2"];
  int (*find_device)(const char*, void**) = library["nvmlDeviceGetHandleByPciBusId_v2"];
  bool usable = library.whole();  ///< without what follows too
  int (*shutdown)() = library["nvmlShutdown"];
  int (*driver_version)(char*, unsigned) = library["nvmlSystemGetDriverVersion"];
  int (*clock)(void*, int, unsigned*) = library["nvmlDeviceGetClockInfo"];
  int (*power)(void*, unsigned*) = library["nvmlDeviceGetPowerUsage"];
  int (*temperature)(void*, int, unsigned*) = library["nvmlDeviceGetTemperature"];
};

NvmlLibrary::NvmlLibrary(std::unique_ptr<Functions> functions) : functions_{std::move(functions)} {}

NvmlLibrary::~NvmlLibrary() {
  if (functions_->shutdown) functions_->shutdown();
}

std::unique_ptr<NvmlLibrary> NvmlLibrary::load(const std::string& pci_bus_id) {
  auto found = std::make_unique<Functions>();
  if (!found->usable || found->init() != 0) return nullptr;
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
