// The emulation itself: what CUDA orders is ordered, what it does not is found, fragments lie as the PTX ISA says.

#include <array>
#include <string>
#include <vector>

#include "models/kernels/cuda/primitives.cuh"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_emulation/faults_testing.hpp"

using namespace moesim::cuda;
using emulation::Buffer;
using emulation::launch;
using testing::fault_of;

namespace {

std::uint32_t own_word() {
  return shared_base() + static_cast<std::uint32_t>(thread_index()) * 4;
}

}  // namespace

TEST_CASE("Threads exchange values through shared memory across a barrier", "[kernels]") {
  Buffer<int> out{64};
  launch({.blocks = 1, .threads = 64, .shared_bytes = 256}, [&] {
    shared_store(own_word(), thread_index());
    barrier();
    global_store(out.data() + thread_index(),
                 shared_load(shared_base() + static_cast<std::uint32_t>(63 - thread_index()) * 4));
  });
  for (int i = 0; i < 64; ++i) CHECK(out.values()[static_cast<std::size_t>(i)] == 63 - i);
}

TEST_CASE("An exchange without a barrier is a fault although the emulation's order may hide it", "[kernels]") {
  const auto reads_neighbour = [] {
    shared_store(own_word(), 1);
    if (thread_index() > 0) shared_load(own_word() - 4);
  };
  CHECK(fault_of({1, 32, 128}, reads_neighbour) ==
        "thread 1 after barrier 0, shared address 0: reads what thread 0 wrote, without a barrier between");
  const auto overwrites_reader = [] {
    shared_store(own_word(), 1);
    barrier();
    shared_load(shared_base());
    if (thread_index() == 0) shared_store(shared_base(), 2);  // the last to arrive, 31, has run on
  };
  CHECK(fault_of({1, 32, 128}, overwrites_reader) ==
        "thread 0 after barrier 1, shared address 0: overwrites what another thread reads, without a barrier between");
}

TEST_CASE("Shared memory is poisoned, bounded and aligned", "[kernels]") {
  CHECK(fault_of({1, 32, 128}, [] { shared_load(own_word()); }) ==
        "thread 0 after barrier 0, shared address 0: reads what nothing wrote");
  CHECK(fault_of({1, 32, 64}, [] { shared_store(own_word(), 0); }) ==
        "thread 16 after barrier 0, shared address 64: 4 bytes reach outside the 64 of the block");
  CHECK(fault_of({1, 32, 64}, [] { shared_store(shared_base() + 2, 0); }) ==
        "thread 0 after barrier 0, shared address 2: not aligned to its 4 bytes");
}

TEST_CASE("Global memory outside a buffer or written against its declaration is a fault", "[kernels]") {
  Buffer<int> in{std::vector<int>(32, 7)}, out{31};
  CHECK(fault_of({1, 32}, [&] { global_store(out.data() + thread_index(), 1); }) ==
        "global write of 4 bytes outside every buffer");
  CHECK(fault_of({1, 32}, [&] { global_store(in.data(), 1); }) == "global write of 4 bytes into a read-only buffer");
  CHECK(fault_of({1, 32}, [&] { global_load(reinterpret_cast<Vector16*>(in.data() + 1)); }) ==
        "global read of 16 bytes misaligned");
}

TEST_CASE("A barrier or warp operation that not all threads reach is a fault", "[kernels]") {
  CHECK(fault_of({1, 64}, [] {
          if (thread_index() < 32) barrier();
        }) == "nobody can go on: 32 threads at a barrier, 0 in a warp operation, 32 have returned");
  CHECK(fault_of({1, 32}, [] {
          if (thread_index() < 16)
            shuffle_xor(1, 1);
          else
            shuffle_xor(1.0f, 1);
        }) == "thread 16 calls shuffle of float while its warp is in shuffle of int");
}

TEST_CASE("An asynchronous copy arrives at the wait of its group and not before", "[kernels]") {
  Buffer<int> in{{1, 2, 3, 4, 5, 6, 7, 8}};
  int seen = 0;
  const auto two_groups = [&](auto wait) {
    return [&, wait] {
      if (thread_index() > 0) return;
      copy_async16(shared_base(), in.data(), true);
      commit_copies();
      copy_async16(shared_base() + 16, in.data() + 4, true);
      commit_copies();
      wait();
      seen = shared_load(shared_base() + 16);
    };
  };
  CHECK(fault_of({1, 32, 32}, two_groups([] { wait_copies<1>(); })) ==
        "thread 0 after barrier 0, shared address 16: reads a copy that has not been waited for");
  CHECK(fault_of({1, 32, 32}, two_groups([] { wait_copies<0>(); })) == "none");
  CHECK(seen == 5);
}

TEST_CASE("A copy that is not wanted writes zeros", "[kernels]") {
  Buffer<int> in{{1, 2, 3, 4}};
  int seen = -1;
  launch({1, 32, 16}, [&] {
    if (thread_index() > 0) return;
    copy_async16(shared_base(), in.data(), false);
    commit_copies();
    wait_copies<0>();
    seen = shared_load(shared_base() + 4);
  });
  CHECK(seen == 0);
}

TEST_CASE("A matrix product of unit vectors picks the fragment elements of the PTX ISA", "[kernels]") {
  // a has a single 1 in row 9, column 10: group 1, second row half, second column half, so lane 4 * 1 + 2 / 2 = 5,
  // register 3, lower half. b has a single 2 in row 10, column 6: lane 4 * 6 + 1 = 25, register 1, lower half.
  // Their product is a single 2 in row 9, column 6: lane 4 * 1 + 6 / 2 = 7, element 2.
  std::array<std::array<float, 4>, 32> got{};
  launch({1, 32}, [&] {
    std::uint32_t a[4] = {}, b[2] = {};
    if (lane_index() == 5) a[3] = pack_bf16(1, 0);
    if (lane_index() == 25) b[1] = pack_bf16(2, 0);
    float d[4] = {};
    multiply_add(d, a, b[0], b[1]);
    for (std::size_t i = 0; i < 4; ++i) got[static_cast<std::size_t>(lane_index())][i] = d[i];
  });
  for (std::size_t lane = 0; lane < 32; ++lane)
    for (std::size_t i = 0; i < 4; ++i) CHECK(got[lane][i] == (lane == 7 && i == 2 ? 2.0f : 0.0f));
}

TEST_CASE("ldmatrix gives lane l two elements of row l / 4 of each matrix", "[kernels]") {
  // Word w of the 32 rows of 4 words holds w; matrix i has rows 8 i to 8 i + 7: register i of lane l is 32 i + l.
  bool as_stated = true;
  launch({1, 32, 512}, [&] {
    for (std::uint32_t i = 0; i < 4; ++i) shared_store(own_word() + i * 128, static_cast<int>(i) * 32 + lane_index());
    barrier();
    std::uint32_t fragment[4];
    load_matrices(fragment, shared_base() + static_cast<std::uint32_t>(lane_index()) * 16);
    for (int i = 0; i < 4; ++i) as_stated &= fragment[i] == static_cast<std::uint32_t>(i * 32 + lane_index());
  });
  CHECK(as_stated);
}

TEST_CASE("Rounding to bfloat16 goes to the nearest and at ties to the even", "[kernels]") {
  // bf16 has 8 significant bits: between 1 and 2 they are 2^-7 apart.
  CHECK(float_from(bf16_from(1.0f + 0x1p-9f)) == 1.0f);
  CHECK(float_from(bf16_from(1.0f + 0x1p-8f)) == 1.0f);            // tie: even below
  CHECK(float_from(bf16_from(1.0f + 0x3p-8f)) == 1.0f + 0x1p-6f);  // tie: even above
  CHECK(std::isnan(float_from(bf16_from(std::nanf("")))));
}
