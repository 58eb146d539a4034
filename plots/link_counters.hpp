#pragma once
// How much of their links' capacity exchanges take, as counters of a trace.

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "plots/trace.hpp"

namespace moesim {

/// A counter for NVLink (or PCIe) and for the NIC of each chosen GPU, out and in; for every NIC that is no GPU's own in
/// the chosen GPUs' nodes; and one for each tier of the fabric, of its busiest link.
///
/// An exchange counts with its mean rate on the busiest link of the counter. Exchanges of several microbatches may be
/// under way at once; the run does not make them share, so their sum is cut at 1 and most_wanted() tells.
class LinkCounters {
public:
  /// chosen [GPUs of the topology], process_of_node [nodes]
  LinkCounters(const Topology& topology, const std::vector<bool>& chosen, const std::vector<int>& process_of_node,
               int fabric_process, std::size_t cap);

  /// What has ended by `begin` or starts after `end` is not kept.
  void keep_between(Nanoseconds begin, Nanoseconds end);

  /// link_bytes [links] moved evenly between begin and end.
  void add(std::span<const double> link_bytes, Seconds begin, Seconds end);

  /// Bytes that GPUs of a group move when they come to it; several times until they have.
  void hold(int group, Cause cause, std::span<const double> link_bytes);
  /// span_of(gpu): when that GPU moved them; (gpu -1: of a link that is no GPU's own).
  using SpanOf = std::function<std::pair<Seconds, Seconds>(int gpu)>;
  void release(int group, Cause cause, const SpanOf& span_of);

  const std::vector<TraceCounter>& counters() const { return counters_; }
  /// Values at every change between begin and end, from a first one at `begin`.
  std::vector<CounterPoint> points(Nanoseconds begin, Nanoseconds end);
  bool has_fabric() const { return has_fabric_; }
  std::int64_t dropped() const { return dropped_; }
  double most_wanted() const { return most_wanted_; }  ///< of a capacity, by the points

private:
  struct Series {
    int counter;
    int place;  ///< in the counter's series
    int gpu;    ///< whose link it is, -1: nobody's
    std::vector<LinkId> links;
  };
  struct Use {
    Nanoseconds begin, end;
    int series;
    double share;
  };

  struct Change {
    Nanoseconds at;
    int counter, series;
    double by;
    int begins;  ///< 1 or -1
  };

  void watch(const Topology& topology, LinkId link, int vertex, bool out, const std::vector<bool>& chosen,
             const std::vector<int>& process_of_node);
  void watch_fabric(LinkId link, Tier tier, int process);
  Series& series_of(int key, bool out, const TraceCounter& counter, int gpu);
  Seconds at_capacity(const Series& series, std::span<const double> link_bytes) const;
  std::vector<Change> changes_between(Nanoseconds begin, Nanoseconds end) const;
  void keep(int series, Seconds busy, Seconds begin, Seconds end);

  std::vector<double> capacity_;  ///< [links] bytes per second
  std::vector<TraceCounter> counters_;
  std::vector<Series> series_;
  std::map<std::pair<int, bool>, std::size_t> index_;  ///< (vertex and tier, or tier of the fabric; out) -> series
  std::map<std::pair<int, Cause>, std::vector<Seconds>> held_;  ///< (group, cause) -> [series] at capacity
  std::vector<Use> uses_;
  Nanoseconds from_, to_;
  std::size_t cap_;
  std::int64_t dropped_ = 0;
  bool has_fabric_ = false;
  double most_wanted_ = 0;
};

}  // namespace moesim
