// Mistakes planted in the grouped GEMM: each must be noticed with every tile, by a fault of the emulation or by a wrong
// result. Without this, the tests of grouped_gemm_test.cpp prove little.

#include "tests/kernels/cuda_emulation/gemm_testing.hpp"

using namespace moesim::cuda;
using namespace moesim::cuda::testing;

namespace {

/// What gave the mistake away, "" if nothing did.
template <class Tile, Epilogue kEpilogue, Fault kFault>
std::string noticed(const Layout& layout) {
  return noticed_by(
      [&] { return run_gemm<Tile, kEpilogue, kFault>(layout, 2 * Tile::kColumns, 320, fresh_seed()).verdict(); });
}

template <class Tile, Fault kFault>
void check_noticed(const Layout& layout, const std::string& as) {
  using Catch::Matchers::Contains;
  CHECK_THAT((noticed<Tile, Epilogue::swiglu, kFault>(layout)), Contains(as));
  CHECK_THAT((noticed<Tile, Epilogue::row_scaled, kFault>(layout)), Contains(as));
}

}  // namespace

TEMPLATE_TEST_CASE("A planted mistake in the kernel is noticed", "[kernels]", Tile16, Tile32, Tile64, Tile128) {
  const Layout contiguous{{3, TestType::kRows + 1}}, masked{{3, 1}, TestType::kRows};
  CHECK(noticed<TestType, Epilogue::swiglu, Fault::none>(contiguous).empty());
  check_noticed<TestType, Fault::wait_depth>(contiguous, "reads a copy that has not been waited for");
  check_noticed<TestType, Fault::barrier>(contiguous, "without a barrier between");
  check_noticed<TestType, Fault::fragment_row>(contiguous, "wrong result");
  check_noticed<TestType, Fault::row_guard>(masked, "overwritten rows");
  check_noticed<TestType, Fault::zero_fill>(contiguous, "outside every buffer");
}

TEMPLATE_TEST_CASE("A planted mistake is noticed with the tiles of gpt-oss", "[kernels]", Tile32By96, Tile128By192) {
  const Layout contiguous{{3, TestType::kRows + 1}};
  using Catch::Matchers::Contains;
  CHECK_THAT((noticed<TestType, Epilogue::row_scaled, Fault::wait_depth>(contiguous)), Contains("not been waited for"));
  CHECK_THAT((noticed<TestType, Epilogue::row_scaled, Fault::barrier>(contiguous)), Contains("without a barrier"));
  CHECK((noticed<TestType, Epilogue::row_scaled, Fault::fragment_row>(contiguous)) == "wrong result");
}
