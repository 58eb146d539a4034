#include "models/kernels/cuda/emulation/matrix_operations.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "models/kernels/cuda/emulation/block.hpp"

namespace moesim::cuda::emulation {
namespace {

constexpr int kLanes = Block::kLanes;

template <class T>
T& lane(const Block::Arguments& arguments, int index) {
  return *static_cast<T*>(arguments[static_cast<std::size_t>(index)]);
}

struct MatrixLoad {
  std::uint32_t address;
  int thread;
  std::uint32_t fragment[4];
};

// Every address counts as read by the lane that gave it: that lane's warp is what a barrier has to order.
void apply_load(const Block::Arguments& arguments) {
  Block& block = current_block();
  for (int row = 0; row < kLanes; ++row) {
    const auto& giver = lane<MatrixLoad>(arguments, row);
    const auto bytes = block.shared().read(giver.address, 16, {giver.thread, block.now().barriers});
    for (int quarter = 0; quarter < 4; ++quarter) {
      auto& taker = lane<MatrixLoad>(arguments, row % 8 * 4 + quarter);
      std::memcpy(&taker.fragment[row / 8], &bytes[static_cast<std::size_t>(4 * quarter)], 4);
    }
  }
}

void apply_transposed_load(const Block::Arguments& arguments) {
  Block& block = current_block();
  for (int row = 0; row < kLanes; ++row) {
    const auto& giver = lane<MatrixLoad>(arguments, row);
    const auto bytes = block.shared().read(giver.address, 16, {giver.thread, block.now().barriers});
    for (int column = 0; column < 8; ++column) {
      auto& taker = lane<MatrixLoad>(arguments, column * 4 + row % 8 / 2);
      std::uint16_t element;
      std::memcpy(&element, &bytes[static_cast<std::size_t>(2 * column)], sizeof element);
      std::uint32_t& pair = taker.fragment[row / 8];
      pair = row % 2 == 0 ? element : pair | static_cast<std::uint32_t>(element) << 16;
    }
  }
}

struct Multiply {
  float* d;
  const std::uint32_t* a;
  std::uint32_t b[2];
};

float half_of(std::uint32_t pair, int odd) {
  return std::bit_cast<float>(odd ? pair & 0xFFFF0000u : pair << 16);
}

void apply_multiply(const Block::Arguments& arguments) {
  std::array<std::array<float, 16>, 16> a;
  std::array<std::array<float, 16>, 8> b;  // by column
  for (int index = 0; index < kLanes; ++index) {
    const auto& own = lane<Multiply>(arguments, index);
    const int group = index / 4, pair = index % 4 * 2;
    for (int odd = 0; odd < 2; ++odd) {
      for (int r = 0; r < 4; ++r)
        a[static_cast<std::size_t>(group + r % 2 * 8)][static_cast<std::size_t>(pair + odd + r / 2 * 8)] =
            half_of(own.a[r], odd);
      for (int r = 0; r < 2; ++r)
        b[static_cast<std::size_t>(group)][static_cast<std::size_t>(pair + odd + r * 8)] = half_of(own.b[r], odd);
    }
  }
  for (int index = 0; index < kLanes; ++index)
    for (int element = 0; element < 4; ++element) {
      const auto& row = a[static_cast<std::size_t>(index / 4 + element / 2 * 8)];
      const auto& column = b[static_cast<std::size_t>(index % 4 * 2 + element % 2)];
      float& sum = lane<Multiply>(arguments, index).d[element];
      for (std::size_t k = 0; k < 16; ++k) sum += row[k] * column[k];
    }
}

struct GroupMultiply {
  float* d;
  std::uint64_t a, b;
  int n;
  bool accumulate;
  int warp;
};

void apply_group_multiply(const Block::Arguments& arguments) {
  const auto& first = lane<GroupMultiply>(arguments, 0);
  AsyncMultiply operation{{}, first.a, first.b, first.n, first.accumulate};
  for (int index = 0; index < kLanes; ++index) {
    const auto& own = lane<GroupMultiply>(arguments, index);
    if (own.a != first.a || own.b != first.b || own.n != first.n || own.accumulate != first.accumulate)
      throw KernelFault{"the lanes of a warp call wgmma with different operands"};
    operation.d[static_cast<std::size_t>(index)] = own.d;
  }
  Block& block = current_block();
  block.engine().multiply(operation, first.warp, block.now().barriers);
}

int current_warp() {
  return current_block().thread() / kLanes;
}

template <class T>
struct Shuffle {
  T value;
  int mask;
  T result;
};

template <class T>
void apply_shuffle(const Block::Arguments& arguments) {
  for (int index = 0; index < kLanes; ++index) {
    auto& own = lane<Shuffle<T>>(arguments, index);
    own.result = lane<Shuffle<T>>(arguments, (index ^ own.mask) % kLanes).value;
  }
}

template <class T>
T shuffle(T value, int lane_mask, const char* name) {
  Shuffle<T> own{value, lane_mask, value};
  current_block().warp(name, &own, apply_shuffle<T>);
  return own.result;
}

}  // namespace

void load_matrices(std::uint32_t (&fragment)[4], std::uint32_t row_address) {
  MatrixLoad own{row_address, current_block().thread(), {}};
  current_block().warp("ldmatrix", &own, apply_load);
  std::memcpy(fragment, own.fragment, sizeof own.fragment);
}

void load_matrices_transposed(std::uint32_t (&fragment)[4], std::uint32_t row_address) {
  MatrixLoad own{row_address, current_block().thread(), {}};
  current_block().warp("ldmatrix.trans", &own, apply_transposed_load);
  std::memcpy(fragment, own.fragment, sizeof own.fragment);
}

void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  Multiply own{d, a, {b0, b1}};
  current_block().warp("mma", &own, apply_multiply);
}

void multiply_add_async(float* d, std::uint64_t a, std::uint64_t b, int n, bool accumulate) {
  GroupMultiply own{d, a, b, n, accumulate, current_warp()};
  current_block().warp("wgmma", &own, apply_group_multiply);
}

void commit_multiplies() {
  int warp = current_warp();
  current_block().warp("wgmma.commit", &warp, [](const Block::Arguments& arguments) {
    current_block().engine().commit(lane<int>(arguments, 0));
  });
}

void wait_multiplies(int newest) {
  std::pair<int, int> own{current_warp(), newest};
  current_block().warp("wgmma.wait", &own, [](const Block::Arguments& arguments) {
    const auto& [warp, groups] = lane<std::pair<int, int>>(arguments, 0);
    current_block().engine().wait(warp, static_cast<std::size_t>(groups));
  });
}

float shuffle_xor(float value, int lane_mask) {
  return shuffle(value, lane_mask, "shuffle of float");
}

int shuffle_xor(int value, int lane_mask) {
  return shuffle(value, lane_mask, "shuffle of int");
}

}  // namespace moesim::cuda::emulation
