#include "models/kernels/cuda/emulation/block.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "models/kernels/cuda/emulation/global_memory.hpp"

namespace moesim::cuda::emulation {
namespace {

constexpr std::size_t kCopyBytes = 16;

thread_local Block* current = nullptr;

}  // namespace

Block& current_block() {
  return *current;
}

void launch(const Launch& shape, const std::function<void()>& kernel) {
  if (shape.threads <= 0 || shape.threads % Block::kLanes != 0 || shape.threads > 1024)
    throw std::invalid_argument{fmt::format("{} threads: a block has 32 to 1024, whole warps", shape.threads)};
  for (int index = 0; index < shape.blocks; ++index) Block{shape, index, kernel}.run();
}

Block::Block(const Launch& shape, int index, const std::function<void()>& kernel)
    : shape_{shape},
      index_{index},
      kernel_{kernel},
      shared_{shape.shared_bytes},
      engine_{shared_, shape.threads},
      threads_(static_cast<std::size_t>(shape.threads)),
      warps_(threads_.size() / kLanes) {}

void Block::run() {
  current = this;
  outside_.switch_to(threads_.front().fiber);
  current = nullptr;
  if (failure_) std::rethrow_exception(failure_);
}

void Block::enter() {
  current->run_thread();
}

// Never returns: the last thread to end, or the first to fail, goes back to run(). Threads left in the middle are
// dropped with their stacks, which is sound because kernels own nothing.
void Block::run_thread() {
  try {
    kernel_();
    threads_[static_cast<std::size_t>(running_)].state = State::done;
    leave_to_next();
  } catch (...) {
    failure_ = std::current_exception();
  }
  threads_[static_cast<std::size_t>(running_)].fiber.switch_to(outside_);
}

int Block::next_ready() const {
  const auto is_ready = [](const Thread& thread) { return thread.state == State::ready; };
  const auto first_of_warp = threads_.begin() + running_ / kLanes * kLanes;
  const auto in_warp =
      std::find_if(first_of_warp, first_of_warp + kLanes, is_ready);  // finish a warp's operation first
  if (in_warp != first_of_warp + kLanes) return static_cast<int>(in_warp - threads_.begin());
  const auto found = std::find_if(threads_.begin(), threads_.end(), is_ready);
  return found == threads_.end() ? -1 : static_cast<int>(found - threads_.begin());
}

void Block::leave_to_next() {
  Thread& self = threads_[static_cast<std::size_t>(running_)];
  const int next = next_ready();
  if (next < 0) {
    const bool all_done =
        std::all_of(threads_.begin(), threads_.end(), [](const Thread& thread) { return thread.state == State::done; });
    if (!all_done) report_deadlock();
    return;
  }
  running_ = next;
  self.fiber.switch_to(threads_[static_cast<std::size_t>(next)].fiber);
}

void Block::wait(State state) {
  const int self = running_;
  threads_[static_cast<std::size_t>(self)].state = state;
  leave_to_next();
}

void Block::report_deadlock() const {
  const auto count = [&](State state) {
    return std::count_if(threads_.begin(), threads_.end(), [&](const Thread& t) { return t.state == state; });
  };
  throw KernelFault{fmt::format(
      "nobody can go on: {} threads at a barrier, {}{} in a warp operation, {} have returned", count(State::at_barrier),
      count(State::at_phase) > 0 ? fmt::format("{} at an mbarrier, ", count(State::at_phase)) : "",
      count(State::in_warp), count(State::done))};
}

void Block::barrier() {
  if (++at_barrier_ < shape_.threads) return wait(State::at_barrier);
  at_barrier_ = 0;
  ++barriers_;
  for (Thread& thread : threads_)
    if (thread.state == State::at_barrier) thread.state = State::ready;
}

void Block::warp(const char* operation, void* argument, void (*apply)(const Arguments&)) {
  Warp& warp = warps_[static_cast<std::size_t>(running_ / kLanes)];
  if (warp.arrived > 0 && std::strcmp(warp.operation, operation) != 0)
    throw KernelFault{fmt::format("thread {} calls {} while its warp is in {}", running_, operation, warp.operation)};
  warp.operation = operation;
  warp.arguments[static_cast<std::size_t>(running_ % kLanes)] = argument;
  if (++warp.arrived < kLanes) return wait(State::in_warp);
  warp.arrived = 0;
  apply(warp.arguments);
  const auto first = threads_.begin() + running_ / kLanes * kLanes;
  for (auto thread = first; thread != first + kLanes; ++thread) thread->state = State::ready;
}

void Block::wake(std::uint32_t phase_barrier) {
  for (Thread& thread : threads_)
    if (thread.state == State::at_phase && thread.phase_barrier == phase_barrier) thread.state = State::ready;
}

void Block::arrive_at_phase(std::uint32_t barrier, std::uint32_t bytes) {
  engine_.arrive(barrier, bytes, now());
  wake(barrier);
}

void Block::copy_tile(std::uint32_t target, const TensorMap& map, int column, int row, std::uint32_t barrier) {
  engine_.copy(target, map, column, row, barrier, now());
  wake(barrier);
}

void Block::wait_phase(std::uint32_t barrier, int parity) {
  threads_[static_cast<std::size_t>(running_)].phase_barrier = barrier;
  while (!engine_.has_completed(barrier, parity, now())) wait(State::at_phase);
}

void Block::copy_async(std::uint32_t target, const void* source, bool wanted) {
  check_global(source, kCopyBytes, Access::read);
  shared_.begin_copy(target, kCopyBytes, now());
  threads_[static_cast<std::size_t>(running_)].uncommitted.push_back({target, wanted ? source : nullptr});
}

void Block::commit_copies() {
  Thread& self = threads_[static_cast<std::size_t>(running_)];
  self.groups.push_back(std::move(self.uncommitted));
  self.uncommitted.clear();
}

void Block::wait_copies(std::size_t newest) {
  Thread& self = threads_[static_cast<std::size_t>(running_)];
  for (; self.groups.size() > newest; self.groups.pop_front())
    for (const Copy& copy : self.groups.front()) {
      std::array<std::byte, kCopyBytes> bytes{};
      if (copy.source) std::memcpy(bytes.data(), copy.source, kCopyBytes);
      shared_.finish_copy(copy.target, bytes, now());
    }
}

}  // namespace moesim::cuda::emulation
