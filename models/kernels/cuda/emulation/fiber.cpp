#include "models/kernels/cuda/emulation/fiber.hpp"

#include <cstddef>

#include <ucontext.h>

namespace moesim::cuda::emulation {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256} << 10;  // generous for sanitizers; pages are touched on demand

}  // namespace

struct Fiber::Context {
  ucontext_t registers;
  std::unique_ptr<char[]> stack;
};

Fiber::Fiber() : context_{std::make_unique<Context>()} {}

Fiber::Fiber(void (*entry)()) : Fiber{} {
  context_->stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  getcontext(&context_->registers);
  context_->registers.uc_stack.ss_sp = context_->stack.get();
  context_->registers.uc_stack.ss_size = kStackBytes;
  context_->registers.uc_link = nullptr;
  makecontext(&context_->registers, entry, 0);
}

Fiber::~Fiber() = default;
Fiber::Fiber(Fiber&&) noexcept = default;

void Fiber::switch_to(Fiber& next) {
  swapcontext(&context_->registers, &next.context_->registers);
}

}  // namespace moesim::cuda::emulation
