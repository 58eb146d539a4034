#include "models/kernels/cuda/comparators.hpp"

#include <algorithm>
#include <stdexcept>

#include "models/kernels/cuda/cublas_lt_library.hpp"
#include "models/kernels/cuda/device_memory.cuh"

namespace moesim::cuda {
namespace {

constexpr int kSamples = 9;

double product_flops(int rows, int size) {
  return 2.0 * rows * size * size;
}

/// Square operands in the pool, and where the product goes.
struct Square {
  Square(DevicePool& pool, int of) : size{of}, product{elements()} {
    operands = pool.ring(2 * elements() * sizeof(Bf16), pool.bytes(), {});
  }
  std::size_t elements() const { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }
  const Bf16* a() const { return reinterpret_cast<const Bf16*>(operands.base); }
  const Bf16* b() const { return a() + elements(); }

  int size;
  DeviceArray<Bf16> product;
  MemoryRing operands;
};

std::vector<ProductRate> library_rates(Square& square, CallTimer& timer) {
  const ExpertProducts products{square.a(), square.b(), square.product.data(), {square.size}, square.size, square.size};
  std::vector<ProductRate> rates;
  const auto time = [&](const char* name, const std::function<int(int, cudaStream_t)>& call) {
    try {
      LibraryWork work{name, call};
      timer.start(work, 1);
      rates.push_back({name, product_flops(square.size, square.size) / median(timer.times(kSamples))});
    } catch (const std::runtime_error&) {
      cudaGetLastError();  // a library that refuses is no comparator
    }
  };
  const auto lt = CublasLtLibrary::load();
  if (lt) time("cublaslt", [&](int, cudaStream_t stream) { return lt->multiply_in_loop(products, stream); });
  const auto cublas = CublasLibrary::load();
  if (cublas) time("cublas", [&](int, cudaStream_t stream) { return cublas->multiply_in_loop(products, stream); });
  std::sort(rates.begin(), rates.end(), [](const auto& x, const auto& y) { return x.rate > y.rate; });
  return rates;
}

/// The second GEMM of one expert, with as many rows as a kernel of the format takes.
ProductRate own_rate(const std::string& format, const cudaDeviceProp& device, DevicePool& pool, Square& square,
                     CallTimer& timer) {
  const DeviceArray<float> scales{std::vector<float>(static_cast<std::size_t>(square.size), 1.0f)};
  ProductRate best;
  for (int rows = square.size; rows >= 1 && best.kernel.empty(); rows /= 2)
    for (const auto& kernel : gemm_kernels()) {
      if (kernel->format() != format || kernel->gemm() != 2) continue;
      if (!kernel->fits(square.size, square.size, rows, device)) continue;
      const MemoryRing weights =
          pool.ring(kernel->weight_bytes(square.size, square.size), pool.bytes(), kernel->words());
      const auto work = kernel->make(
          {device, {rows}, square.size, square.size, square.a(), square.product.data(), scales.data(), weights});
      timer.start(*work, 1);
      const double rate = product_flops(rows, square.size) / median(timer.times(kSamples));
      if (rate > best.rate) best = {kernel->name(), rate};
    }
  return best;
}

}  // namespace

void LibraryWork::launch(int call, cudaStream_t stream) {
  if (const int status = call_(call, stream); status != 0)
    throw std::runtime_error{name_ + " refuses with status " + std::to_string(status)};
}

double copy_rate(DevicePool& pool, CallTimer& timer) {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  const std::size_t bytes = std::min(kMost, pool.bytes() / 4);
  LibraryWork copy{"copy", [&](int, cudaStream_t stream) {
                     return static_cast<int>(cudaMemcpyAsync(pool.memory() + pool.bytes() / 2, pool.memory(), bytes,
                                                             cudaMemcpyDeviceToDevice, stream));
                   }};
  pool.ring(bytes, bytes, {});  // random words, as everything else that is timed
  timer.start(copy, 1);
  return 2.0 * static_cast<double>(bytes) / median(timer.times(kSamples));
}

std::vector<ProductRate> product_rates(const std::string& format, const cudaDeviceProp& device, DevicePool& pool,
                                       CallTimer& timer) {
  int size = 8192;
  while (size > 256 &&
         4 * sizeof(Bf16) * static_cast<std::size_t>(size) * static_cast<std::size_t>(size) > pool.bytes())
    size /= 2;
  Square square{pool, size};
  std::vector<ProductRate> rates;
  if (format == "bf16") rates = library_rates(square, timer);
  if (const ProductRate own = own_rate(format, device, pool, square, timer); !own.kernel.empty()) rates.push_back(own);
  return rates;
}

}  // namespace moesim::cuda
