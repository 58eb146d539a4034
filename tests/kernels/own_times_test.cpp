// Own kernel times: a plain CSV becomes a kernel model, or one clear line.

#include <fmt/format.h>

#include "models/kernels/published/curve_grid.hpp"
#include "models/kernels/published/fastest_time.hpp"
#include "models/kernels/published/import.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

TEST_CASE("A plain CSV becomes curves of the operation it names", "[kernels]") {
  const TemporaryFolder folder;
  const std::string columns = "engine,version,operation,kernel,format,n,k,m,microseconds\n";
  ImportRequest request;
  request.gpu = "h100-sxm";
  const auto file =
      folder.write("mine.csv", columns + "mine,1,gemm,mm,bf16,128,256,1,4\nmine,1,gemm,mm,bf16,128,256,64,6\n");
  const Imported imported = import_csv(file, request);
  CHECK(imported.model.engines.front().tables.front().curves == std::vector<Curve>{{{128, 256}, {1, 64}, {4, 6}}});
  const auto refused = [&](const std::string& row, const std::string& says) {
    const std::string bad = folder.write("bad.csv", columns + row);
    CHECK_THROWS_WITH(import_csv(bad, request), bad + says);
  };
  refused("mine,1,gemm,mm,bf16,128,256,3.5,4\n", ":2: m: got 3.5, expected a whole number");
  refused("mine,1,gemm,mm,bf16,128,256,1e12,4\n", ":2: m: got 1e12, expected a whole number of at most 1e+09");
  refused("mine,1,gemm,mm,bf16,128.5,256,1,4\n", ":2: n: got 128.5, expected a whole number");
  refused("mine,1,gemm,mm,bf16,128,256,1,1e10\n", ":2: microseconds: got 1e10, expected a number of at most 1e+09");
  refused("mine,1,gemm,mm,bf16,128,256,0,4\n", ":2: m: got 0, expected a number above 0");
  refused("mine,1,gemm,,bf16,128,256,1,4\n", ":2: kernel: got nothing, expected a name");
  refused("mine,1,decode_mla,mm,bf16,128,256,1,4\n",
          ":2: heads: got columns engine, version, operation, kernel, format, n, k, m, microseconds, expected a column "
          "heads");
  refused("mine,1,gem,mm,bf16,128,256,1,4\n",
          ":2: operation: got gem, expected one of experts, expert_gemms, gemm, prefill_attention, decode_attention, "
          "prefill_mla, decode_mla, mla_in, mla_out, all_reduce, all_gather, reduce_scatter, all_to_all, "
          "dispatch_low_latency, combine_low_latency, dispatch_normal, combine_normal; did you mean gemm?");
  refused("mine,1,gemm,mm,bf16,128,256,1,4\nmine,2,gemm,mm,bf16,128,256,2,4\n",
          ":3: version: got 2, expected 1, as in the rows above: scenarios choose an engine by its name");
  CHECK(imported.model.engines.front().tables.front().points == 2);
  request.gpu = "auto";
  CHECK_THROWS_WITH(import_csv(file, request),
                    "--gpu: got auto for a CSV file, which names no device, expected the name of its entry in `moesim "
                    "list gpus`");
}

TEST_CASE("Own times of experts that cannot be are refused, and a spreadsheet's byte order mark is no column",
          "[kernels]") {
  const TemporaryFolder folder;
  const std::string columns =
      "engine,version,operation,kernel,format,hidden,expert_hidden,experts,top_k,slots,rows,microseconds\n";
  ImportRequest request;
  request.gpu = "h100-sxm";
  const std::string good = "mine,1,experts,mm,bf16,4096,1536,8,2,4,64,400\n";
  const auto marked = folder.write("marked.csv", "\xEF\xBB\xBF" + columns + good);
  CHECK(import_csv(marked, request).model.engines.front().name == "mine");
  const auto refused = [&](const std::string& row, const std::string& says) {
    const std::string bad = folder.write("bad.csv", columns + good + row);
    CHECK_THROWS_WITH(import_csv(bad, request), bad + says);
  };
  refused("mine,1,experts,mm,bf16,4096,1536,8,20,4,64,400\n",
          ":3: top_k: got 20 of 8 experts, expected at most all of them");
  refused("mine,1,experts,mm,bf16,4096,1536,8,2,16,64,400\n",
          ":3: slots: got 16 of 8 experts, expected a whole number from 1 to all of them");
  refused("mine,1,experts,mm,bf16,4096,1536,8,2,1.5,64,400\n", ":3: slots: got 1.5, expected a whole number");
  refused("mine,1,experts,mm,bf16,4096.5,1536,8,2,4,64,400\n", ":3: hidden: got 4096.5, expected a whole number");
  // one's own two times of one point: 1.5 times apart
  refused("mine,1,experts,mm,bf16,4096,1536,8,2,4,64,600\n",
          ":3: got 600 us, but the same point is 400 us above, expected times of one point that agree to a factor of "
          "1.25");
}

TEST_CASE("Times of a CSV file are the user's own unless a source is named", "[kernels]") {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "lab 7.csv", "engine,version,operation,kernel,format,n,k,m,microseconds\nmine,1,gemm,mm,bf16,128,256,1,4\n");
  ImportRequest request;
  request.gpu = "h100-sxm";
  const KernelModel own = import_csv(file, request).model;
  CHECK(own.name == "lab 7");
  CHECK(own.origin.kind == KernelSource::calibrated);
  CHECK(own.origin.name == "lab 7.csv");
  request.source = "someone";
  request.name = "theirs";
  const KernelModel published = import_csv(file, request).model;
  CHECK(published.name == "theirs");
  CHECK(published.origin.kind == KernelSource::published);
  CHECK(published.origin.name == "someone");
}

TEST_CASE("Own times that fall with the size are counted with the one that the curve misses most", "[kernels]") {
  const TemporaryFolder folder;
  // of 10, 20, 15 and 30 us the falling pair becomes its lower median, 15: the 20 is told 25 % too low, the 15 as it is
  std::string rows =
      "engine,version,operation,kernel,format,n,k,m,ranks,bytes,microseconds\nmine,1,gemm,mm,bf16,128,256,1,1,1,4\n";
  for (const char* time : {"1024,10", "2048,20", "4096,15", "8192,30"})
    rows += fmt::format("mine,1,all_reduce,ring,bf16,1,1,1,4,{}\n", time);
  ImportRequest request;
  request.gpu = "h100-sxm";
  const auto fallen = import_csv(folder.write("falls.csv", rows), request).flattened;
  REQUIRE(fallen);
  CHECK(fallen->points == 1);
  CHECK(fallen->most == Approx(0.25));
  CHECK(fallen->operation == KernelOperation::all_reduce);
  CHECK(fallen->line == 4);
  CHECK(fallen->measured == 20);
  CHECK(fallen->told == Approx(15));
  const auto rising = import_csv(folder.write("rises.csv", rows.replace(rows.find(",15\n"), 4, ",25\n")), request);
  CHECK(rising.flattened->points == 0);
}

TEST_CASE("Cells of own times may stand in quotes, between blanks and blank lines, and a broken quote has its place",
          "[kernels]") {
  const TemporaryFolder folder;
  const std::string columns = "engine, version ,operation,\"kernel\",format,n,k,m,microseconds\n";
  ImportRequest request;
  request.gpu = "h100-sxm";
  const auto file =
      folder.write("quoted.csv", columns + "mine,1, gemm ,\"mm, \"\"split\"\" k\",bf16,128,256, 1,\"4\"\r\n\n" +
                                     "\"mine\",\"1\",gemm,\"mm, \"\"split\"\" k\",bf16,128,256,64 ,6\n\n");
  const Imported imported = import_csv(file, request);
  REQUIRE(imported.model.engines.size() == 1);
  REQUIRE(imported.model.engines.front().tables.size() == 1);
  CHECK(imported.model.engines.front().tables.front().kernel == "mm, \"split\" k");
  CHECK(imported.model.engines.front().tables.front().curves == std::vector<Curve>{{{128, 256}, {1, 64}, {4, 6}}});
  CHECK(imported.files.front().rows == 2);
  const auto refused = [&](const std::string& row, const std::string& says) {
    const std::string bad = folder.write("bad.csv", columns + row);
    CHECK_THROWS_WITH(import_csv(bad, request), bad + says);
  };
  refused("mine,1,gemm,\"mm,bf16,128,256,1,4\n",
          ":2:13: got a quote without end, expected a second quote in the same line");
  refused("mine,1,gemm,\"mm\"2,bf16,128,256,1,4\n", ":2:17: got a closed quote, then \"2\", expected a comma");
  refused("mine,1,gemm,caf\xE9,bf16,128,256,1,4\n",
          ":2:16: got the byte 0xE9, expected text in UTF-8 without control characters");
  refused("mine,1,gemm,mm, 2,bf16,128,256,1,4\n", ":2:1: got 10 fields, expected 9 fields as in the header");
}

TEST_CASE("What an import makes of possible times can be loaded, however they scatter", "[kernels]") {
  const Gpu gpu = find_gpu("h100-sxm", "gpu");
  const TableKey gemm{KernelOperation::gemm, "mm", NumberFormat::bf16, {}},
      experts{KernelOperation::experts, "moe", NumberFormat::fp8, {2048, 768, 64, 8}};
  ImportRequest request;
  request.gpu = gpu.name;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 0, 0};
    std::string rows =
        "engine,version,operation,kernel,format,n,k,m,hidden,expert_hidden,experts,top_k,slots,rows,microseconds\n";
    const auto time = [&](const TableKey& key, const MeasuredPoint& point) {
      return least_microseconds(gpu, key, point) * (1 + random.uniform() * random.uniform()) * (1 + 1e-9);
    };
    for (double m = 1; m < 20000; m = std::ceil(m * (1 + random.uniform())))
      for (const double n : {512, 4096})
        rows += fmt::format("mine,1,gemm,mm,bf16,{},1024,{},1,1,1,1,1,1,{}\n", n, m, time(gemm, {{n, 1024}, m}));
    for (double tokens = 8; tokens < 20000; tokens *= 2)
      for (const double slots : {8, 64})
        rows += fmt::format("mine,1,experts,moe,fp8,1,1,1,2048,768,64,8,{},{},{}\n", slots, tokens * slots / 8,
                            time(experts, {{slots}, tokens * slots / 8}));
    const TemporaryFolder folder;
    const Imported imported = import_csv(folder.write("mine.csv", rows), request);
    CHECK_NOTHROW(parse_kernel_model(kernel_model_text(imported.model), "m.json"));
  }
}
