#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "sim/engine/clock.hpp"
#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;

TEST_CASE("doctor --json prints one document that its schema accepts", "[cli]") {
  const CommandResult result = run_command({"doctor", "--json"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  CHECK(result.err.empty());
  const auto document = nlohmann::json::parse(result.out);
  CHECK(schema_violations(document, "doctor") == "");
  CHECK(document["libraries"]["simgrid"] == moesim::simgrid_version());
  CHECK(document["executable"] == std::filesystem::weakly_canonical(MOESIM_BINARY).string());
  CHECK(document["data"]["zoo"]["files"] >= 1);
  const std::filesystem::path scenarios{document["data"]["scenarios"]["folder"].get<std::string>()};
  int yaml = 0;
  for (const auto& entry : std::filesystem::directory_iterator{scenarios}) yaml += entry.path().extension() == ".yaml";
  REQUIRE(std::filesystem::exists(scenarios / "README.md"));  // which is none
  CHECK(document["data"]["scenarios"]["files"] == yaml);
}

TEST_CASE("The doctor schema refuses a key too many, one too few, and a null library", "[cli]") {
  const auto document = nlohmann::json::parse(run_command({"doctor", "--json"}).out);
  auto more = document, fewer = document, null = document;
  more["surprise"] = 1;
  fewer.erase("data");
  null["libraries"]["fmt"] = nullptr;
  CHECK_THAT(schema_violations(more, "doctor"), Contains("surprise"));
  CHECK_THAT(schema_violations(fewer, "doctor"), Contains("data"));
  CHECK_THAT(schema_violations(null, "doctor"), Contains("[libraries][fmt]"));
}

TEST_CASE("doctor tells people the version of SimGrid and why a part is off", "[cli]") {
  const CommandResult result = run_command({"doctor"});
  CHECK(result.exit == 0);
  CHECK_THAT(result.out, Contains(moesim::simgrid_version()));
  CHECK_THAT(result.out, Contains("cuda_calibration") && Contains("off") && Contains("no problem found"));
}

TEST_CASE("doctor says that gnuplot draws where it is in PATH, and that it is missing where not", "[cli]") {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  const auto gnuplot_of = [&] {
    return nlohmann::json::parse(
        run_command({"doctor", "--json"}, {.environment = {{"PATH", path}}}).out)["optional"][2];
  };
  CHECK(gnuplot_of()["name"] == "gnuplot");
  CHECK(gnuplot_of()["on"] == false);
  const auto program = folder.path() / "gnuplot";
  std::ofstream{program} << "#!/bin/sh\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  CHECK(gnuplot_of()["on"] == true);
  CHECK(gnuplot_of()["why"] == "moesim plot draws with it; gnuplot is " + program.string());
}

TEST_CASE("doctor exits 77 and names a data folder that is empty", "[cli]") {
  const TemporaryFolder data;
  const std::string folder = data.path().string();
  std::filesystem::create_directory(data.path() / "zoo");
  const CommandResult text = run_command({"doctor"}, {.environment = {{"MOESIM_DATA", folder}}});
  const CommandResult json = run_command({"doctor", "--json"}, {.environment = {{"MOESIM_DATA", folder}}});
  CHECK(text.exit == 77);
  CHECK_THAT(text.out, Contains("zoo is empty"));
  CHECK(json.exit == 77);
  const auto document = nlohmann::json::parse(json.out);
  CHECK(schema_violations(document, "doctor") == "");
  CHECK(document["problems"].size() == 1);
}
