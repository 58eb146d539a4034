#pragma once
// The shared memory of one emulated thread block: poisoned, bounds-checked, and with a record per word of who touched
// it since which barrier, so that a missing barrier or wait is found whatever order the threads happen to run in.

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace moesim::cuda::emulation {

/// The kernel did what the device does not allow or does not order: the text says which thread, where and why.
struct KernelFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A thread at a point in time: two threads are ordered only by a barrier between them.
struct Moment {
  int thread;
  int barriers;  ///< how many barriers the block has passed
};

class SharedMemory {
public:
  explicit SharedMemory(std::size_t bytes);

  /// The bytes at `address`. Throws KernelFault outside the memory, on a misaligned address, on words nothing wrote,
  /// on words whose asynchronous copy has not been waited for, and on words another thread wrote since the last
  /// barrier.
  std::span<const std::byte> read(std::uint32_t address, std::size_t bytes, Moment moment);

  /// Throws KernelFault outside the memory and on words that another thread read or wrote since the last barrier.
  void write(std::uint32_t address, std::span<const std::byte> value, Moment moment);

  /// Adds to one word; adds of different threads need no barrier between them.
  void atomic_add(std::uint32_t address, int value, Moment moment);

  /// An asynchronous copy was issued: the words are poison until `finish_copy`.
  void begin_copy(std::uint32_t address, std::size_t bytes, Moment moment);
  void finish_copy(std::uint32_t address, std::span<const std::byte> value, Moment moment);

  /// The same for the copy engine, whose copies are ordered by mbarriers (async_engine.hpp) and not by barriers.
  void begin_engine_copy(std::uint32_t address, std::size_t bytes, Moment moment);
  void finish_engine_copy(std::uint32_t address, std::span<const std::byte> value);
  /// For matrix operations that read on their own: only what has arrived.
  std::span<const std::byte> read_by_engine(std::uint32_t address, std::size_t bytes) const;

  std::size_t size() const { return bytes_.size(); }

private:
  struct Word {
    int writer = kNobody, written_at = -1;  ///< thread, barriers passed
    int reader = kNobody, read_at = -1;
    bool in_flight = false;
  };
  static constexpr int kNobody = -1, kSeveral = -2, kAtomics = -3, kEngine = -4;

  std::span<Word> words(std::uint32_t address, std::size_t bytes, Moment moment);
  void check_write(std::span<const Word> touched, std::uint32_t address, Moment moment, int as) const;
  [[noreturn]] static void fail(const std::string& what, std::uint32_t address, Moment moment);

  std::vector<std::byte> bytes_;
  std::vector<Word> words_;
};

}  // namespace moesim::cuda::emulation
