#include "models/kernels/cuda/emulation/async_engine.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "models/kernels/cuda/emulation/global_memory.hpp"

namespace moesim::cuda::emulation {
namespace {

constexpr std::uint32_t kBoxRowBytes = 128, kChunkBytes = 16;
constexpr std::size_t kLanes = 32, kGroupWarps = 4;

/// The 128-byte swizzle: bits 4-6 of an address are exchanged with bits 7-9 added to them.
std::uint32_t swizzled(std::uint32_t address) {
  return address ^ (address >> 7 & 7) << 4;
}

/// A matrix descriptor for wgmma, "Matrix descriptor format" of the PTX ISA.
struct Descriptor {
  std::uint32_t start, stride;  ///< bytes; stride between groups of 8 rows
  explicit Descriptor(std::uint64_t bits)
      : start{static_cast<std::uint32_t>(bits & 0x3FFF) << 4},
        stride{static_cast<std::uint32_t>(bits >> 32 & 0x3FFF) << 4} {
    if (bits >> 62 != 1) throw KernelFault{"a matrix descriptor whose layout is not the 128-byte swizzle"};
    if ((bits >> 49 & 7) != 0) throw KernelFault{"a matrix descriptor with a base offset"};
  }
  std::uint32_t chunk(std::uint32_t row, std::uint32_t half) const {
    return swizzled(start + row / 8 * stride + row % 8 * kBoxRowBytes + half * kChunkBytes);
  }
};

using Row = std::array<float, 16>;

Row row_of(const SharedMemory& shared, const Descriptor& matrix, std::uint32_t row) {
  Row values;
  for (std::uint32_t half = 0; half < 2; ++half) {
    const auto bytes = shared.read_by_engine(matrix.chunk(row, half), kChunkBytes);
    for (std::size_t i = 0; i < 8; ++i) {
      std::uint16_t bits;
      std::memcpy(&bits, &bytes[2 * i], sizeof bits);
      values[half * 8 + i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }
  }
  return values;
}

void raise(std::vector<int>& clock, const std::vector<int>& other) {
  for (std::size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

}  // namespace

AsyncEngine::AsyncEngine(SharedMemory& shared, int threads)
    : shared_{shared},
      warps_{static_cast<std::size_t>(threads) / kLanes},
      granules_(shared.size() / kGranule, Granule{0, -1, std::vector<int>(warps_, 0), std::vector<int>(warps_, -1)}),
      known_(static_cast<std::size_t>(threads), Clock(warps_, 0)),
      arrivals_(warps_, 0),
      queues_(warps_) {}

void AsyncEngine::init_barrier(std::uint32_t address, int arrivals, Moment moment) {
  barriers_[address] = Barrier{.arrivals = arrivals,
                               .initialised_by = moment.thread,
                               .initialised_at = moment.barriers,
                               .pending = arrivals,
                               .copies = {},
                               .arriving = Clock(warps_, 0),
                               .released = Clock(warps_, 0),
                               .observed = std::vector<int>(known_.size(), 0)};
}

AsyncEngine::Barrier& AsyncEngine::barrier(std::uint32_t address, Moment moment) {
  const auto found = barriers_.find(address);
  if (found == barriers_.end() ||
      (found->second.initialised_by != moment.thread && found->second.initialised_at == moment.barriers))
    throw KernelFault{fmt::format("thread {}: no mbarrier at shared address {} yet", moment.thread, address)};
  return found->second;
}

void AsyncEngine::arrive(std::uint32_t address, std::uint32_t bytes, Moment moment) {
  Barrier& at = barrier(address, moment);
  if (at.pending == 0)
    throw KernelFault{fmt::format("thread {}: more than {} arrivals in a phase", moment.thread, at.arrivals)};
  const auto warp = static_cast<std::size_t>(moment.thread) / kLanes;
  raise(at.arriving, known_[static_cast<std::size_t>(moment.thread)]);
  at.arriving[warp] = ++arrivals_[warp];
  at.bytes += bytes;
  --at.pending;
  complete_if_due(at);
}

void AsyncEngine::complete_if_due(Barrier& at) {
  if (at.pending > 0 || at.bytes != 0) return;
  at.pending = at.arrivals;
  ++at.phases;
  raise(at.released, at.arriving);
}

bool AsyncEngine::has_completed(std::uint32_t address, int parity, Moment moment) {
  Barrier& at = barrier(address, moment);
  if (at.pending == 0) {
    const int phase = at.phases;
    for (const Copy& copy : std::exchange(at.copies, {})) {
      finish(copy);
      at.bytes -= static_cast<std::int64_t>(copy.map.box_rows * kBoxRowBytes);
      for (std::uint32_t i = 0; i < copy.map.box_rows * kBoxRowBytes; i += kGranule) {
        Granule& granule = granules_[(copy.target + i) / kGranule];
        granule.barrier = address;
        granule.phase = phase;
      }
    }
    complete_if_due(at);
  }
  if (at.phases % 2 == parity) return false;
  at.observed[static_cast<std::size_t>(moment.thread)] = at.phases;
  raise(known_[static_cast<std::size_t>(moment.thread)], at.released);
  return true;
}

void AsyncEngine::check_overwrite(std::uint32_t target, std::uint32_t bytes, Moment moment) const {
  for (std::uint32_t i = 0; i < bytes; i += kGranule) {
    const Granule& granule = granules_[(target + i) / kGranule];
    for (std::size_t warp = 0; warp < warps_; ++warp)
      if (granule.reading[warp] > 0 || granule.read_at[warp] >= known_[static_cast<std::size_t>(moment.thread)][warp])
        throw KernelFault{fmt::format("thread {}, shared address {}: a copy overwrites what warp {} may still read",
                                      moment.thread, target + i, warp)};
  }
}

void AsyncEngine::copy(std::uint32_t target, const TensorMap& map, int column, int row, std::uint32_t address,
                       Moment moment) {
  const std::uint32_t bytes = map.box_rows * kBoxRowBytes;
  if (target % kGranule != 0)
    throw KernelFault{fmt::format("a swizzled copy to shared address {}, not a multiple of {}", target, kGranule)};
  shared_.begin_engine_copy(target, bytes, moment);
  check_overwrite(target, bytes, moment);
  barrier(address, moment).copies.push_back({target, map, column, row});
}

void AsyncEngine::finish(const Copy& copy) {
  const auto* base = static_cast<const unsigned char*>(copy.map.base);
  for (std::uint32_t row = 0; row < copy.map.box_rows; ++row)
    for (std::uint32_t chunk = 0; chunk < kBoxRowBytes / kChunkBytes; ++chunk) {
      std::array<std::byte, kChunkBytes> bytes{};
      const auto from_row = static_cast<std::uint64_t>(copy.row) + row;
      const auto from_column = static_cast<std::uint64_t>(copy.column) + chunk * 8;
      if (from_row < copy.map.rows && from_column < copy.map.columns) {
        const auto* source = base + (from_row * copy.map.columns + from_column) * 2;
        check_global(source, kChunkBytes, Access::read);
        std::memcpy(bytes.data(), source, kChunkBytes);
      }
      shared_.finish_engine_copy(swizzled(copy.target + row * kBoxRowBytes + chunk * kChunkBytes), bytes);
    }
}

template <class Visit>
void AsyncEngine::for_granules(const AsyncMultiply& operation, int warp, Visit visit) {
  const Descriptor a{operation.a}, b{operation.b};
  const auto rows = static_cast<std::uint32_t>(static_cast<std::size_t>(warp) % kGroupWarps * 16);
  const auto visit_row = [&](const Descriptor& matrix, std::uint32_t row) {
    const std::uint32_t at = matrix.chunk(row, 0) / kGranule;
    if (at >= granules_.size()) throw KernelFault{"a matrix operation reads outside the shared memory of the block"};
    visit(granules_[at]);
  };
  for (std::uint32_t row = 0; row < 16; row += 8) visit_row(a, rows + row);
  for (std::uint32_t row = 0; row < static_cast<std::uint32_t>(operation.n); row += 8) visit_row(b, row);
}

void AsyncEngine::multiply(const AsyncMultiply& operation, int warp, int barriers) {
  for_granules(operation, warp, [&](Granule& granule) {
    if (granule.phase < 0) throw KernelFault{fmt::format("warp {} multiplies a tile that has not arrived", warp)};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t thread = static_cast<std::size_t>(warp) * kLanes + lane;
      const Barrier& signalled = barrier(granule.barrier, {static_cast<int>(thread), barriers});
      if (signalled.observed[thread] <= granule.phase)
        throw KernelFault{fmt::format("thread {} multiplies a tile whose arrival it has not waited for", thread)};
    }
    ++granule.reading[static_cast<std::size_t>(warp)];
  });
  queues_[static_cast<std::size_t>(warp)].open.push_back(operation);
}

void AsyncEngine::commit(int warp) {
  Queue& queue = queues_[static_cast<std::size_t>(warp)];
  queue.groups.push_back(std::exchange(queue.open, {}));
}

void AsyncEngine::wait(int warp, std::size_t newest) {
  auto& groups = queues_[static_cast<std::size_t>(warp)].groups;
  for (; groups.size() > newest; groups.pop_front())
    for (const AsyncMultiply& operation : groups.front()) {
      perform(operation, warp);
      for_granules(operation, warp, [&](Granule& granule) {
        --granule.reading[static_cast<std::size_t>(warp)];
        granule.read_at[static_cast<std::size_t>(warp)] = arrivals_[static_cast<std::size_t>(warp)];
      });
    }
}

// Element e of n-tile j of lane l is row l / 4 (+ 8 for e = 2, 3) of the warp's 16, column 8 j + 2 (l % 4) + e % 2:
// "Register fragments for wgmma" of the PTX ISA.
void AsyncEngine::perform(const AsyncMultiply& operation, int warp) {
  const Descriptor a_matrix{operation.a}, b_matrix{operation.b};
  const auto first = static_cast<std::uint32_t>(static_cast<std::size_t>(warp) % kGroupWarps * 16);
  std::array<Row, 16> a;
  for (std::uint32_t row = 0; row < 16; ++row) a[row] = row_of(shared_, a_matrix, first + row);
  for (std::uint32_t column = 0; column < static_cast<std::uint32_t>(operation.n); ++column) {
    const Row b = row_of(shared_, b_matrix, column);
    for (std::uint32_t row = 0; row < 16; ++row) {
      const std::size_t lane = row % 8 * 4 + column % 8 / 2;
      float& d = operation.d[lane][column / 8 * 4 + row / 8 * 2 + column % 2];
      float sum = operation.accumulate ? d : 0.0f;
      for (std::size_t k = 0; k < 16; ++k) sum += a[row][k] * b[k];
      d = sum;
    }
  }
}

}  // namespace moesim::cuda::emulation
