#include "models/kernels/cuda/cublas_lt_library.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include "models/kernels/cuda/shared_library.hpp"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif

namespace moesim::cuda {
namespace {

// cublasLt is column-major: c^T [n, rows] = op_t(b) a^T. Values of cublasLt.h, unchanged from version 11 to 13.
constexpr int kCompute32F = 68, kTransA = 3, kMostWorkspace = 1;
constexpr std::int32_t kTransposed = 1;
constexpr std::array kAlignments{6, 7, 8};  // of b, c and d here: rows of 2880 start at multiples of 128 bytes only
constexpr std::uint32_t kAlignment = 128;
constexpr std::size_t kWorkspace = std::size_t{32} << 20;  // what NVIDIA recommends for Hopper

struct Heuristic {
  std::array<std::uint64_t, 8> algorithm;
  std::size_t workspace;
  int state;
  float waves;
  std::array<int, 4> reserved;
};

#if __has_include(<cublasLt.h>)
static_assert(sizeof(Heuristic) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(Heuristic, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(kCompute32F == CUBLAS_COMPUTE_32F && kTransA == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(kAlignments.front() == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(kAlignments.back() == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
static_assert(kMostWorkspace == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && kTransposed == CUBLAS_OP_T);
#endif

}  // namespace

struct CublasLtLibrary::Functions {
  SharedLibrary library{"libcublasLt.so.13", "libcublasLt.so.12"};
  void* handle = nullptr;
  int (*create)(void**) = library["cublasLtCreate"];
  int (*destroy)(void*) = library["cublasLtDestroy"];
  std::size_t (*version)() = library["cublasLtGetVersion"];
  int (*create_product)(void**, int, int) = library["cublasLtMatmulDescCreate"];
  int (*set_product)(void*, int, const void*, std::size_t) = library["cublasLtMatmulDescSetAttribute"];
  int (*destroy_product)(void*) = library["cublasLtMatmulDescDestroy"];
  int (*create_layout)(void**, int, std::uint64_t, std::uint64_t, std::int64_t) = library["cublasLtMatrixLayoutCreate"];
  int (*destroy_layout)(void*) = library["cublasLtMatrixLayoutDestroy"];
  int (*create_preference)(void**) = library["cublasLtMatmulPreferenceCreate"];
  int (*set_preference)(void*, int, const void*, std::size_t) = library["cublasLtMatmulPreferenceSetAttribute"];
  int (*destroy_preference)(void*) = library["cublasLtMatmulPreferenceDestroy"];
  int (*choose)(void*, void*, void*, void*, void*, void*, void*, int, Heuristic*,
                int*) = library["cublasLtMatmulAlgoGetHeuristic"];
  int (*multiply)(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*, void*,
                  void*, void*, const void*, void*, std::size_t, cudaStream_t) = library["cublasLtMatmul"];
};

/// One size: what is multiplied, and with which kernel.
struct CublasLtLibrary::Plan {
  explicit Plan(const Functions& with) : functions{with} {}
  ~Plan() {
    for (void* layout : {a, b, c})
      if (layout) functions.destroy_layout(layout);
    if (product) functions.destroy_product(product);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const Functions& functions;
  void *product = nullptr, *a = nullptr, *b = nullptr, *c = nullptr;
  Heuristic heuristic{};
};

CublasLtLibrary::CublasLtLibrary(std::unique_ptr<Functions> functions)
    : functions_{std::move(functions)}, workspace_{kWorkspace} {}

CublasLtLibrary::~CublasLtLibrary() {
  plans_.clear();
  if (functions_->handle) functions_->destroy(functions_->handle);
}

std::unique_ptr<CublasLtLibrary> CublasLtLibrary::load() {
  auto found = std::make_unique<Functions>();
  if (!found->library.whole() || found->create(&found->handle) != 0) return nullptr;
  return std::unique_ptr<CublasLtLibrary>{new CublasLtLibrary{std::move(found)}};
}

std::string CublasLtLibrary::version() const {
  return cublas_version(functions_->version());
}

int CublasLtLibrary::plan(const Size& size, Plan*& found) {
  std::unique_ptr<Plan>& kept = plans_[size];
  found = kept.get();
  if (found) return 0;
  const Functions& lt = *functions_;
  const auto [n, rows, k] = size;
  const auto wide = [](int count) { return static_cast<std::uint64_t>(count); };
  auto made = std::make_unique<Plan>(lt);
  void* preference = nullptr;
  int status = lt.create_product(&made->product, kCompute32F, CUDA_R_32F);
  if (status == 0) status = lt.set_product(made->product, kTransA, &kTransposed, sizeof kTransposed);
  if (status == 0) status = lt.create_layout(&made->a, CUDA_R_16BF, wide(k), wide(n), k);
  if (status == 0) status = lt.create_layout(&made->b, CUDA_R_16BF, wide(k), wide(rows), k);
  if (status == 0) status = lt.create_layout(&made->c, CUDA_R_16BF, wide(n), wide(rows), n);
  if (status == 0) status = lt.create_preference(&preference);
  if (status == 0) status = lt.set_preference(preference, kMostWorkspace, &kWorkspace, sizeof kWorkspace);
  for (const int operand : kAlignments)
    if (status == 0) status = lt.set_preference(preference, operand, &kAlignment, sizeof kAlignment);
  int choices = 0;
  if (status == 0)
    status = lt.choose(lt.handle, made->product, made->a, made->b, made->c, made->c, preference, 1, &made->heuristic,
                       &choices);
  if (preference) lt.destroy_preference(preference);
  constexpr int kNotSupported = 15;
  if (status == 0 && choices == 0) status = kNotSupported;
  if (status != 0) return status;
  kept = std::move(made);
  found = kept.get();
  return 0;
}

int CublasLtLibrary::multiply_in_loop(const ExpertProducts& products, cudaStream_t stream) {
  const float one = 1, zero = 0;
  const auto n = static_cast<std::size_t>(products.n), k = static_cast<std::size_t>(products.k);
  std::size_t row = 0;
  int status = 0;
  for (std::size_t expert = 0; expert < products.rows.size() && status == 0; ++expert) {
    const int rows = products.rows[expert];
    if (rows == 0) continue;
    Plan* with = nullptr;
    status = plan({products.n, rows, products.k}, with);
    Bf16* c = products.c + row * n;
    if (status == 0)
      status = functions_->multiply(functions_->handle, with->product, &one, products.b + expert * n * k, with->a,
                                    products.a + row * k, with->b, &zero, c, with->c, c, with->c,
                                    with->heuristic.algorithm.data(), workspace_.data(), kWorkspace, stream);
    row += static_cast<std::size_t>(rows);
  }
  return status;
}

}  // namespace moesim::cuda
