#include "models/kernels/cuda/emulation/fiber.hpp"

#include <cstddef>

#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__  // AddressSanitizer has to be told which stack is in use
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** old_bottom, std::size_t* old_size);
}
#endif

namespace moesim::cuda::emulation {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256} << 10;  // generous for sanitizers; pages are touched on demand

}  // namespace

struct Fiber::Context {
  ucontext_t registers;
  std::unique_ptr<char[]> stack;
  void (*entry)() = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;

  static thread_local Context *from, *to;  ///< of the switch being made

  static void leave([[maybe_unused]] void** fake_stack) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(fake_stack, to->bottom, to->size);
#endif
  }
  static void arrive([[maybe_unused]] void* fake_stack) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake_stack, &from->bottom, &from->size);
#endif
  }
  static void start() {
    arrive(nullptr);
    to->entry();
  }
};

thread_local Fiber::Context* Fiber::Context::from = nullptr;
thread_local Fiber::Context* Fiber::Context::to = nullptr;

Fiber::Fiber() : context_{std::make_unique<Context>()} {}

Fiber::Fiber(void (*entry)()) : Fiber{} {
  context_->stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  context_->entry = entry;
  context_->bottom = context_->stack.get();
  context_->size = kStackBytes;
  getcontext(&context_->registers);
  context_->registers.uc_stack.ss_sp = context_->stack.get();
  context_->registers.uc_stack.ss_size = kStackBytes;
  context_->registers.uc_link = nullptr;
  makecontext(&context_->registers, &Context::start, 0);
}

Fiber::~Fiber() = default;
Fiber::Fiber(Fiber&&) noexcept = default;

void Fiber::switch_to(Fiber& next) {
  Context::from = context_.get();
  Context::to = next.context_.get();
  void* fake_stack = nullptr;
  Context::leave(&fake_stack);
  swapcontext(&context_->registers, &next.context_->registers);
  Context::arrive(fake_stack);
}

}  // namespace moesim::cuda::emulation
