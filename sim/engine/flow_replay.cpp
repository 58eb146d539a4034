#include "sim/engine/flow_replay.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "models/collectives/collectives.hpp"
#include "models/units/error.hpp"
#include "sim/engine/forked.hpp"
#include "sim/engine/simgrid_compat.hpp"

namespace moesim {
namespace {

using namespace simgrid_compat;

using Pair = std::pair<int, int>;

bool travels(const Flow& flow) {
  return flow.bytes.value() > 0 && flow.src != flow.dst;
}

void check_flows(const Topology& topology, std::span<const Flow> flows) {
  std::map<Pair, const Flow*> first_of_pair;
  for (const Flow& flow : flows) {
    const int highest = std::max(flow.src, flow.dst), lowest = std::min(flow.src, flow.dst);
    const bool known_links = std::all_of(flow.links.begin(), flow.links.end(), [&](LinkId link) {
      return link >= 0 && static_cast<std::size_t>(link) < topology.links().size();
    });
    if (lowest < 0 || highest >= topology.gpus() || !known_links || (travels(flow) && flow.links.empty()))
      throw std::invalid_argument{fmt::format("a flow {} -> {} on {} GPUs and {} links", flow.src, flow.dst,
                                              topology.gpus(), topology.links().size())};
    const auto [first, is_new] = first_of_pair.try_emplace({flow.src, flow.dst}, &flow);
    if (!is_new && first->second->links != flow.links)
      throw RunError{
          fmt::format("two flows {} -> {} over different links: a SimGrid pair has one route", flow.src, flow.dst)};
  }
}

Seconds fluid_bound(const Topology& topology, std::span<const Flow> flows, const CollectiveParameters& efficiency) {
  const auto bytes = link_bytes(flows, topology.links().size());
  const auto bandwidths = achieved_bandwidths(topology, efficiency);
  Seconds longest;
  for (std::size_t link = 0; link < bytes.size(); ++link)
    longest = std::max(longest, Bytes{bytes[link]} / bandwidths[link]);
  return longest;
}

/// The collective inside the forked process.
class Replay {
public:
  Replay(const Topology& topology, std::span<const Flow> flows, Seconds precision,
         const CollectiveParameters& efficiency, std::span<const Seconds> starts)
      : topology_{topology},
        flows_{flows},
        starts_{starts},
        engine_{neutral_flags(precision)},
        zone_{add_full_zone(engine_)},
        finish_(flows.size(), 0) {
    build(efficiency);
  }

  /// [makespan, finish of every flow]
  std::vector<double> run() {
    for (const auto& [gpu, ends] : ends_of_)
      add_actor(engine_, fmt::format("gpu{}", gpu), hosts_.at(gpu),
                [this, gpu = gpu, &ends = ends] { exchange(gpu, ends); });
    start_ = sg4::Engine::get_clock();
    engine_->run();
    std::vector<double> answer{finish_.empty() ? 0 : *std::max_element(finish_.begin(), finish_.end())};
    answer.insert(answer.end(), finish_.begin(), finish_.end());
    return answer;
  }

private:
  struct Ends {
    std::vector<std::size_t> in, out;  ///< flows
  };

  /// SimGrid counts whole bytes; a thousand-odd of its bytes to one of ours keeps expected (fractional) bytes apart.
  static constexpr double kScale = 1024;

  void build(const CollectiveParameters& efficiency) {
    const auto bandwidths = achieved_bandwidths(topology_, efficiency);
    std::vector<sg4::Link*> links(bandwidths.size(), nullptr);
    const auto link = [&](LinkId id) {
      auto& known = links[static_cast<std::size_t>(id)];
      if (!known) known = add_link(zone_, fmt::format("link{}", id), kScale * bandwidths[static_cast<std::size_t>(id)]);
      return known;
    };
    const auto host = [&](int gpu) {
      auto& known = hosts_[gpu];
      if (!known) known = add_host(zone_, fmt::format("gpu{}", gpu));
      return known;
    };
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      const Flow& flow = flows_[i];
      if (!travels(flow)) continue;
      auto*& box = mailboxes_[{flow.src, flow.dst}];
      if (!box) {
        box = sg4::Mailbox::by_name(fmt::format("{}-{}", flow.src, flow.dst));
        std::vector<sg4::LinkInRoute> route;
        for (LinkId id : flow.links) route.emplace_back(link(id));
        add_one_way_route(zone_, host(flow.src), host(flow.dst), route);
      }
      ends_of_[flow.src].out.push_back(i);
      ends_of_[flow.dst].in.push_back(i);
    }
    zone_->seal();
  }

  /// One GPU's part: post all receives, then all sends when it is its time, and wait.
  void exchange(int gpu, const Ends& ends) {
    std::vector<sg4::CommPtr> receives, sends;
    std::vector<int*> received(ends.in.size());
    for (std::size_t i = 0; i < ends.in.size(); ++i) receives.push_back(mailbox(ends.in[i])->get_async(&received[i]));
    if (!starts_.empty()) sg4::this_actor::sleep_until(start_ + starts_[static_cast<std::size_t>(gpu)].value());
    static int token = 0;  // SimGrid wants something to carry
    for (std::size_t flow : ends.out)
      sends.push_back(mailbox(flow)->put_async(
          &token, static_cast<std::uint64_t>(std::llround(kScale * flows_[flow].bytes.value()))));
    for (const auto& receive : receives) receive->wait();
    for (std::size_t i = 0; i < sends.size(); ++i) {
      sends[i]->wait();
      finish_[ends.out[i]] = sends[i]->get_finish_time() - start_;
    }
  }

  sg4::Mailbox* mailbox(std::size_t flow) const { return mailboxes_.at({flows_[flow].src, flows_[flow].dst}); }

  const Topology& topology_;
  std::span<const Flow> flows_;
  std::span<const Seconds> starts_;
  EngineWithFlags engine_;
  sg4::NetZone* zone_;
  std::map<int, sg4::Host*> hosts_;
  std::map<Pair, sg4::Mailbox*> mailboxes_;
  std::map<int, Ends> ends_of_;
  std::vector<double> finish_;
  double start_ = 0;
};

}  // namespace

FlowReplay replay_flows(const Topology& topology, std::span<const Flow> flows, Seconds quantum,
                        const CollectiveParameters& efficiency, std::span<const Seconds> start) {
  check_flows(topology, flows);
  if (!start.empty() && start.size() != static_cast<std::size_t>(topology.gpus()))
    throw std::invalid_argument{fmt::format("starts of {} GPUs, expected {}", start.size(), topology.gpus())};
  if (!(quantum >= Seconds{})) throw std::invalid_argument{fmt::format("a quantum of {} s", quantum.value())};
  if (std::none_of(flows.begin(), flows.end(), travels)) return {Seconds{}, std::vector<Seconds>(flows.size())};

  constexpr Seconds kFinest{1e-12};
  const Seconds precision = std::max(kFinest, std::min(quantum, fluid_bound(topology, flows, efficiency) / 1000));
  const auto answer = run_forked(fmt::format("flow replay of {} flows", flows.size()), [&] {
    return Replay{topology, flows, precision, efficiency, start}.run();
  });
  FlowReplay replay{Seconds{answer.at(0)}, {}};
  for (std::size_t i = 1; i < answer.size(); ++i) replay.finish.emplace_back(answer[i]);
  return replay;
}

}  // namespace moesim
