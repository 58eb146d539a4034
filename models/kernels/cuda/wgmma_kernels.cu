// The grouped GEMMs of Hopper, compiled, and the tensor maps that they are launched with.

#include "models/kernels/cuda/wgmma_gemm.cuh"
#include "models/kernels/cuda/wgmma_kernels.hpp"

namespace moesim::cuda {
namespace {

template <class Shape, Epilogue kEpilogue>
GemmVariant variant(const char* name) {
  return {name,
          WeightFormat::bf16,
          kEpilogue,
          Shape::kRows,
          Shape::kColumns,
          Shape::kDepth,
          {reinterpret_cast<const void*>(&wgmma_gemm<Shape, kEpilogue>), Shape::kThreads, Shape::kSharedBytes}};
}

/// cuTensorMapEncodeTiled, found at run time so that nothing but cudart is linked; null where the driver has none.
decltype(&cuTensorMapEncodeTiled) encoder() {
  static const auto found = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result;
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result);
    return status == cudaSuccess && result == cudaDriverEntryPointSuccess ? function : nullptr;
  }();
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
}

/// Boxes of `box_rows` x 64 of a row-major bf16 matrix, swizzled by 128 bytes.
bool encode(TensorMap& map, const void* matrix, std::uint64_t rows, int columns, int box_rows) {
  constexpr cuuint32_t kBoxColumns = 64, kOnes[] = {1, 1};
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), rows};
  const cuuint64_t row_bytes[] = {sizes[0] * sizeof(Bf16)};
  const cuuint32_t box[] = {kBoxColumns, static_cast<cuuint32_t>(box_rows)};
  return encoder()(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(matrix), sizes, row_bytes, box, kOnes,
                   CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace

std::span<const GemmVariant> wgmma_variants() {
  static const GemmVariant all[] = {
      variant<Wgmma128, Epilogue::swiglu>("wgmma_128x128"),
      variant<Wgmma192, Epilogue::swiglu>("wgmma_128x192"),
      variant<Wgmma256, Epilogue::swiglu>("wgmma_128x256"),
      variant<Wgmma128, Epilogue::row_scaled>("wgmma_128x128"),
      variant<Wgmma192, Epilogue::row_scaled>("wgmma_128x192"),
      variant<Wgmma256, Epilogue::row_scaled>("wgmma_128x256"),
  };
  return all;
}

bool fits_hopper(const GemmVariant& variant, int n, const cudaDeviceProp& device) {
  return device.major == 9 && fits_device(variant, n, device);
}

cudaError_t launch_wgmma(const GemmVariant& variant, const GroupedGemm& gemm, int a_rows, int experts, int blocks,
                         cudaStream_t stream) {
  if (gemm.a_row || a_rows <= 0) return cudaErrorInvalidValue;
  if (!encoder()) return cudaErrorNotSupported;
  WgmmaGemm problem{{}, {}, gemm};
  const std::uint64_t b_rows = static_cast<std::uint64_t>(experts) * static_cast<std::uint64_t>(gemm.n);
  if (!encode(problem.a, gemm.a, static_cast<std::uint64_t>(a_rows), gemm.k, variant.rows) ||
      !encode(problem.b, gemm.b, b_rows, gemm.k, variant.columns))
    return cudaErrorInvalidValue;
  return launch(variant.kernel, problem, blocks, stream);
}

}  // namespace moesim::cuda
