// What `moesim validate` refuses, word for word.

#include "tests/catch_compat.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validate/serving_csv.hpp"

using namespace moesim::testing;

namespace {

void refuses(const TemporaryFolder& folder, const std::string& message, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"validate", folder.path().string()});
  const CommandResult result = run_command(more);
  CHECK(result.exit == 2);
  CHECK(result.out.empty());
  CHECK(result.err == "moesim: " + message + "\n");
}

const std::string kFlashMla = "date,gpu,toolchain,kernel,regime,value,unit,source\n";

}  // namespace

TEST_CASE("A number that is none is refused with its place", "[validate]") {
  const TemporaryFolder folder;
  const std::string file = folder.write("silicon_e2e_open.csv", serving_csv({{}, {.tpot = "fast"}}));
  refuses(folder, file + ":3:122: got silicon_tpot_ms \"fast\", expected a finite number >= 0");
}

TEST_CASE("A time of zero and a broken count are refused with their places", "[validate]") {
  const TemporaryFolder folder;
  const std::string file = folder.write("silicon_e2e_open.csv", serving_csv({{.tpot = "0"}}));
  refuses(folder, file + ":2:122: got silicon_tpot_ms \"0\", expected a finite number > 0");
  folder.write("silicon_e2e_open.csv", serving_csv({{.tp = "-2"}}));
  refuses(folder, file + ":2:95: got tp_size \"-2\", expected a whole number from 1 to 2147483647");
}

TEST_CASE("A header that the name should not have is refused", "[validate]") {
  const TemporaryFolder folder;
  const std::string file = folder.write("flashmla.csv", "date,gpu,value\n");
  refuses(folder, file +
                      ":1:1: got columns date,gpu,value, expected "
                      "date,gpu,toolchain,kernel,regime,value,unit,source");
}

TEST_CASE("A row of another width is refused with its line", "[validate]") {
  const TemporaryFolder folder;
  const std::string file = folder.write("flashmla.csv", kFlashMla + "2025,H800\n");
  refuses(folder, file + ":2:1: got 2 fields, expected 8 fields as in the header");
}

TEST_CASE("A folder that is not there and one without measured files are refused", "[validate]") {
  const CommandResult result = run_command({"validate", "no/such/folder"});
  CHECK(result.exit == 2);
  CHECK(result.err == "moesim: no/such/folder: got no such folder, expected a folder of measured .csv files\n");
  const TemporaryFolder folder, other;
  const std::string file = other.write("out.csv", "mine");
  CHECK(run_command({"validate", file}).err ==
        "moesim: " + file + ": got a file, expected a folder of measured .csv files\n");
  CHECK(run_command({"validate", folder.path().string(), "--csv", file}).err ==
        "moesim: --csv: got '" + file + "', which exists, expected a new file, or --force to replace it\n");
  CHECK(run_command({"validate", folder.path().string(), "--csv", file + "/x.csv"}).err ==
        "moesim: --csv: got '" + file + "/x.csv': Not a directory, expected a file that can be written\n");
  refuses(folder, folder.path().string() +
                      ": got no measured file, expected one of aws_ep_backends.csv, deepep_low_latency.csv, "
                      "deepep_normal.csv, deepgemm.csv, deepseek_train_trace_kernels.csv, flashmla.csv, "
                      "fused_moe_microbench.csv, nccl_intranode_derived.csv, routing_skew.csv, "
                      "serving_large_scale_ep.csv, silicon_e2e_dense_control.csv, silicon_e2e_open.csv, "
                      "trtllm_alltoall_gb200.csv, trtllm_perf_overview.csv");
}

TEST_CASE("A selection that nothing answers to is refused with the nearest file", "[validate]") {
  const TemporaryFolder folder;
  folder.write("flashmla.csv", kFlashMla + "2025,H800,c,k,r,3000,GB/s,s\n");
  refuses(folder,
          "--only: got flashmal.csv, expected a file (flashmla.csv) or a part of a group's name; did you mean "
          "flashmla.csv?",
          {"--only", "flashmal.csv"});
}
