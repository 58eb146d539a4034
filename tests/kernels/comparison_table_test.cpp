// The table that a GPU session's measurements become.

#include "models/kernels/cuda/comparison_table.hpp"

#include <sstream>

#include "tests/catch_compat.hpp"

using Catch::Matchers::Contains;
using moesim::cuda::comparison_table;

namespace {

constexpr auto kCeilings =
    R"({"gpu": "Toy H100", "sms": 4, "copy_bytes_per_s": 3e12, "products": [)"
    R"({"kernel": "cublaslt", "flop_per_s": 8e14}, {"kernel": "mma_128x128", "flop_per_s": 4e14}]})"
    "\n";

std::string timing(int rows, bool skewed, const std::string& kernel, const std::string& format, double us,
                   double weight_bytes, double flop) {
  std::ostringstream line;
  line << R"({"model": "mixtral-8x7b", "gemm": 1, "rows_per_expert": )" << rows << R"(, "skewed": )"
       << (skewed ? "true" : "false") << R"(, "kernel": ")" << kernel << R"(", "format": ")" << format
       << R"(", "median_us": )" << us << R"(, "p10_us": 1, "p90_us": 2, "samples": 5, "weight_bytes": )" << weight_bytes
       << R"(, "flop": )" << flop << "}\n";
  return line.str();
}

std::string table_of(const std::string& lines) {
  std::istringstream in{lines};
  return comparison_table(in);
}

}  // namespace

TEST_CASE("Our fastest kernel stands against every library", "[kernels]") {
  // 1.8 GB in 750 us are 2.4 TB/s, 0.8 of the copy; 6e10 FLOP in 750 us are 8e13, 0.1 of the product
  const std::string table = table_of(std::string{R"({"verified": "mma_16x64", "gemm": 1, "right": true})"} + "\n" +
                                     kCeilings + timing(8, true, "mma_64x128", "bf16", 900, 1.8e9, 6e10) +
                                     timing(8, true, "mma_16x64", "bf16", 750, 1.8e9, 6e10) +
                                     timing(8, true, "w4_decode", "int4", 400, 0.48e9, 6e10) +
                                     timing(8, true, "cublaslt_loop", "bf16", 1500, 1.8e9, 6e10) +
                                     timing(8, true, "cublas_grouped", "bf16", 1000, 1.8e9, 6e10));
  CHECK_THAT(table, Contains("Measured on Toy H100: copy 3.00 TB/s read and written; one large bf16 product, cublaslt "
                             "800 TFLOP/s, mma_128x128 400 TFLOP/s."));
  CHECK_THAT(table, Contains("| mixtral-8x7b | 1 | 8, skewed | bf16 | mma_16x64 | 750.0 | 0.80 | 0.10 | 0.50 | - | "
                             "0.75 |\n"));
  // 0.48 GB in 400 us are 1.2 TB/s
  CHECK_THAT(table, Contains("| int4 | w4_decode | 400.0 | 0.40 | 0.19 | 0.27 | - | 0.40 |\n"));
  CHECK_THAT(table,
             Contains("| bf16 decode (up to 16 rows, 100 MB of weights) of the copy rate | >= 0.80 | 0.80 | 0.80 "
                      "| yes |\n"));
  CHECK_THAT(table, Contains("| int4 decode of the copy rate | >= 0.60 | 0.40 | 0.40 | no |\n"));
  CHECK_THAT(table, Contains("| bf16 time over cuBLAS grouped on skewed input | <= 1.00 | 0.75 | 0.75 | yes |\n"));
  CHECK_THAT(table, Contains("| fp8 decode of the copy rate | >= 0.75 | not measured | | |\n"));
}

TEST_CASE("Rows of arithmetic are judged by the product and small ones not by their bytes", "[kernels]") {
  // 1e12 FLOP in 2 ms are 5e14: 0.625; 50 MB of weights are no decode target
  const std::string table = table_of(kCeilings + timing(1024, false, "mma_128x128", "bf16", 2000, 1.8e9, 1e12) +
                                     timing(8, false, "mma_16x64", "bf16", 20, 5e7, 1e9));
  CHECK_THAT(table, Contains("| bf16 with 1,024 rows and more of the 8192^3 product | >= 0.50 | 0.62 | 0.62 | yes |"));
  CHECK_THAT(table, Contains("of the copy rate | >= 0.80 | not measured | | |\n"));
}

TEST_CASE("A table of a run that was cut off has what was measured, and other text is refused", "[kernels]") {
  const std::string good = kCeilings + timing(8, false, "mma_16x64", "bf16", 750, 1.8e9, 6e10);
  CHECK_THAT(table_of(good + R"({"model": "mixt)"), Contains("mma_16x64"));
  CHECK_THROWS_WITH(table_of(good + "hello\n" + good), Contains("line 3: "));
  CHECK_THROWS_WITH(table_of(""), "no line with the device's ceilings");
}
