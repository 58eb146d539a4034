// The file of a kernel model: read as written, and damaged ones refused.

#include "models/kernels/published/kernel_model.hpp"

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/json_fault.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernel_model_testing.hpp"
#include "tests/kernels/kernels_testing.hpp"
#include "tests/kernels/profile_testing.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

TEST_CASE("A model reads back as it was written", "[kernels]") {
  const KernelModel model = small_kernel_model();
  CHECK(parse_kernel_model(kernel_model_text(model), "m.json") == model);
}

TEST_CASE("Damaged models are refused with the place", "[kernels]") {
  const std::string text = kernel_model_text(small_kernel_model());
  const auto refused = [](const std::string& damaged, const std::string& says) {
    CHECK_THROWS_WITH(parse_kernel_model(damaged, "m.json"), says);
  };
  refused(with(text, "\"version\": 3", "\"version\": 1"),
          "m.json: version: got 1, expected 2 or 3 (import again with this moesim)");
  refused(with(text, "moesim kernel model", "other"),
          "m.json: got no \"format\": \"moesim kernel model\", expected a kernel model of moesim profile import");
  refused(with(text, "[3,9]", "[3,-9]"),
          "m.json: engines[0].tables[1].curves[0], microseconds: got -9, expected a number from 0 to 1e12");
  refused(with(text, "[3,9]", "[3,2]"),
          "m.json: engines[0].tables[1].curves[0]: got 2 us after 3 us, expected times that do not fall");
  refused(with(text, "[3,9]", "[0,9]"), "m.json: engines[0].tables[1].curves[0]: got 0 us, expected times above 0");
  refused(with(text, "[1,64]", "[64,64]"),
          "m.json: engines[0].tables[1].curves[0]: got size 64 after 64, expected sizes that rise, each once");
  refused(with(text, "[512,256]", "[256,256]"),
          "m.json: engines[0].tables[1].curves: got two curves at [256,256], expected one at each place");
  refused(with(text, "\"tiles\":{\"rows\":32", "\"tiles\":{\"rows\":0"),
          "m.json: engines[0].tables[0].tiles.rows: got 0, expected a count of at least 1");
  for (const char* shares : {"[0.0,0.25,1.0,0.75,0.5,1.5]", "[0.0,0.25,1.0,0.75,0.5]", "[0.0,0.25,1.0,0.75,0.5,null]"})
    refused(
        with(text, "[0.0,0.25,1.0,0.75,0.5,0.0]", shares),
        std::string{"m.json: engines[0].tables[0].tiles.share: got "} + shares + ", expected 6 numbers from 0 to 1");
  refused(with(text, "\"operation\":\"gemm\",", "\"operation\":\"gemm\",\"tiles\":{},"),
          "m.json: engines[0].tables[1].tiles: got {}, expected no such key but for experts");
  refused(with(text, "\"kernel\":\"toy_gemm\",", ""),
          "m.json: engines[0].tables[1]: got no key 'kernel', expected it; every key is required");
  refused(
      with(text, "\"gemm\"", "\"gemn\""),
      "m.json: engines[0].tables[1].operation: got gemn, expected an operation of a kernel model; did you mean gemm?");
  refused(with(text, "\"kernel\":\"toy_gemm\",", "\"kernel\":\"toy\",\"kernel\":\"toy_gemm\","),
          "m.json: got key \"kernel\" twice, expected each key once");
  refused(with(text, "\"kernel\":\"toy_gemm\",", "\"kernel\":\"toy_gemm\",\"curves\":[[[1,1],[1],[1]]],"),
          "m.json: got key \"curves\" twice, expected each key once");
  refused(with(text, "\"gemm\"", "\"all_reduce\""),
          "m.json: engines[0].tables[1].axes: got [\"n\",\"k\"], expected []");
  refused(with(text, "[[],[1024", "[[1],[1024"),
          "m.json: collectives[0].tables[0].curves[0]: got [1], expected no axes");
  refused(with(text, "\"collectives\": [", "\"collectives\": [0, "),
          "m.json: collectives[0]: got 0, expected an object with library, version, errors, tables");
  refused(with(text, "\"h100-sxm\"", "\"h100-sxn\""),
          "m.json: gpu: got h100-sxn, expected a name of `moesim list gpus`; did you mean h100-sxm?");
  refused(with(text, "\"points\":6", "\"points\":0"),
          "m.json: engines[0].tables[0].points: got 0, expected a count of at least 1");
  refused("{", "m.json:1:2: got the end of the file, expected a key in double quotes");
  refused(with(text, "[3,9]", "[3 9]"),
          fmt::format("m.json:{}: got 9, expected ',' or ']'", line_and_column(text, text.find("[3,9]") + 3)));
}

TEST_CASE("A model that says what no import would say is refused", "[kernels]") {
  const KernelModel model = small_kernel_model();
  const std::string text = kernel_model_text(model);
  const auto refused = [](const std::string& damaged, const std::string& says) {
    CHECK_THROWS_WITH(parse_kernel_model(damaged, "m.json"), "m.json: " + says);
  };
  refused(with(text, "\"top_k\":8", "\"top_k\":200"),
          "engines[0].tables[0].dimensions.top_k: got 200 of 128 experts, expected at most all of them");
  refused(with(text, "[[16],[8", "[[160],[8"),
          "engines[0].tables[0].curves, slots: got 160 of 128 experts, expected a whole number from 1 to all of them");
  refused(with(text, "\"toy_moe\"", "\"toy\\u001b[31m\""),
          "engines[0].tables[0].kernel: got the control character 0x1B, expected text without control characters");
  refused(with(text, "[[16],[8", "[[0],[8"),
          "engines[0].tables[0].curves, slots: got 0 of 128 experts, expected a whole number from 1 to all of them");
  refused(with(text, "\"hidden\":4096", "\"hidden\":0"),
          "engines[0].tables[0].dimensions.hidden: got 0, expected at least 1");
  refused(with(text, "\"ranks\":4", "\"ranks\":1"),
          "collectives[0].tables[0].dimensions.ranks: got 1, expected at least 2");
  // 1 MiB among 4 ranks: 3/4 of it over 450 GB/s take 1.748 us, half is believed, and 0.9 of that in a fit
  refused(with(text, "[10,50]", "[0.1,0.7]"),
          "collectives[0].tables[0].curves, curve 0: got 0.7 us at bytes 1.04858e+06, expected at least 0.7864: the "
          "peaks of h100-sxm allow no less for all_reduce in bf16");
  refused(with(text, "[[16],[8", "[[16.5],[8"),
          "engines[0].tables[0].curves, slots: got 16.5 of 128 experts, expected a whole number from 1 to all of them");
  refused(with(text, "\"experts\":256,\"top_k\":8", "\"experts\":256,\"top_k\":257"),
          "collectives[0].tables[1].dimensions.top_k: got 257 of 256 experts, expected at most all of them");
  // 256 x 256 in bf16 and one row are 132,096 B: 0.03943 us at 3.35 TB/s; half is believed, and 0.9 of that in a fit
  refused(
      with(text, "[3,9]", "[0.0177,9]"),
      "engines[0].tables[1].curves, curve 0: got 0.0177 us at m 1, expected at least 0.01774: the peaks of h100-sxm "
      "allow no less for gemm in bf16");
  CHECK_NOTHROW(parse_kernel_model(with(text, "[3,9]", "[0.0178,9]"), "m.json"));
  // 16 slots read 16 x 3 x 4096 x 1536 B in fp8 with scales: 90.28 us with the rows, of which 0.45
  refused(with(text, "30.5,41.25,99", "30.5,31,99"),
          "engines[0].tables[0].curves, curve 0: got 31 us at rows 16, expected at least 40.63: the peaks of h100-sxm "
          "allow no less for experts in fp8_block");
  // 128 slots and 1,024 rows, 128 tokens: 1,200 us, 9.375 each
  const auto per_token = [&](const std::string& microseconds) {
    return with(text, "\"points\":6", "\"points\":6,\"per_token_us\":" + microseconds);
  };
  refused(per_token("12"),
          "engines[0].tables[0].per_token_us: got 12, expected at most 9.375, which a token takes in the whole block");
  CHECK_NOTHROW(parse_kernel_model(per_token("9"), "m.json"));
  KernelModel twice = model;
  twice.engines.front().tables.push_back(model.engines.front().tables[1]);
  refused(kernel_model_text(twice),
          "engines[0].tables[3]: got gemm of toy_gemm in bf16 again, expected another operation, kernel, format or "
          "other dimensions than in tables[1]");
}

TEST_CASE("Two engines or libraries of one name are refused", "[kernels]") {
  KernelModel model = small_kernel_model();
  model.engines.push_back(model.engines.front());
  model.engines.back().version = "2.0";
  CHECK_THROWS_WITH(parse_kernel_model(kernel_model_text(model), "m.json"),
                    "m.json: engines[1].engine: got toyrt, expected another name than that of engines[0]");
  model.engines.pop_back();
  model.collectives.push_back(model.collectives.front());
  CHECK_THROWS_WITH(parse_kernel_model(kernel_model_text(model), "m.json"),
                    "m.json: collectives[1].library: got nccl, expected another name than that of collectives[0]");
}

TEST_CASE("An engine that the model lacks is named with those it has", "[kernels]") {
  const KernelModel model = small_kernel_model();
  CHECK(find_engine(model, "auto", "kernels.engine").name == "toyrt");
  CHECK_THROWS_WITH(find_engine(model, "toyr", "kernels.engine"),
                    "kernels.engine: got toyr, expected an engine of profile toy: toyrt; did you mean toyrt?");
}

TEST_CASE("A calibrated profile of no GPU in the catalogue is named as what it is", "[kernels]") {
  const TemporaryFolder scratch;
  Profile profile = small_profile();
  const std::string cpu = scratch.write("cpu.json", profile_text(profile));
  CHECK_THROWS_WITH(load_kernel_model(cpu),
                    cpu +
                        ": got a profile of moesim calibrate --backend cpu, measured on 'toy \"CPU\"', expected a "
                        "profile of a GPU; this one is for moesim replay SCENARIO --backend cpu --profile FILE");
  profile.device.kind = DeviceKind::cuda;
  profile.device.name = "NVIDIA Toy";
  const std::string cuda = scratch.write("cuda.json", profile_text(profile));
  CHECK_THROWS_WITH(load_kernel_model(cuda),
                    cuda +
                        ": got a profile of moesim calibrate --backend cuda, measured on 'NVIDIA Toy', expected a "
                        "device of `moesim list gpus`: the name of its entry in `moesim list gpus`");
}

TEST_CASE("A calibrated profile becomes a model of its balanced points", "[kernels]") {
  Profile profile = small_profile();
  profile.points[0].shape.format = KernelFormat::bf16;  // 2 experts with 8 rows each: 16 rows in 1.25 ms
  const KernelModel model = kernel_model_of(profile, "mine", "h100-sxm");
  CHECK(model.origin.kind == KernelSource::calibrated);
  REQUIRE(model.engines.front().tables.size() == 1);  // the other point is skewed, in f32 and held out
  const KernelTable& table = model.engines.front().tables.front();
  CHECK(table.operation == KernelOperation::expert_gemms);
  CHECK(table.curves == std::vector<Curve>{{{2}, {16}, {1250}}});
  CHECK(parse_kernel_model(kernel_model_text(model), "m.json") == model);
  profile.points[0].shape.format = KernelFormat::mxfp4;
  CHECK(kernel_model_of(profile, "mine", "h100-sxm").engines.front().tables.front().format == NumberFormat::mxfp4);
  profile.points[0].shape.format = KernelFormat::f32;
  CHECK_THROWS_WITH(kernel_model_of(profile, "mine", "h100-sxm"),
                    "mine: got no balanced point in a format of the scenarios, expected a calibrated profile");
}
