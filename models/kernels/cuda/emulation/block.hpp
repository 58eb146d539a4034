#pragma once
// The execution model of CUDA on the host: one thread block at a time, every CUDA thread a fiber that runs until it has
// to wait. Deterministic. What the order of threads could hide is checked instead (shared_memory.hpp).

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <vector>

#include "models/kernels/cuda/emulation/async_engine.hpp"
#include "models/kernels/cuda/emulation/fiber.hpp"
#include "models/kernels/cuda/emulation/shared_memory.hpp"

namespace moesim::cuda::emulation {

struct Launch {
  int blocks;
  int threads;  ///< per block, a multiple of 32
  std::size_t shared_bytes = 0;
};

/// Runs `kernel` once per thread of every block, block after block. Throws KernelFault on what the device forbids: bad
/// addresses, unordered accesses, a barrier or warp operation that not all of its threads reach.
void launch(const Launch& shape, const std::function<void()>& kernel);

/// One running block, as its threads see it; current_block() finds it.
class Block {
public:
  static constexpr int kLanes = 32;
  using Arguments = std::array<void*, kLanes>;

  Block(const Launch& shape, int index, const std::function<void()>& kernel);
  void run();

  int thread() const { return running_; }
  int index() const { return index_; }
  const Launch& shape() const { return shape_; }
  Moment now() const { return {running_, barriers_}; }
  SharedMemory& shared() { return shared_; }

  /// Waits for every thread of the block.
  void barrier();
  /// Waits for the 32 lanes of the warp to call the same `operation`; the last one runs it on the arguments of all.
  void warp(const char* operation, void* argument, void (*apply)(const Arguments&));

  void copy_async(std::uint32_t target, const void* source, bool wanted);
  void commit_copies();
  /// The copies of all but the `newest` last committed groups of this thread arrive now, not before.
  void wait_copies(std::size_t newest);

  AsyncEngine& engine() { return engine_; }
  /// Arrivals and copies that may let waiting threads go on.
  void arrive_at_phase(std::uint32_t barrier, std::uint32_t bytes);
  void copy_tile(std::uint32_t target, const TensorMap& map, int column, int row, std::uint32_t barrier);
  /// Waits until the mbarrier has completed the phase of that parity.
  void wait_phase(std::uint32_t barrier, int parity);

private:
  enum class State { ready, at_barrier, at_phase, in_warp, done };
  struct Copy {
    std::uint32_t target;
    const void* source;  ///< null: zeros
  };
  static void enter();
  struct Thread {
    Fiber fiber{&Block::enter};
    State state = State::ready;
    std::uint32_t phase_barrier = 0;  ///< while at_phase
    std::vector<Copy> uncommitted;
    std::deque<std::vector<Copy>> groups;
  };
  struct Warp {
    const char* operation = nullptr;
    int arrived = 0;
    Arguments arguments{};
  };

  void run_thread();
  void wait(State state);
  void wake(std::uint32_t phase_barrier);
  void leave_to_next();
  int next_ready() const;
  [[noreturn]] void report_deadlock() const;

  Launch shape_;
  int index_;
  const std::function<void()>& kernel_;
  SharedMemory shared_;
  AsyncEngine engine_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  Fiber outside_;
  int running_ = 0, barriers_ = 0, at_barrier_ = 0;
  std::exception_ptr failure_;
};

/// The block whose thread is running; only kernels call this.
Block& current_block();

}  // namespace moesim::cuda::emulation
