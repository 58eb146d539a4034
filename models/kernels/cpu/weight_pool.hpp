#pragma once
// Random weights of many experts, seen as a ring.

#include <cstddef>
#include <memory>
#include <span>

#include "models/units/quantity.hpp"

namespace moesim {

/// Memory cut into slots of one expert each. Every word is a small number in f32 and a pair of them in bf16, so that
/// one filling serves all shapes.
class WeightPool {
public:
  /// Slots of `expert` bytes, as many as `at_least` bytes take and two or more. Memory of before is used again when it
  /// is large enough. Throws std::bad_alloc.
  void resize(Bytes expert, Bytes at_least);

  /// The next slot of the ring: `slots() - 1` others go by before it comes again.
  std::byte* next();
  void rewind() { next_ = 0; }

  std::size_t slots() const { return slots_; }
  /// All slots.
  std::span<std::byte> memory() const { return {memory_.get(), slot_ * slots_}; }
  /// What resize would hold.
  static Bytes size(Bytes expert, Bytes at_least);

private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t bytes_ = 0, slot_ = 0, slots_ = 0, next_ = 0;
};

}  // namespace moesim
