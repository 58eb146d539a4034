// Tables of collectives become curves by size, judged on sizes left out.

#include "models/kernels/published/import_collectives.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"
#include "tests/shared_data.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
namespace fs = std::filesystem;

namespace {

constexpr const char* kNccl = "device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency\n";
constexpr const char* kLowLatency =
    "device,kernel_source,node_num,hidden_size,num_token,num_topk,num_experts,combine_avg_t_us,dispatch_avg_t_us\n";

/// A folder of tables below comm/.
class Comm {
public:
  void write(const std::string& where, const std::string& stem, const std::string& text) const {
    const fs::path into = folder_.path() / "comm" / where;
    fs::create_directories(into);
    std::ofstream{into / (stem + ".csv")} << text;
  }
  std::vector<EngineModel> import(const std::string& nccl = "auto") {
    files.clear();
    return import_collectives(folder_.path(), {"h100-sxm", "", nccl, {{"trtllm", "1.3.0rc10"}}}, files);
  }
  std::string refusal(const std::string& nccl = "auto") {
    try {
      import(nccl);
    } catch (const InputError& error) {
      std::string what = error.what();
      const std::string folder = folder_.path().string() + "/";
      for (auto at = what.find(folder); at != std::string::npos; at = what.find(folder)) what.erase(at, folder.size());
      return what;
    }
    return "nothing";
  }
  std::vector<ImportedFile> files;

private:
  TemporaryFolder folder_;
};

std::string nccl_row(const std::string& what, double size, double us) {
  return fmt::format("NVIDIA H100,{},{},{}\n", what, size, us * 1e-3);
}

}  // namespace

TEST_CASE("Message sizes of the tables are elements and become bytes", "[kernels]") {
  Comm comm;
  comm.write("nccl/2.9", "nccl_perf", kNccl + nccl_row("all_reduce,NCCL,half,4", 512, 99));  // older: not read
  comm.write("nccl/2.27.3", "nccl_perf",
             kNccl + nccl_row("all_reduce,NCCL,half,4", 512, 10) + nccl_row("all_reduce,NCCL,int8,4", 512, 10) +
                 nccl_row("all_gather,NCCL,half,4", 512, 10) + nccl_row("all_gather,NCCL,int8,4", 4096, 20) +
                 nccl_row("sendrecv,NCCL,half,4", 512, 10) + nccl_row("all_gather,NCCL,float,4", 512, 10));
  comm.write("trtllm/1.2", "custom_allreduce_perf",
             "kernel_source,allreduce_dtype,num_gpus,message_size,latency\nTRTLLM,bfloat16,2,128,0.003\n"
             "x_eager,bfloat16,2,128,0.02\n");
  const auto libraries = comm.import();
  REQUIRE(libraries.size() == 2);
  CHECK(libraries[0].name + " " + libraries[0].version == "nccl 2.27.3");
  REQUIRE(libraries[0].tables.size() == 2);
  const KernelTable& sums = libraries[0].tables[0];  // 512 halves are 1,024 bytes
  CHECK(sums.operation == KernelOperation::all_reduce);
  CHECK(sums.dimensions == std::vector<int>{4});
  CHECK(sums.curves == std::vector<Curve>{{{}, {1024}, {10}}});
  CHECK(libraries[0].tables[1].curves == std::vector<Curve>{{{}, {1024, 4096}, {10, 20}}});  // copies of both formats
  CHECK(libraries[1].name + " " + libraries[1].version == "trtllm 1.2");
  CHECK(libraries[1].tables[0].curves == std::vector<Curve>{{{}, {256}, {3}}});
  REQUIRE(comm.files.size() == 2);
  CHECK(comm.files[0].used == 3);
  CHECK(comm.files[0].left_out.at("sums of int8 are not modelled") == 1);
  CHECK(comm.files[0].left_out.at("operation sendrecv") == 1);
  CHECK(comm.files[0].left_out.at("number format float is not modelled") == 1);
  CHECK(comm.files[1].left_out.at("launched one by one, not from a CUDA graph") == 1);
}

TEST_CASE("An older version of NCCL can be asked for", "[kernels]") {
  Comm comm;
  for (const char* version : {"2.9", "2.27.3"})
    comm.write(fmt::format("nccl/{}", version), "nccl_perf", kNccl + nccl_row("alltoall,NCCL,half,4", 512, 10));
  CHECK(comm.import("2.9").front().version == "2.9");
  CHECK(comm.refusal("2.8") ==
        "--nccl: got 2.8, expected auto, or a version in comm/nccl: 2.27.3, 2.9; did you mean 2.9?");
}

TEST_CASE("Of DeepEP the newest version that measured a shape is taken", "[kernels]") {
  const auto row = [](int nodes, int tokens, double us) {
    return fmt::format("NVIDIA H100 80GB HBM3,deepep,{},7168,{},8,256,{},{}\n", nodes, tokens, 2 * us, us);
  };
  Comm comm;
  comm.write("sglang/0.5.6", "wideep_deepep_ll_perf", kLowLatency + row(1, 8, 40) + row(2, 8, 100));
  comm.write("sglang/0.5.12", "wideep_deepep_ll_perf", kLowLatency + row(1, 8, 20) + row(1, 16, 25));
  const auto libraries = comm.import();
  REQUIRE(libraries.size() == 1);
  CHECK(libraries[0].name + ", " + libraries[0].version == "deepep, sglang 0.5.12");
  REQUIRE(libraries[0].tables.size() == 4);  // both directions on 8 and 16 ranks
  const auto& dispatch = *std::find_if(libraries[0].tables.begin(), libraries[0].tables.end(), [](const auto& table) {
    return table.operation == KernelOperation::dispatch_low_latency && table.dimensions.front() == 8;
  });
  CHECK(dispatch.dimensions == std::vector<int>{8, 7168, 256, 8});
  CHECK(dispatch.curves == std::vector<Curve>{{{}, {8, 16}, {20, 25}}});
  CHECK(dispatch.kernel == "deepep (sglang 0.5.12)");
  CHECK(std::count_if(libraries[0].tables.begin(), libraries[0].tables.end(),
                      [](const auto& table) { return table.kernel == "deepep (sglang 0.5.6)"; }) == 2);
}

TEST_CASE("Damaged tables of collectives are refused with the line", "[kernels]") {
  const std::string file = "comm/nccl/2.27.3/nccl_perf.csv";
  const std::string good = nccl_row("all_reduce,NCCL,half,4", 512, 10);
  const auto refused = [&](const std::string& rows, const std::string& says) {
    Comm comm;
    comm.write("nccl/2.27.3", "nccl_perf", kNccl + rows);
    CHECK(comm.refusal() == file + says);
  };
  refused("NVIDIA H100,all_reduce,NCCL,half,4,512,nan\n", ":2: latency: got 'nan', expected a number");
  refused("NVIDIA H100,all_reduce,NCCL,half,4,512,-1\n", ":2: latency: got -1, expected a number above 0");
  refused("NVIDIA B200,all_reduce,NCCL,half,4,512,1\n",
          ":2: device: got NVIDIA B200, expected a h100-sxm: one GPU in a model");
  refused(good + nccl_row("all_reduce,NCCL,half,4", 512, 30),
          ":3: got 30 us, but the same point is 10 us above, expected times of one point that agree to a factor of 2");
  Comm comm;
  comm.write("nccl/2.27.3", "nccl_perf", "op_name,nccl_dtype,num_gpus,message_size,latency\n");
  CHECK(comm.refusal() ==
        file +
            ":1: got no column kernel_source, but columns op_name, nccl_dtype, num_gpus, message_size, "
            "latency, expected columns "
            "kernel_source,op_name,nccl_dtype,num_gpus,message_size,latency");
}

TEST_CASE("Sizes are left out one by one and told by their neighbours", "[kernels]") {
  // Told without their own size: 2 KiB between 11 and 14: 12, exact. 4 KiB between 12 and 36: 20, 43 % above 14.
  // 8 KiB between 14 and 46: 24.67, 31 % below 36. So the median is 31 %, and 0.9 of the way 31 + 0.8 (43 - 31) = 41 %.
  MeasuredPoints points;
  const TableKey key{KernelOperation::all_gather, "NCCL", NumberFormat::bf16, {8}};
  for (const auto& [kib, us] : {std::pair{1, 11.0}, {2, 12.0}, {4, 14.0}, {8, 36.0}, {16, 46.0}})
    points[key].push_back({{}, 1024.0 * kib, us});
  EngineModel library{"nccl", "1", {}, {}};
  fit_collectives(points, library);
  REQUIRE(library.errors.size() == 1);
  const ModelError& error = library.errors.front();
  CHECK(error.regime == "8 ranks");
  CHECK(error.points == 3);
  CHECK(error.baseline == "latency and bandwidth");
  CHECK(error.p90 == Approx(0.406).epsilon(0.01));
  CHECK(error.median == Approx(1 - 24.667 / 36).epsilon(0.01));
}

TEST_CASE("Collectives of a CSV lie beside the kernels of its engines", "[kernels]") {
  const TemporaryFolder folder;
  ImportRequest request;
  request.gpu = "h100-sxm";
  const std::string columns = "engine,version,operation,kernel,format,n,k,m,ranks,bytes,microseconds\n";
  const std::string sum = "nccl,2.29.2,all_reduce,NCCL,bf16,,,,2,1024,7\n";
  const auto both = folder.write("both.csv", columns + "mine,1,gemm,mm,bf16,128,256,1,,,4\n" + sum);
  const Imported imported = import_csv(both, request);
  REQUIRE(imported.model.collectives.size() == 1);
  CHECK(imported.model.collectives[0].name == "nccl");
  CHECK(imported.model.collectives[0].tables[0].curves == std::vector<Curve>{{{}, {1024}, {7}}});
  const std::string alone = folder.write("alone.csv", columns + sum);
  CHECK_THROWS_WITH(import_csv(alone, request), alone + ": got collectives alone, expected kernels of an engine, too");
}

TEST_CASE("Times of NCCL and DeepEP at sizes left out are off by less than a tenth in the median", "[kernels]") {
  const fs::path folder = shared_folder() / "data/kernels";
  for (const char* gpu : {"h100_sxm", "b200_sxm"}) {
    if (!fs::exists(folder / gpu)) {
      WARN("no measured tables below " << folder << ": skipped");
      continue;
    }
    std::vector<ImportedFile> files;
    const auto libraries = import_collectives(folder / gpu,
                                              {std::string{gpu} == "h100_sxm" ? "h100-sxm" : "b200-sxm",
                                               "",
                                               "auto",
                                               {{"trtllm", "1.3.0rc10"}, {"sglang", "0.5.10"}, {"vllm", "0.19.0"}}},
                                              files);
    REQUIRE(libraries.size() == 5);
    for (const EngineModel& library : libraries)
      for (const ModelError& error : library.errors) {
        INFO(gpu << " " << library.name << " " << name_of(error.operation) << " " << error.regime);
        CHECK(error.median <= 0.10);
        CHECK(error.median < error.baseline_median + 0.005);
      }
  }
}

TEST_CASE("Shipped profiles take 2 MB in all", "[kernels]") {
  std::uintmax_t bytes = 0;
  for (const std::string& name : shipped_kernel_models())
    bytes += fs::file_size(resource_folder(Resource::profiles) / (name + ".json"));
  CHECK(bytes <= 2'000'000);
  CHECK(bytes > 1'000'000);  // they are there
}
