#include "models/kernels/cpu/weight_pool.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>

#include <sys/mman.h>

namespace moesim {
namespace {

/// A huge page: one address translation for 512 small ones, as serving engines on processors are told to run.
constexpr std::size_t kAlignment = 2u << 20;

std::size_t slot_size(Bytes expert) {
  constexpr std::size_t kSlotAlignment = 4096;
  const auto bytes = static_cast<std::size_t>(expert.value());
  return (bytes + kSlotAlignment - 1) / kSlotAlignment * kSlotAlignment;
}

std::size_t slot_count(std::size_t slot, Bytes at_least) {
  return std::max<std::size_t>(2, static_cast<std::size_t>(std::ceil(at_least.value() / static_cast<double>(slot))));
}

/// splitmix64 (Steele, Lea, Flood 2014) of the word's number: any thread may fill any part.
std::uint64_t mixed(std::uint64_t number) {
  number = (number + 1) * 0x9E3779B97F4A7C15u;
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9u;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EBu;
  return number ^ (number >> 31);
}

}  // namespace

void WeightPool::Free::operator()(std::byte* memory) const {
  ::operator delete[](memory, std::align_val_t{kAlignment});
}

Bytes WeightPool::size(Bytes expert, Bytes at_least) {
  const std::size_t slot = slot_size(expert);
  return Bytes{static_cast<double>(slot * slot_count(slot, at_least))};
}

void WeightPool::resize(Bytes expert, Bytes at_least) {
  slot_ = slot_size(expert);
  slots_ = slot_count(slot_, at_least);
  next_ = 0;
  if (slot_ * slots_ <= bytes_) return;
  memory_.reset();
  bytes_ = 0;
  memory_.reset(static_cast<std::byte*>(::operator new[](slot_* slots_, std::align_val_t{kAlignment})));
  bytes_ = slot_ * slots_;
  ::madvise(memory_.get(), bytes_, MADV_HUGEPAGE);                // where the system refuses, small pages do
  auto* words = reinterpret_cast<std::uint64_t*>(memory_.get());  // NOLINT: raw storage
  const auto count = static_cast<std::int64_t>(bytes_ / sizeof(std::uint64_t));
  // Sign and 7 bits of each half are random, the exponent is 2^-7: no NaN, no denormal, in f32 and in bf16.
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i)
    words[i] = (mixed(static_cast<std::uint64_t>(i)) & 0x807F807F807F807Fu) | 0x3C003C003C003C00u;
}

std::byte* WeightPool::next() {
  std::byte* slot = memory_.get() + next_ * slot_;
  next_ = (next_ + 1) % slots_;
  return slot;
}

}  // namespace moesim
