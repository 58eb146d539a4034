#include "models/kernels/cuda/emulation/shared_memory.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace moesim::cuda::emulation {
namespace {

constexpr std::byte kPoison{0xFF};  // NaN in every floating-point format, -1 as an integer
constexpr std::size_t kWordBytes = 4;

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes) : bytes_(bytes, kPoison), words_((bytes + kWordBytes - 1) / kWordBytes) {}

void SharedMemory::fail(const std::string& what, std::uint32_t address, Moment moment) {
  throw KernelFault{
      fmt::format("thread {} after barrier {}, shared address {}: {}", moment.thread, moment.barriers, address, what)};
}

std::span<SharedMemory::Word> SharedMemory::words(std::uint32_t address, std::size_t bytes, Moment moment) {
  if (address + bytes > bytes_.size())
    fail(fmt::format("{} bytes reach outside the {} of the block", bytes, bytes_.size()), address, moment);
  if (address % bytes != 0) fail(fmt::format("not aligned to its {} bytes", bytes), address, moment);
  return std::span{words_}.subspan(address / kWordBytes, bytes / kWordBytes);
}

std::span<const std::byte> SharedMemory::read(std::uint32_t address, std::size_t bytes, Moment moment) {
  for (Word& word : words(address, bytes, moment)) {
    if (word.in_flight) fail("reads a copy that has not been waited for", address, moment);
    if (word.writer == kNobody) fail("reads what nothing wrote", address, moment);
    if (word.writer != moment.thread && word.written_at == moment.barriers)
      fail(fmt::format("reads what thread {} wrote, without a barrier between", word.writer), address, moment);
    word.reader = word.read_at == moment.barriers && word.reader != moment.thread ? kSeveral : moment.thread;
    word.read_at = moment.barriers;
  }
  return std::span{bytes_}.subspan(address, bytes);
}

void SharedMemory::check_write(std::span<const Word> touched, std::uint32_t address, Moment moment, int as) const {
  for (const Word& word : touched) {
    if (word.in_flight) fail("overwrites a copy in flight", address, moment);
    if (word.writer != as && word.written_at == moment.barriers)
      fail(fmt::format("overwrites what thread {} wrote, without a barrier between", word.writer), address, moment);
    if (word.reader != moment.thread && word.read_at == moment.barriers)
      fail("overwrites what another thread reads, without a barrier between", address, moment);
  }
}

void SharedMemory::write(std::uint32_t address, std::span<const std::byte> value, Moment moment) {
  const auto touched = words(address, value.size(), moment);
  check_write(touched, address, moment, moment.thread);
  for (Word& word : touched) word.writer = moment.thread, word.written_at = moment.barriers;
  std::copy(value.begin(), value.end(), bytes_.begin() + address);
}

void SharedMemory::atomic_add(std::uint32_t address, int value, Moment moment) {
  const auto touched = words(address, sizeof(int), moment);
  if (touched.front().writer == kNobody) fail("adds to what nothing wrote", address, moment);
  check_write(touched, address, moment, kAtomics);
  touched.front().writer = kAtomics;
  touched.front().written_at = moment.barriers;
  int sum;
  std::memcpy(&sum, &bytes_[address], sizeof sum);
  sum += value;
  std::memcpy(&bytes_[address], &sum, sizeof sum);
}

void SharedMemory::begin_copy(std::uint32_t address, std::size_t bytes, Moment moment) {
  const auto touched = words(address, bytes, moment);
  check_write(touched, address, moment, moment.thread);
  for (Word& word : touched) word.in_flight = true;
  std::fill_n(bytes_.begin() + address, bytes, kPoison);
}

void SharedMemory::finish_copy(std::uint32_t address, std::span<const std::byte> value, Moment moment) {
  for (Word& word : words(address, value.size(), moment)) {
    word.in_flight = false;
    word.writer = moment.thread;
    word.written_at = moment.barriers;
  }
  std::copy(value.begin(), value.end(), bytes_.begin() + address);
}

void SharedMemory::begin_engine_copy(std::uint32_t address, std::size_t bytes, Moment moment) {
  if (address + bytes > bytes_.size())
    fail(fmt::format("a copy of {} bytes reaches outside the {} of the block", bytes, bytes_.size()), address, moment);
  for (Word& word : std::span{words_}.subspan(address / kWordBytes, bytes / kWordBytes)) {
    if (word.in_flight) fail("overwrites a copy in flight", address, moment);
    word = Word{};
    word.in_flight = true;
  }
  std::fill_n(bytes_.begin() + address, bytes, kPoison);
}

void SharedMemory::finish_engine_copy(std::uint32_t address, std::span<const std::byte> value) {
  for (Word& word : std::span{words_}.subspan(address / kWordBytes, value.size() / kWordBytes)) {
    word.in_flight = false;
    word.writer = kEngine;
  }
  std::copy(value.begin(), value.end(), bytes_.begin() + address);
}

std::span<const std::byte> SharedMemory::read_by_engine(std::uint32_t address, std::size_t bytes) const {
  if (address + bytes > bytes_.size())
    throw KernelFault{"a matrix operation reads outside the shared memory of the block"};
  for (const Word& word : std::span{words_}.subspan(address / kWordBytes, bytes / kWordBytes))
    if (word.in_flight || word.writer != kEngine)
      throw KernelFault{fmt::format("a matrix operation reads shared address {}, where no copy has arrived", address)};
  return std::span{bytes_}.subspan(address, bytes);
}

}  // namespace moesim::cuda::emulation
