// Tables of others become a kernel model, or one clear line.

#include "models/kernels/published/import.hpp"

#include <fmt/format.h>

#include "models/kernels/published/curve_grid.hpp"
#include "models/kernels/published/fastest_time.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/shared_data.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr const char* kMoe =
    "device,kernel_source,moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,"
    "distribution,latency\n";
constexpr const char* kGemm = "device,kernel_source,gemm_dtype,m,n,k,latency\n";
constexpr const char* kPrefill =
    "device,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,"
    "latency\n";

/// A folder with the four tables that an engine needs; rows can be given for one of them.
class Tables {
public:
  explicit Tables(const std::string& moe_rows = "", const std::string& gemm_rows = "") {
    write("moe", "moe_perf", kMoe + (moe_rows.empty() ? balanced() : moe_rows));
    write("gemm", "gemm_perf",
          kGemm + (gemm_rows.empty() ? "NVIDIA H100 80GB HBM3,torch,bfloat16,1,128,256,0.004\n" : gemm_rows));
    const std::string attention = "NVIDIA H100 80GB HBM3,flash,2,64,16,4,128,bfloat16,fp8,0,0.02\n";
    write("attention", "context_attention_perf", kPrefill + attention);
    write("attention", "generation_attention_perf", kPrefill + attention);
  }
  const fs::path& path() const { return folder_.path(); }
  /// Experts alone, of another version.
  void add_version(const std::string& version, const std::string& moe_rows) {
    write("moe", "moe_perf", kMoe + moe_rows, version);
  }

private:
  /// Two experts of each token's two: T tokens are T rows for both.
  static std::string balanced() {
    std::string rows;
    for (const int tokens : {1, 4, 16})
      rows +=
          fmt::format("NVIDIA H100 80GB HBM3,cutlass,fp8_block,{},64,96,2,2,3,1,balanced,{}\n", tokens, 0.01 * tokens);
    return rows + "NVIDIA H100 80GB HBM3,cutlass_nongated,fp8_block,1,64,96,2,2,1,1,balanced,0.01\n";
  }
  void write(const std::string& kind, const std::string& stem, const std::string& text,
             const std::string& version = "1.3.0rc10") {
    const fs::path into = folder_.path() / kind / "trtllm" / version;
    fs::create_directories(into);
    std::ofstream{into / (stem + ".csv")} << text;
  }
  TemporaryFolder folder_;
};

void refuses(const Tables& tables, const std::string& says) {
  const std::string folder = tables.path().string() + "/";
  try {
    import_aiconfigurator(tables.path(), {});
    FAIL("nothing was refused");
  } catch (const InputError& error) {
    std::string what = error.what();
    if (const auto at = what.find(folder); at != std::string::npos) what.erase(at, folder.size());
    CHECK(what == says);
  }
}

}  // namespace

TEST_CASE("Tables become curves with their shapes per rank", "[kernels]") {
  CHECK_FALSE(import_aiconfigurator(Tables{}.path(), {}).flattened);
  const Tables tables;
  const Imported imported = import_aiconfigurator(tables.path(), {});
  CHECK(imported.model.gpu == "h100-sxm");
  CHECK(imported.model.device == "NVIDIA H100 80GB HBM3");
  REQUIRE(imported.model.engines.size() == 1);
  const EngineModel& engine = imported.model.engines.front();
  CHECK(engine.name + " " + engine.version == "trtllm 1.3.0rc10");
  REQUIRE(engine.tables.size() == 4);
  const KernelTable& experts = engine.tables[0];  // width 96 over 3 ranks of expert TP; 4 tokens: 8 rows on 2 slots
  CHECK(experts.dimensions == std::vector<int>{64, 32, 2, 2});
  CHECK(experts.format == NumberFormat::fp8_block);
  REQUIRE(experts.curves.size() == 1);
  CHECK(experts.curves[0].at == std::vector<double>{2});
  CHECK(experts.curves[0].size.front() == 2);
  CHECK(experts.curves[0].size.back() == 32);
  CHECK(experts.curves[0].microseconds.back() == 160);
  CHECK(engine.tables[1].curves == std::vector<Curve>{{{128, 256}, {1}, {4}}});
  CHECK(engine.tables[2].curves == std::vector<Curve>{{{4, 64}, {32}, {20}}});  // 2 sequences x 16 heads
  CHECK(engine.tables[3].curves == std::vector<Curve>{{{4, 64}, {8}, {20}}});   // 2 sequences x 4 KV heads
  CHECK(imported.files[0].used == 3);
  CHECK(imported.files[0].left_out.at("experts with two matrices are not modelled") == 1);
}

TEST_CASE("A number format that the engine's version lacks comes from the nearest newer one that has it", "[kernels]") {
  Tables tables;
  const std::string start = "NVIDIA H100 80GB HBM3,cutlass,", end = ",1,64,96,2,2,3,1,balanced,";
  tables.add_version("1.3.0rc20", start + "w4a16_mxfp4" + end + "0.007\n" + start + "fp8_block" + end + "5\n");
  tables.add_version("1.4", start + "w4a16_mxfp4" + end + "9\n");
  const Imported imported = import_aiconfigurator(tables.path(), {});
  const auto& kernels = imported.model.engines.front().tables;
  CHECK(imported.model.engines.front().version == "1.3.0rc10");
  REQUIRE(kernels[0].format == NumberFormat::fp8_block);
  CHECK(kernels[0].curves[0].microseconds.back() == 160);  // of the engine's own version
  REQUIRE(kernels[1].format == NumberFormat::mxfp4);
  CHECK(kernels[1].curves[0].microseconds == std::vector<double>{7});
  REQUIRE(imported.files.size() == 6);
  CHECK(imported.files[1].path == "moe/trtllm/1.3.0rc20/moe_perf.csv");
  CHECK(imported.files[1].used == 1);
  CHECK(imported.files[1].left_out.at("in a format that the engine's own version has") == 1);
  CHECK(imported.files[2].used == 0);
}

TEST_CASE("Damaged tables are refused with the line", "[kernels]") {
  const std::string device = "NVIDIA H100 80GB HBM3,";
  const std::string file = "gemm/trtllm/1.3.0rc10/gemm_perf.csv";
  const std::string good = device + "torch,bfloat16,1,128,256,0.004\n";
  refuses(Tables{"", device + "torch,bfloat16,1,128,256,nan\n"}, file + ":2: latency: got 'nan', expected a number");
  refuses(Tables{"", device + "torch,bfloat16,1,128,256,-0.1\n"},
          file + ":2: latency: got -0.1, expected a number above 0");
  refuses(Tables{"", good + device + "torch,bfloat16,1\n"},
          file + ":3:1: got 4 fields, expected 7 fields as in the header");
  refuses(
      Tables{"", good + device + "torch,bfloat16,1,128,256,0.009\n"},
      file + ":3: got 9 us, but the same point is 4 us above, expected times of one point that agree to a factor of 2");
  refuses(
      Tables{"", good + "NVIDIA B200,torch,bfloat16,2,128,256,0.004\n"},
      file + ":3: device: got NVIDIA B200, expected NVIDIA H100 80GB HBM3, as in the other rows: one GPU in a model");
  Tables without_column;
  std::ofstream{without_column.path() / file} << "device,kernel_source,m,n,k,latency\n";
  refuses(without_column,
          file +
              ":1: got no column gemm_dtype, but columns device, kernel_source, m, n, k, latency, expected columns "
              "kernel_source,gemm_dtype,m,n,k,latency");
}

TEST_CASE("A folder without tables is refused", "[kernels]") {
  const TemporaryFolder empty;
  CHECK_THROWS_WITH(import_aiconfigurator(empty.path(), {}),
                    Contains("got no engine with tables of experts, dense products and attention"));
  CHECK_THROWS_WITH(import_aiconfigurator("/no/such", {}),
                    "/no/such: got no such folder, expected a folder of measured tables of one GPU");
}

TEST_CASE("A time that the GPU's own peaks do not allow is refused or left out", "[kernels]") {
  // H100: 989.5 TFLOP/s in bf16, 1979 in fp8, 3.35 TB/s. n = k = 4096: one row reads 33,554,432 B of weights and moves
  // 16,384 B of vectors, 10.0 us, of which half is believed: 5.01. 16,384 rows are 5.498e11 FLOP: 555.6 us, 0.8: 444.5.
  const Gpu gpu = find_gpu("h100-sxm", "gpu");
  const TableKey gemm{KernelOperation::gemm, "mm", NumberFormat::bf16, {}};
  CHECK(least_microseconds(gpu, gemm, {{4096, 4096}, 1, 1}) == Approx(0.5 * 33570816 / 3.35e6).epsilon(1e-6));
  const double rows = 16384, flops = 2 * rows * 4096 * 4096;
  CHECK(least_microseconds(gpu, gemm, {{4096, 4096}, rows, 1}) == Approx(0.8 * flops / 989.5e6).epsilon(1e-6));
  // weights of 4 bits: some kernels multiply in 4 bits, at most at twice the fp8 rate
  const TableKey narrow{KernelOperation::gemm, "mm", NumberFormat::mxfp4, {}};
  CHECK(least_microseconds(gpu, narrow, {{4096, 4096}, rows, 1}) == Approx(0.8 * flops / 2 / 1979e6).epsilon(1e-3));
  CHECK_FALSE(is_impossible(gpu, gemm, {{4096, 4096}, 1, 5.02}));
  CHECK(is_impossible(gpu, gemm, {{4096, 4096}, 1, 5.0}));
  CHECK_FALSE(is_impossible(gpu, gemm, {{4096, 4096}, 1, 5.0, 1.2}));  // skewed: nobody knows what it read

  const TemporaryFolder folder;
  ImportRequest request;
  request.gpu = "h100-sxm";
  const auto csv = folder.write("fast.csv",
                                "engine,version,operation,kernel,format,n,k,m,microseconds\n"
                                "mine,1,gemm,mm,bf16,4096,4096,1,12\nmine,1,gemm,mm,bf16,4096,4096,16384,100\n");
  CHECK_THROWS_WITH(import_csv(csv, request), csv +
                                                  ":3: microseconds: got 100, expected at least 444.5: the peaks of "
                                                  "h100-sxm allow no less for gemm in bf16");

  const Tables tables{"",
                      "NVIDIA H100 80GB HBM3,torch,bfloat16,1,4096,4096,0.012\n"
                      "NVIDIA H100 80GB HBM3,torch,bfloat16,16384,4096,4096,0.1\n"};
  const Imported imported = import_aiconfigurator(tables.path(), {});
  CHECK(imported.files[1].used == 1);
  CHECK(imported.files[1].left_out.at("faster than the GPU's peaks allow") == 1);
  CHECK(imported.model.engines.front().tables[1].curves == std::vector<Curve>{{{4096, 4096}, {1}, {12}}});
}

TEST_CASE("A device is matched with its catalogue entry", "[kernels]") {
  CHECK(gpu_of_device("NVIDIA H100 80GB HBM3") == "h100-sxm");
  CHECK(gpu_of_device("NVIDIA B200") == "b200-sxm");
  CHECK(gpu_of_device("NVIDIA H20") == "h20-sxm");
  CHECK_THROWS_WITH(gpu_of_device("NVIDIA A100-SXM4-80GB"),
                    "--gpu: got auto for device 'NVIDIA A100-SXM4-80GB', expected one of a100-pcie, a100-sxm");
  CHECK_THROWS_WITH(gpu_of_device("Toy"),
                    "--gpu: got auto for device 'Toy', expected the name of its entry in `moesim list gpus`");
}
