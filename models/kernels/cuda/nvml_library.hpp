#pragma once
// Clock, power and temperature of the device, through the driver's own library, found at run time: its header is not
// part of every toolkit. Reads only; settings are left alone.

#include <memory>
#include <string>
#include <vector>

namespace moesim::cuda {

class NvmlLibrary {
public:
  /// `pci_bus_id` as cudaDeviceGetPCIBusId writes it. Empty when the library or the device is not found.
  static std::unique_ptr<NvmlLibrary> load(const std::string& pci_bus_id);
  ~NvmlLibrary();

  std::string driver_version() const;
  /// Takes one reading of everything that the device tells.
  void read();
  /// "SM clock 1305 to 1980 MHz, median 1755, in 912 readings"; empty without readings.
  std::vector<std::string> summary() const;

private:
  struct Functions;
  explicit NvmlLibrary(std::unique_ptr<Functions> functions);
  std::unique_ptr<Functions> functions_;
  std::vector<unsigned> clocks_, powers_, temperatures_;  ///< MHz, mW, degrees Celsius
};

}  // namespace moesim::cuda
