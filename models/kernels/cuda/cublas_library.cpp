#include "models/kernels/cuda/cublas_library.hpp"

#include <cstdint>
#include <utility>

#include "models/kernels/cuda/shared_library.hpp"

namespace moesim::cuda {
namespace {

// cuBLAS is column-major: c^T [n, rows] = op_t(b) a^T. Values of cublas_api.h, unchanged from version 11 to 13.
constexpr int kTransposed = 1, kPlain = 0, kCompute32F = 68, kDefaultAlgorithm = -1;
constexpr int kBf16 = CUDA_R_16BF;

/// The rows of experts that have any.
std::vector<int> active(const std::vector<int>& rows) {
  std::vector<int> found;
  for (const int count : rows)
    if (count > 0) found.push_back(count);
  return found;
}

/// One pointer per active expert: `base` plus `per_row` elements for every row before it and `per_expert` for every
/// expert.
template <class T, class Pointer>
std::vector<Pointer> pointers(T* base, const std::vector<int>& rows, std::size_t per_row, std::size_t per_expert) {
  std::vector<Pointer> found;
  for (const int count : rows) {
    if (count > 0) found.push_back(base);
    base += static_cast<std::size_t>(count) * per_row + per_expert;
  }
  return found;
}

}  // namespace

struct CublasLibrary::Functions {
  SharedLibrary library{"libcublas.so.13", "libcublas.so.12"};
  void* handle = nullptr;
  int (*create)(void**) = library["cublasCreate_v2"];
  int (*destroy)(void*) = library["cublasDestroy_v2"];
  int (*set_stream)(void*, cudaStream_t) = library["cublasSetStream_v2"];
  int (*gemm)(void*, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int, const void*,
              void*, int, int, int, int) = library["cublasGemmEx"];
  bool usable = library.whole();  ///< without what follows too
  int (*version)(void*, int*) = library["cublasGetVersion_v2"];
  int (*grouped)(void*, const int*, const int*, const int*, const int*, const int*, const void*, const void* const*,
                 int, const int*, const void* const*, int, const int*, const void*, void* const*, int, const int*, int,
                 const int*, int) = library["cublasGemmGroupedBatchedEx"];
};

CublasLibrary::CublasLibrary(std::unique_ptr<Functions> functions) : functions_{std::move(functions)} {}

CublasLibrary::~CublasLibrary() {
  if (functions_->handle) functions_->destroy(functions_->handle);
}

std::unique_ptr<CublasLibrary> CublasLibrary::load() {
  auto found = std::make_unique<Functions>();
  if (!found->usable || found->create(&found->handle) != 0) return nullptr;
  return std::unique_ptr<CublasLibrary>{new CublasLibrary{std::move(found)}};
}

std::string cublas_version(std::size_t number) {
  constexpr std::size_t kMajor = 10000, kMinor = 100;
  return std::to_string(number / kMajor) + "." + std::to_string(number % kMajor / kMinor) + "." +
         std::to_string(number % kMinor);
}

std::string CublasLibrary::version() const {
  int number = 0;
  if (!functions_->version || functions_->version(functions_->handle, &number) != 0) return {};
  return cublas_version(static_cast<std::size_t>(number));
}

bool CublasLibrary::has_grouped() const {
  return functions_->grouped != nullptr;
}

int CublasLibrary::multiply_in_loop(const ExpertProducts& products, cudaStream_t stream) {
  const float one = 1, zero = 0;
  int status = functions_->set_stream(functions_->handle, stream);
  std::size_t row = 0;
  const auto n = static_cast<std::size_t>(products.n), k = static_cast<std::size_t>(products.k);
  for (std::size_t expert = 0; expert < products.rows.size() && status == 0; ++expert) {
    const int rows = products.rows[expert];
    if (rows > 0)
      status = functions_->gemm(functions_->handle, kTransposed, kPlain, products.n, rows, products.k, &one,
                                products.b + expert * n * k, kBf16, products.k, products.a + row * k, kBf16, products.k,
                                &zero, products.c + row * n, kBf16, products.n, kCompute32F, kDefaultAlgorithm);
    row += static_cast<std::size_t>(rows);
  }
  return status;
}

CublasLibrary::Grouped::Grouped(const ExpertProducts& products)
    : rows_{active(products.rows)},
      columns_(rows_.size(), products.n),
      depth_(rows_.size(), products.k),
      transposed_(rows_.size(), kTransposed),
      plain_(rows_.size(), kPlain),
      once_(rows_.size(), 1),
      one_(rows_.size(), 1),
      zero_(rows_.size(), 0),
      a_{pointers<const Bf16, const void*>(products.a, products.rows, static_cast<std::size_t>(products.k), 0)},
      b_{pointers<const Bf16, const void*>(
          products.b, products.rows, 0, static_cast<std::size_t>(products.n) * static_cast<std::size_t>(products.k))},
      c_{pointers<Bf16, void*>(products.c, products.rows, static_cast<std::size_t>(products.n), 0)} {}

int CublasLibrary::multiply(const Grouped& grouped, cudaStream_t stream) {
  const int status = functions_->set_stream(functions_->handle, stream);
  if (status != 0) return status;
  return functions_->grouped(
      functions_->handle, grouped.transposed_.data(), grouped.plain_.data(), grouped.columns_.data(),
      grouped.rows_.data(), grouped.depth_.data(), grouped.one_.data(), grouped.b_.data(), kBf16, grouped.depth_.data(),
      grouped.a_.data(), kBf16, grouped.depth_.data(), grouped.zero_.data(), grouped.c_.data(), kBf16,
      grouped.columns_.data(), static_cast<int>(grouped.rows_.size()), grouped.once_.data(), kCompute32F);
}

}  // namespace moesim::cuda
