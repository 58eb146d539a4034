#pragma once
// The primitives of Hopper on a device, sm_90a. PTX ISA 8.x: mbarrier 9.7.13.15, cp.async.bulk.tensor 9.7.9.27, wgmma
// 9.7.15 (section numbers of release 8.5). Included by primitives_hopper.cuh only.

#include <cuda.h>

#define MOESIM_GRID_CONSTANT __grid_constant__

namespace moesim::cuda {

using TensorMap = CUtensorMap;

MOESIM_DEVICE void init_phase_barrier(std::uint32_t address, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address), "r"(arrivals) : "memory");
}
/// Makes the initialised barriers known to the copy engine; a barrier of the block must follow.
MOESIM_DEVICE void publish_phase_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
MOESIM_DEVICE void arrive_at_phase(std::uint32_t address) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address) : "memory");
}
/// Arrives, after adding `bytes` to what the phase waits for.
MOESIM_DEVICE void arrive_expecting(std::uint32_t address, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address), "r"(bytes) : "memory");
}
MOESIM_DEVICE void wait_phase(std::uint32_t address, std::uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra finished;\n"
      "bra again;\n"
      "finished:\n}" ::"r"(address),
      "r"(parity)
      : "memory");
}

/// Copies a box of the map, from element (row, column) on, and signals its bytes to the mbarrier.
MOESIM_DEVICE void copy_tile_async(std::uint32_t target, const TensorMap& map, int column, int row,
                                   std::uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
          target),
      "l"(reinterpret_cast<std::uint64_t>(&map)), "r"(barrier), "r"(column), "r"(row)
      : "memory");
}

#define MOESIM_F4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define MOESIM_F32(i)                                                                                        \
  MOESIM_F4(i), MOESIM_F4(i + 4), MOESIM_F4(i + 8), MOESIM_F4(i + 12), MOESIM_F4(i + 16), MOESIM_F4(i + 20), \
      MOESIM_F4(i + 24), MOESIM_F4(i + 28)

/// d [64, n] of the warpgroup (+)= a [64, 16] b [n, 16]^T; a and b are tile_descriptor()s. Runs on by itself until
/// wait_multiplies.
template <int n>
MOESIM_DEVICE void multiply_add_async(float (&d)[n / 2], std::uint64_t a, std::uint64_t b, bool accumulate) {
  static_assert(n == 128 || n == 192 || n == 256);
  if constexpr (n == 128)
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %66, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, "
        "%22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "
        "%42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, "
        "%62, %63}, %64, %65, p, 1, 1, 0, 0;}"
        : MOESIM_F32(0), MOESIM_F32(32)
        : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
  else if constexpr (n == 192)
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %98, 0; "
        "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, "
        "%22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "
        "%42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, "
        "%62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, "
        "%82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95}, %96, %97, p, 1, 1, 0, 0;}"
        : MOESIM_F32(0), MOESIM_F32(32), MOESIM_F32(64)
        : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
  else
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %130, 0; "
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, "
        "%22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "
        "%42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, "
        "%62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, "
        "%82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, "
        "%101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, "
        "%117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, %128, %129, p, 1, 1, 0, 0;}"
        : MOESIM_F32(0), MOESIM_F32(32), MOESIM_F32(64), MOESIM_F32(96)
        : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}
#undef MOESIM_F32
#undef MOESIM_F4

/// Before the first product, and after sums were touched by anything but products.
MOESIM_DEVICE void begin_multiplies() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
MOESIM_DEVICE void commit_multiplies() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Returns when all but the `Newest` last committed groups of products are done.
template <int Newest>
MOESIM_DEVICE void wait_multiplies() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Newest) : "memory");
}
/// Keeps the compiler from using the sums before a wait that it follows, or changing them after one that it precedes.
template <int size>
MOESIM_DEVICE void keep_sums(float (&d)[size]) {
  MOESIM_UNROLL
  for (int i = 0; i < size; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

/// Registers per thread of this warpgroup from here on.
template <int registers>
MOESIM_DEVICE void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
MOESIM_DEVICE void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

}  // namespace moesim::cuda
