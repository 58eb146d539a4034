#include "models/hardware/cluster.hpp"

#include <stdexcept>

namespace moesim {

std::string_view name_of(NodeLinks links) {
  switch (links) {
    case NodeLinks::nvswitch:
      return "nvswitch";
    case NodeLinks::mesh:
      return "mesh";
    case NodeLinks::pcie:
      return "pcie";
    case NodeLinks::none:
      return "none";
  }
  throw std::invalid_argument{"unknown NodeLinks"};
}

std::string_view name_of(FabricKind kind) {
  switch (kind) {
    case FabricKind::single_node:
      return "single_node";
    case FabricKind::rail_optimised:
      return "rail-optimised";
  }
  throw std::invalid_argument{"unknown FabricKind"};
}

std::string_view name_of(RailPolicy policy) {
  switch (policy) {
    case RailPolicy::forward:
      return "forward";
    case RailPolicy::pxn:
      return "pxn";
    case RailPolicy::spine:
      return "spine";
  }
  throw std::invalid_argument{"unknown RailPolicy"};
}

std::string_view name_of(SpreadPolicy policy) {
  switch (policy) {
    case SpreadPolicy::ecmp:
      return "ecmp";
    case SpreadPolicy::spray:
      return "spray";
  }
  throw std::invalid_argument{"unknown SpreadPolicy"};
}

}  // namespace moesim
