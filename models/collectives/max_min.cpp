#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "models/collectives/collectives.hpp"

namespace moesim {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// Max-min fair rates of the flows that are still active.
class ProgressiveFilling {
public:
  /// route_of(f) is the span of links of flow f.
  template <class RouteOf>
  ProgressiveFilling(std::size_t flows, RouteOf route_of, std::span<const BytesPerSecond> capacity)
      : first_link_{0},
        flows_on_(capacity.size()),
        active_on_(capacity.size(), 0),
        is_active_(flows, 1),
        rate_(flows, 0) {
    for (BytesPerSecond c : capacity) capacity_.push_back(c.value());
    for (std::size_t flow = 0; flow < flows; ++flow) {
      for (LinkId link : route_of(flow)) add_link(flow, link);
      first_link_.push_back(link_.size());
    }
  }

  /// Raises all rates together; the links that fill up first fix their flows; and so on with the rest.
  const std::vector<double>& solve() {
    left_ = capacity_;
    open_on_ = active_on_;
    for (std::size_t flow = 0; flow < rate_.size(); ++flow) rate_[flow] = is_active_[flow] ? kInfinite : 0;
    Fullest fullest;
    for (std::size_t link = 0; link < left_.size(); ++link)
      if (open_on_[link] > 0) fullest.emplace(share(link), link);
    while (!fullest.empty()) {
      const auto [known_share, link] = fullest.top();
      fullest.pop();
      if (open_on_[link] == 0) continue;
      // Shares only grow while other flows are fixed, so an old entry is a lower bound: put it back in its place.
      if (const double now = share(link); now > known_share)
        fullest.emplace(now, link);
      else
        fix_flows_on(link, now);
    }
    return rate_;
  }

  void finish(std::size_t flow) {
    is_active_[flow] = 0;
    for (std::size_t link : links_of(flow)) --active_on_[link];
  }

private:
  using Fullest =
      std::priority_queue<std::pair<double, std::size_t>, std::vector<std::pair<double, std::size_t>>, std::greater<>>;

  void add_link(std::size_t flow, LinkId link) {
    const auto index = static_cast<std::size_t>(link);
    if (link < 0 || index >= capacity_.size() || !(capacity_[index] > 0))
      throw std::invalid_argument{fmt::format("flow {} crosses link {}, which has no capacity", flow, link)};
    link_.push_back(index);
    flows_on_[index].push_back(flow);
    ++active_on_[index];
  }

  std::span<const std::size_t> links_of(std::size_t flow) const {
    return std::span{link_}.subspan(first_link_[flow], first_link_[flow + 1] - first_link_[flow]);
  }
  double share(std::size_t link) const { return std::max(left_[link], 0.0) / open_on_[link]; }

  void fix_flows_on(std::size_t link, double rate) {
    auto& flows = flows_on_[link];
    std::erase_if(flows, [&](std::size_t flow) { return !is_active_[flow]; });
    for (std::size_t flow : flows) {
      if (rate_[flow] != kInfinite) continue;
      rate_[flow] = rate;
      for (std::size_t other : links_of(flow)) {
        left_[other] -= rate;
        --open_on_[other];
      }
    }
  }

  std::vector<std::size_t> first_link_, link_;      // links of each flow
  std::vector<std::vector<std::size_t>> flows_on_;  // flows of each link, finished ones removed on the way
  std::vector<int> active_on_, open_on_;            // flows per link: not finished, not yet fixed
  std::vector<double> capacity_, left_;
  std::vector<char> is_active_;
  std::vector<double> rate_;
};

/// A flow of the running replay.
struct Remaining {
  std::size_t flow;
  double bytes;
};

}  // namespace

std::vector<BytesPerSecond> max_min_rates(const std::vector<std::vector<LinkId>>& routes,
                                          std::span<const BytesPerSecond> capacity) {
  ProgressiveFilling filling{routes.size(), [&](std::size_t f) { return std::span{routes[f]}; }, capacity};
  std::vector<BytesPerSecond> rates;
  for (double rate : filling.solve()) rates.emplace_back(rate);
  return rates;
}

std::vector<Seconds> max_min_finish(std::span<const Flow> flows, std::span<const BytesPerSecond> capacity) {
  ProgressiveFilling filling{flows.size(), [&](std::size_t f) { return std::span{flows[f].links}; }, capacity};
  std::vector<Seconds> finish(flows.size());
  std::vector<Remaining> running;
  for (std::size_t flow = 0; flow < flows.size(); ++flow)
    if (flows[flow].bytes.value() > 0 && !flows[flow].links.empty())
      running.push_back({flow, flows[flow].bytes.value()});
    else
      filling.finish(flow);

  double now = 0;
  while (!running.empty()) {
    const auto& rate = filling.solve();
    double next = kInfinite;
    for (const Remaining& r : running) next = std::min(next, r.bytes / rate[r.flow]);
    now += next;
    // Completions that differ by rounding alone are one event.
    const double same_event = next * (1 + 1e-12);
    for (Remaining& r : running) {
      const bool done = r.bytes <= same_event * rate[r.flow];
      r.bytes = done ? 0 : r.bytes - next * rate[r.flow];
      if (done) finish[r.flow] = Seconds{now};
    }
    std::erase_if(running, [&](const Remaining& r) {
      if (r.bytes == 0) filling.finish(r.flow);
      return r.bytes == 0;
    });
  }
  return finish;
}

}  // namespace moesim
