// Kernel profiles: what is written reads back, and what is no profile is refused.

#include "models/kernels/profile.hpp"

#include <nlohmann/json.hpp>

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/profile_testing.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using nlohmann::json;

namespace {

/// The small profile with one value replaced, as text.
std::string with(const char* pointer, const json& value) {
  json document = json::parse(profile_text(small_profile()));
  document[json::json_pointer{pointer}] = value;
  return document.dump();
}

}  // namespace

TEST_CASE("A profile reads back as it was written", "[kernels]") {
  const Profile profile = small_profile();
  const std::string text = profile_text(profile);
  CHECK(parse_profile(text, "p.json") == profile);
  CHECK(profile_text(parse_profile(text, "p.json")) == text);
  const TemporaryFolder scratch;
  CHECK(load_profile(scratch.write("p.json", text)) == profile);
}

TEST_CASE("Every format of a kernel has a name that profiles are read back by", "[kernels]") {
  CHECK(kernel_format_names() == std::vector<std::string>{"f32", "bf16", "int8", "fp8", "int4", "mxfp4"});
  Profile profile = small_profile();
  for (const KernelFormat format : {KernelFormat::int4, KernelFormat::mxfp4}) {
    profile.points[0].shape.format = profile.device.gemm[0].format = profile.operations[0].format = format;
    CHECK(parse_profile(profile_text(profile), "p.json") == profile);
  }
}

TEST_CASE("A profile without drift and hold-out errors reads back", "[kernels]") {
  Profile profile = small_profile();
  profile.drift.reset();
  profile.hold_out.clear();
  profile.device.gemm.clear();
  profile.operations.clear();
  CHECK(parse_profile(profile_text(profile), "p.json") == profile);
}

TEST_CASE("A profile that was cut off is valid, one that claims to be complete needs its points", "[kernels]") {
  CHECK_FALSE(parse_profile(profile_text(small_profile()), "p.json").complete);
  REQUIRE_THROWS_WITH(parse_profile(with("/complete", true), "p.json"),
                      "p.json: points: got 3 points, expected the 4 planned ones of a complete profile");
}

TEST_CASE("What is no profile is refused by its place", "[kernels]") {
  const std::string text = profile_text(small_profile());
  CHECK_THROWS_AS(parse_profile(text.substr(0, text.size() / 2), "p.json"), InputError);
  REQUIRE_THROWS_WITH(
      parse_profile("{\"runs\": []}", "p.json"),
      "p.json: got no \"format\": \"moesim kernel profile\", expected a kernel profile of moesim calibrate");
  REQUIRE_THROWS_WITH(
      parse_profile("[1]", "p.json"),
      "p.json: got no \"format\": \"moesim kernel profile\", expected a kernel profile of moesim calibrate");
  REQUIRE_THROWS_WITH(parse_profile(with("/version", 0), "p.json"),
                      "p.json: version: got 0, expected 2 (calibrate again with this moesim)");
  REQUIRE_THROWS_WITH(parse_profile(with("/points", json::array()), "p.json"),
                      "p.json: points: got [], expected at least one point");
  CHECK_THROWS_AS(load_profile("/nowhere/p.json"), InputError);
}

TEST_CASE("A wrong value of a profile is refused with what it should be", "[kernels]") {
  REQUIRE_THROWS_WITH(
      parse_profile(with("/points/0/format", "bf17"), "p.json"),
      "p.json: points[0].format: got bf17, expected one of f32, bf16, int8, fp8, int4, mxfp4; did you mean bf16?");
  REQUIRE_THROWS_WITH(parse_profile(with("/points/0/rows", {8}), "p.json"),
                      "p.json: points[0].rows: got 1 counts, expected one for each of 2 experts");
  REQUIRE_THROWS_WITH(parse_profile(with("/points/0/rows", {0, 0}), "p.json"),
                      "p.json: points[0].rows: got [0,0], expected a row for at least one expert");
  REQUIRE_THROWS_WITH(parse_profile(with("/points/1/rows", {8, -1}), "p.json"),
                      "p.json: points[1].rows: got [8,-1], expected whole numbers from 0 to 100000000");
  // 1.25 ms with p10 1.125 ms and p90 1.375 ms
  REQUIRE_THROWS_WITH(parse_profile(with("/points/0/median_s", 1.0), "p.json"),
                      "p.json: points[0].median_s: got 1, expected a time from p10_s = 0.001125 to p90_s = 0.001375");
  REQUIRE_THROWS_WITH(parse_profile(with("/device/kind", 3), "p.json"),
                      "p.json: device.kind: got 3, expected a text that is not empty");
  REQUIRE_THROWS_WITH(parse_profile(with("/complete", "yes"), "p.json"),
                      "p.json: complete: got \"yes\", expected true or false");
  REQUIRE_THROWS_WITH(parse_profile(with("/provenance/source", "published"), "p.json"),
                      "p.json: provenance.source: got \"published\", expected measured");
  CHECK_THROWS_AS(parse_profile(with("/points/0/median_s", nullptr), "p.json"), InputError);
  REQUIRE_THROWS_WITH(parse_profile(with("/operations/0/sizes/batch", "many"), "p.json"),
                      "p.json: operations[0].sizes: got {\"batch\":\"many\",\"length\":4096}, expected an object of "
                      "whole numbers");
}

TEST_CASE("An unknown or a missing key of a profile is refused", "[kernels]") {
  CHECK_THROWS_WITH(parse_profile(with("/device/nme", "x"), "p.json"),
                    Catch::Matchers::Contains("p.json: device: got unknown key 'nme'"));
  json document = json::parse(profile_text(small_profile()));
  document["points"][1].erase("held_out");
  CHECK_THROWS_WITH(parse_profile(document.dump(), "p.json"),
                    "p.json: points[1]: got no key 'held_out', expected it; every key is required");
}

TEST_CASE("The weights and the work of an expert are those of three matrices", "[kernels]") {
  // 3 x 64 x 32 weights: 24,576 B in f32, 12,288 B in bf16, 3,072 B in int4 and mxfp4; 5 rows: 2 x 5 x 6,144 FLOP
  CHECK(expert_weights({64, 32, 8, KernelFormat::f32}).value() == 24576);
  CHECK(expert_weights({64, 32, 8, KernelFormat::bf16}).value() == 12288);
  CHECK(expert_weights({64, 32, 8, KernelFormat::int4}).value() == 3072);
  CHECK(expert_weights({64, 32, 8, KernelFormat::mxfp4}).value() == 3072);
  CHECK(expert_flops({64, 32, 8, KernelFormat::f32}, 5).value() == 61440);
}
