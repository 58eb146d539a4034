#pragma once
// The only header that includes SimGrid: 3.32 (Debian 12) to 4.x (Debian 13) behind a few words of ours.

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <simgrid/s4u.hpp>
#include <simgrid/version.h>

#include "models/units/quantity.hpp"

namespace moesim::simgrid_compat {

namespace sg4 = simgrid::s4u;

/// Flags under which SimGrid shares links max-min fairly at line rate: its defaults model TCP (sharing weighted by
/// latency, 97 % of the bandwidth, ACK traffic on the way back, a window bound). Silent, because libraries do not
/// print.
inline std::vector<std::string> neutral_flags(Seconds timing_precision) {
#if SIMGRID_VERSION >= 33400
  const char* precision = "--cfg=precision/timing:";
#else
  const char* precision = "--cfg=surf/precision:";
#endif
  char value[32];
  std::snprintf(value, sizeof value, "%.17g", timing_precision.value());
  std::vector<std::string> flags{"moesim",
                                 "--log=root.thresh:critical",
                                 "--cfg=network/model:CM02",
                                 "--cfg=network/crosstraffic:0",
                                 "--cfg=network/TCP-gamma:0",
                                 std::string{precision} + value};
#ifdef __SANITIZE_ADDRESS__
  // AddressSanitizer takes an exception on a stack that SimGrid switched to for an overflow; it knows threads.
  flags.emplace_back("--cfg=contexts/factory:thread");
#endif
  return flags;
}

/// SimGrid takes its flags as a command line, and removes those it knows from it.
class EngineWithFlags {
public:
  explicit EngineWithFlags(std::vector<std::string> flags)
      : flags_{std::move(flags)}, arguments_{pointers(flags_)}, engine_{&count_, arguments_.data()} {}

  sg4::Engine* operator->() { return &engine_; }

private:
  std::vector<char*> pointers(std::vector<std::string>& flags) {
    std::vector<char*> all;
    all.reserve(flags.size() + 1);
    for (std::string& flag : flags) all.push_back(flag.data());
    count_ = static_cast<int>(all.size());
    all.push_back(nullptr);
    return all;
  }

  int count_ = 0;
  std::vector<std::string> flags_;
  std::vector<char*> arguments_;
  sg4::Engine engine_;
};

inline sg4::NetZone* add_full_zone([[maybe_unused]] EngineWithFlags& engine) {
#if SIMGRID_VERSION >= 40000
  return engine->get_netzone_root()->add_netzone_full("cluster");
#else
  return sg4::create_full_zone("cluster");
#endif
}

inline sg4::Host* add_host(sg4::NetZone* zone, const std::string& name) {
  constexpr double kAnySpeed = 1e9;  // hosts only send and sleep here
#if SIMGRID_VERSION >= 40000
  return zone->add_host(name, kAnySpeed);
#else
  return zone->create_host(name, kAnySpeed);
#endif
}

/// A plain shared link of latency 0: CM02 would weight a flow's share by the latency of its route.
inline sg4::Link* add_link(sg4::NetZone* zone, const std::string& name, BytesPerSecond capacity) {
#if SIMGRID_VERSION >= 40000
  return zone->add_link(name, capacity.value())->set_latency(0);
#else
  return zone->create_link(name, capacity.value())->set_latency(0);
#endif
}

inline void add_one_way_route(sg4::NetZone* zone, sg4::Host* src, sg4::Host* dst,
                              const std::vector<sg4::LinkInRoute>& links) {
#if SIMGRID_VERSION >= 33500
  zone->add_route(src, dst, links, false);
#else
  zone->add_route(src->get_netpoint(), dst->get_netpoint(), nullptr, nullptr, links, false);
#endif
}

template <class Code>
sg4::ActorPtr add_actor([[maybe_unused]] EngineWithFlags& engine, const std::string& name, sg4::Host* host, Code code) {
#if SIMGRID_VERSION >= 40100
  return host->add_actor(name, std::move(code));
#elif SIMGRID_VERSION >= 40000
  return engine->add_actor(name, host, std::move(code));
#else
  return sg4::Actor::create(name, host, std::move(code));
#endif
}

}  // namespace moesim::simgrid_compat
