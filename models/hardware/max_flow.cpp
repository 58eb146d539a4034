#include "models/hardware/max_flow.hpp"

#include <cmath>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>

namespace moesim {
namespace {

class MaxFlow {
public:
  MaxFlow(std::span<const Link> links, std::size_t vertices) : flow_(vertices + 2) {
    for (const Link& link : links)
      add(static_cast<std::size_t>(link.from), static_cast<std::size_t>(link.to), std::llround(link.capacity.value()));
  }

  long long between(std::span<const int> sources, std::span<const int> sinks) {
    const std::size_t source = boost::num_vertices(flow_) - 2, sink = source + 1;
    const long long unlimited = total_ + 1;
    for (int gpu : sources) add(source, static_cast<std::size_t>(gpu), unlimited);
    for (int gpu : sinks) add(static_cast<std::size_t>(gpu), sink, unlimited);
    return boost::push_relabel_max_flow(flow_, source, sink);
  }

private:
  using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
  using Graph = boost::adjacency_list<
      boost::vecS, boost::vecS, boost::directedS, boost::no_property,
      boost::property<boost::edge_capacity_t, long long,
                      boost::property<boost::edge_residual_capacity_t, long long,
                                      boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;

  void add(std::size_t from, std::size_t to, long long capacity) {
    const auto forth = boost::add_edge(from, to, flow_).first, back = boost::add_edge(to, from, flow_).first;
    boost::put(boost::edge_capacity, flow_, forth, capacity);
    boost::put(boost::edge_reverse, flow_, forth, back);
    boost::put(boost::edge_reverse, flow_, back, forth);
    total_ += capacity;
  }

  Graph flow_;
  long long total_ = 0;
};

}  // namespace

BytesPerSecond maximum_flow(std::span<const Link> links, std::size_t vertices, std::span<const int> sources,
                            std::span<const int> sinks) {
  return BytesPerSecond{static_cast<double>(MaxFlow{links, vertices}.between(sources, sinks))};
}

}  // namespace moesim
