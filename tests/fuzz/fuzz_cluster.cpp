// Any text is either a cluster (custom graphs and groups of nodes among them) or an InputError; a small cluster can be
// built, and every GPU reaches every other.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/hardware/topology.hpp"
#include "models/units/error.hpp"
#include "sim/scenario/scenario.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  try {
    const moesim::ClusterSpec cluster = moesim::parse_cluster(text, "fuzz.yaml", "/nowhere");
    if (cluster.gpus() > 64) return 0;  // routes of all pairs take too long for a fuzzer
    const moesim::Topology topology{cluster};
    for (int src = 0; src < topology.gpus(); ++src)
      for (int dst = 0; dst < topology.gpus(); ++dst)
        if (topology.route(src, dst).empty() != (src == dst)) std::abort();
  } catch (const moesim::InputError&) {
  }
  return 0;
}
