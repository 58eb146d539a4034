#pragma once
// NICs and switches with the source of each figure, from catalogue/network/*.json.

#include <string>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

/// Bounds of what a scenario may give a NIC or a cable: below them a unit is surely wrong; above them sums of links are
/// no whole numbers of bytes per second any more.
inline constexpr BytesPerSecond kLeastBandwidth{1e6 / 8}, kMostBandwidth{1e14};

struct NicPart {
  std::string name;          ///< "connectx-7-400g"
  BytesPerSecond bandwidth;  ///< per direction
  std::string source;
};

struct SwitchPart {
  std::string name;  ///< "qm9700"
  int ports = 0;
  BytesPerSecond port;  ///< of one port, per direction
  std::string source;
};

/// "from 1 Mb/s to 100 TB/s"
std::string bandwidth_range();

/// Throw InputError with the nearest name; `where` is the key that named the part.
NicPart find_nic(const std::string& name, const std::string& where);
SwitchPart find_switch(const std::string& name, const std::string& where);

std::vector<NicPart> nic_parts();
std::vector<SwitchPart> switch_parts();

}  // namespace moesim
