// Any text is either a node or an InputError; a node can be built into a topology whose GPUs reach each other.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/hardware/nccl_xml.hpp"
#include "models/hardware/topology.hpp"
#include "models/units/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  moesim::NcclXmlOptions options;
  if (data[0] % 2 == 1) options.links = moesim::NodeLinks::pcie;
  const std::string text{reinterpret_cast<const char*>(data) + 1, size - 1};
  try {
    auto node = std::make_shared<const moesim::NodeShape>(moesim::parse_nccl_xml(text, "fuzz.xml", options));
    moesim::ClusterSpec cluster;
    cluster.gpus_per_node = node->gpus;
    cluster.shape = node;
    const moesim::Topology topology{cluster};
    for (int gpu = 1; gpu < topology.gpus(); ++gpu)
      if (topology.route(0, gpu).empty()) std::abort();
  } catch (const moesim::InputError&) {
  }
  return 0;
}
