#pragma once
// What runs beside the threads of a block on Hopper: copies of tiles by the copy engine, mbarriers that count them and
// the threads, and matrix operations that read shared memory on their own. Everything happens as late as it may, and
// every order that the kernel relies on must have been made by a wait:
//
//   a matrix operation reads a tile     after each of its threads has waited for the mbarrier the tile's copy signals
//   a copy overwrites a tile            after its thread has waited for an mbarrier at which each warp that read the
//   tile
//                                       arrived when its operations had finished
//
// Who knows of whose arrivals is kept as vector clocks: per thread, the number of arrivals of every warp that it knows.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "models/kernels/cuda/emulation/shared_memory.hpp"

namespace moesim::cuda::emulation {

/// A row-major matrix of 2-byte elements in global memory, copied in boxes of box_rows x 64 with the 128-byte swizzle;
/// what lies outside the matrix arrives as zeros.
struct TensorMap {
  const void* base;
  std::uint64_t rows, columns;
  std::uint32_t box_rows;
};

/// d [64, n] of a warpgroup += a [64, 16] b [n, 16]^T, for the 16 rows of one warp.
struct AsyncMultiply {
  std::array<float*, 32> d;  ///< of each lane
  std::uint64_t a, b;        ///< matrix descriptors
  int n;
  bool accumulate;
};

class AsyncEngine {
public:
  AsyncEngine(SharedMemory& shared, int threads);

  void init_barrier(std::uint32_t address, int arrivals, Moment moment);
  /// Adds `bytes` to what the phase waits for, then arrives.
  void arrive(std::uint32_t address, std::uint32_t bytes, Moment moment);
  /// Whether the phase of that parity has completed; then the thread knows what its arrivals tell. Lets copies arrive.
  bool has_completed(std::uint32_t address, int parity, Moment moment);

  void copy(std::uint32_t target, const TensorMap& map, int column, int row, std::uint32_t barrier, Moment moment);

  /// Of the warp whose lanes call it together.
  void multiply(const AsyncMultiply& operation, int warp, int barriers);
  void commit(int warp);
  /// The operations of all but the `newest` last groups of the warp are done now, not before.
  void wait(int warp, std::size_t newest);

private:
  static constexpr std::uint32_t kGranule = 1024;  ///< 8 rows of 128 bytes: what swizzles stay within
  using Clock = std::vector<int>;                  ///< arrivals of each warp

  struct Copy {
    std::uint32_t target;
    TensorMap map;
    int column, row;
  };
  struct Barrier {
    int arrivals, initialised_by, initialised_at;
    int pending;
    std::int64_t bytes = 0;
    int phases = 0;  ///< completed
    std::vector<Copy> copies;
    Clock arriving, released;
    std::vector<int> observed;  ///< phases that each thread has waited for
  };
  struct Granule {
    std::uint32_t barrier = 0;
    int phase = -1;                     ///< of the barrier, when its copy arrived
    std::vector<int> reading, read_at;  ///< per warp: unfinished operations, arrivals of the warp when it last read
  };

  Barrier& barrier(std::uint32_t address, Moment moment);
  void complete_if_due(Barrier& barrier);
  void finish(const Copy& copy);
  void check_overwrite(std::uint32_t target, std::uint32_t bytes, Moment moment) const;
  template <class Visit>
  void for_granules(const AsyncMultiply& operation, int warp, Visit visit);
  void perform(const AsyncMultiply& operation, int warp);

  SharedMemory& shared_;
  std::size_t warps_;
  std::map<std::uint32_t, Barrier> barriers_;
  std::vector<Granule> granules_;
  std::vector<Clock> known_;  ///< per thread
  Clock arrivals_;            ///< per warp
  struct Queue {
    std::vector<AsyncMultiply> open;
    std::deque<std::vector<AsyncMultiply>> groups;
  };
  std::vector<Queue> queues_;  ///< per warp
};

}  // namespace moesim::cuda::emulation
