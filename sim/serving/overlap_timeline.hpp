#pragma once
// Two micro-batches on one GPU's compute and communication at once (domain H), for all ranks of a group.

#include <array>
#include <span>
#include <vector>

#include "sim/events/events.hpp"

namespace moesim {

/// What happens on an OverlapTimeline, as it happens. batch: of the two micro-batches, 0 or 1.
class OverlapListener {
public:
  virtual ~OverlapListener() = default;
  /// begin, end [ranks]
  virtual void worked(int batch, Cause cause, std::span<const Seconds> begin, std::span<const Seconds> end) = 0;
  /// For that micro-batch's last collective, of that cause.
  virtual void waited(int batch, Cause cause, std::span<const Seconds> begin, std::span<const Seconds> end) = 0;
  virtual void started(int batch, Cause cause, Seconds begin, Seconds end) = 0;
};

/// Work is issued in one order on every rank, as engines do: a computation waits for the one before it on its rank, a
/// collective for all ranks to issue it and for the collective before it. While a collective is in flight, computations
/// proceed at a lower rate (the SMs and the memory bandwidth that communication takes).
class OverlapTimeline {
public:
  /// compute_rate: of a rank's computation beside a collective, in (0, 1].
  /// Throws std::invalid_argument outside that range.
  OverlapTimeline(int ranks, double compute_rate, OverlapListener* listener = nullptr);

  /// seconds [ranks] of a rank that computes alone, for one of the two micro-batches, 0 or 1.
  void compute(int batch, Cause cause, std::span<const double> seconds);
  /// Starts a collective of a micro-batch.
  void start(int batch, Cause cause, Seconds duration);
  /// Every rank waits for that micro-batch's last collective.
  void wait(int batch);

  /// Ranks wait for the last one. Afterwards spent() is what each rank spent since the last meeting, waiting for a
  /// collective included under its cause; the largest sum over causes is the time that passed.
  void meet();
  Seconds met() const { return ready_.front(); }  ///< the last meeting, counted from the first
  const std::vector<double>& spent(Cause cause) const { return spent_[static_cast<std::size_t>(cause)]; }
  /// Forgets what was spent.
  void clear();

private:
  struct Collective {
    Seconds begin, end;
    Cause cause;
  };

  Seconds end_of(Seconds begin, Seconds alone) const;

  double compute_rate_;
  OverlapListener* listener_;
  std::vector<Seconds> ready_;   ///< [ranks] when the compute stream is free
  std::vector<Seconds> before_;  ///< [ranks] the same before the last computation or waiting
  std::vector<Collective> in_flight_;
  std::array<Collective, 2> last_of_{};
  Seconds network_free_;
  std::array<std::vector<double>, kCauses> spent_;
};

}  // namespace moesim
