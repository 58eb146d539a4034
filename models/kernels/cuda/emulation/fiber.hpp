#pragma once
// A stack of its own that runs until it hands over to another one.

#include <memory>

namespace moesim::cuda::emulation {

class Fiber {
public:
  Fiber();                          ///< the stack that is running: something to come back to
  explicit Fiber(void (*entry)());  ///< runs `entry`, which must not return, at the first switch
  ~Fiber();
  Fiber(Fiber&&) noexcept;

  /// Stops here and goes on in `next`; returns when somebody switches back.
  void switch_to(Fiber& next);

private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace moesim::cuda::emulation
