// The architecture, as a test: the project's sources keep to design section 1, and the checker finds planted
// violations.

#include "tests/layering/layering.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "tests/catch_compat.hpp"

using namespace moesim::layering;

namespace {

namespace fs = std::filesystem;

bool is_source(const fs::path& file) {
  const auto extension = file.extension();
  return extension == ".hpp" || extension == ".cpp" || extension == ".cu" || extension == ".cuh";
}

/// Every C++ file below the given top folders, vendored code apart.
std::vector<Source> project_sources(std::initializer_list<const char*> tops) {
  const fs::path root{MOESIM_TEST_SOURCE_DIR};
  std::vector<Source> sources;
  for (const char* top : tops)
    for (const auto& entry : fs::recursive_directory_iterator{root / top}) {
      const std::string path = entry.path().lexically_relative(root).generic_string();
      if (!entry.is_regular_file() || !is_source(entry.path()) || path.find("/vendor/") != std::string::npos) continue;
      std::ifstream file{entry.path(), std::ios::binary};
      sources.push_back({path, {std::istreambuf_iterator<char>{file}, {}}});
    }
  return sources;
}

using Check = std::vector<std::string> (*)(const Source&);

std::vector<std::string> all_violations(const std::vector<Source>& sources, Check check) {
  std::vector<std::string> found;
  for (const Source& source : sources) {
    const auto of_file = check(source);
    found.insert(found.end(), of_file.begin(), of_file.end());
  }
  return found;
}

}  // namespace

TEST_CASE("Every include of the project is allowed by the design", "[layering]") {
  const auto sources = project_sources({"models", "sim", "plots"});
  REQUIRE(sources.size() > 50);  // the walk found the project
  const auto found = all_violations(sources, include_violations);
  INFO(fmt::format("{}", fmt::join(found, "\n")));
  CHECK(found.empty());
}

TEST_CASE("Every file of the project keeps the house rules", "[layering]") {
  const auto found = all_violations(project_sources({"models", "sim", "plots", "tests"}), house_violations);
  INFO(fmt::format("{}", fmt::join(found, "\n")));
  CHECK(found.empty());
}

TEST_CASE("Every folder with sources is a module of the design", "[layering]") {
  const auto names = module_names();
  for (const Source& source : project_sources({"models", "sim", "plots"})) {
    INFO(source.path);
    CHECK(std::find(names.begin(), names.end(), module_of(source.path)) != names.end());
  }
}

TEST_CASE("A planted include across layers is found", "[layering]") {
  const auto one = [](const char* path, const char* text) {
    const auto found = include_violations({path, text});
    return found.size() == 1 ? found.front() : fmt::format("{} violations: {}", found.size(), fmt::join(found, "; "));
  };
  CHECK(one("models/llm/ops.cpp", "#include \"models/units/quantity.hpp\"\n#include \"models/hardware/gpu.hpp\"\n") ==
        "models/llm/ops.cpp:2: models/llm may not include models/hardware");
  CHECK(one("models/kernels/a.hpp", "#include \"sim/engine/clock.hpp\"\n") ==
        "models/kernels/a.hpp:1: models/kernels may not include sim/engine");
  CHECK(one("models/deployment/a.cpp", "#include \"models/kernels/kernel_times.hpp\"\n") ==
        "models/deployment/a.cpp:1: models/deployment may not include models/kernels");
  CHECK(one("sim/metrics/a.cpp", "#include \"sim/engine/clock.hpp\"\n") ==
        "sim/metrics/a.cpp:1: sim/metrics may not include sim/engine");
  CHECK(one("sim/simulate.cpp", "#include \"sim/cli/command.hpp\"\n") ==
        "sim/simulate.cpp:1: sim may not include sim/cli");
  CHECK(one("models/util/a.cpp", "#include \"models/units/text.hpp\"\n") ==
        "models/util/a.cpp:1: models/util is no module of design section 1");
  CHECK(one("models/llm/a.cpp", "#include \"ops.hpp\"\n") ==
        "models/llm/a.cpp:1: \"ops.hpp\" is no path from the project's root");
  CHECK(one("models/llm/a.cpp", "#include \"tests/shared_data.hpp\"\n") ==
        "models/llm/a.cpp:1: models/llm may not include tests");
}

TEST_CASE("A planted library outside its home is found", "[layering]") {
  const auto one = [](const char* path, const char* include) {
    const auto found = include_violations({path, fmt::format("#include <{}>\n", include)});
    return found.size() == 1 ? found.front() : fmt::format("{} violations", found.size());
  };
  CHECK(one("sim/engine/clock.cpp", "simgrid/s4u.hpp") ==
        "sim/engine/clock.cpp:1: <simgrid/s4u.hpp> is included by sim/engine/simgrid_compat.hpp alone");
  CHECK(one("models/traffic/a.cpp", "boost/graph/adjacency_list.hpp") ==
        "models/traffic/a.cpp:1: <boost/graph/adjacency_list.hpp> belongs in models/hardware");
  CHECK(one("sim/engine/a.cpp", "cuda_runtime.h") == "sim/engine/a.cpp:1: <cuda_runtime.h> belongs in models/kernels");
  CHECK(one("sim/cli/a.cpp", "yaml-cpp/yaml.h") == "sim/cli/a.cpp:1: <yaml-cpp/yaml.h> belongs in sim/scenario");
  CHECK(one("sim/scenario/a.cpp", "CLI/CLI.hpp") == "sim/scenario/a.cpp:1: <CLI/CLI.hpp> belongs in sim/cli");
  CHECK(one("models/llm/a.hpp", "nlohmann/json.hpp") ==
        "models/llm/a.hpp:1: <nlohmann/json.hpp> belongs in a .cpp file");
  CHECK(one("sim/metrics/a.cpp", "catch2/catch.hpp") == "sim/metrics/a.cpp:1: <catch2/catch.hpp> belongs in tests");
  CHECK(one("sim/cli/a.hpp", "unistd.h") == "sim/cli/a.hpp:1: <unistd.h> belongs in a .cpp file");
  CHECK(one("models/llm/a.cpp", "arrow/api.h") ==
        "models/llm/a.cpp:1: <arrow/api.h> is no library of the table in tests/layering/includes.cpp");
}

TEST_CASE("What the design allows is not reported", "[layering]") {
  const auto none = [](const char* path, const char* text) { return include_violations({path, text}).empty(); };
  CHECK(none("sim/engine/simgrid_compat.hpp", "#include <simgrid/s4u.hpp>\n"));
  CHECK(none("models/hardware/topology.cpp", "#include <boost/graph/adjacency_list.hpp>\n"));
  CHECK(none("sim/serving/a.cpp",
             "#include \"sim/scenario/scenario.hpp\"\n#include \"models/kernels/kernel_times.hpp\"\n"));
  CHECK(none("models/llm/a.cpp", "#include <nlohmann/json.hpp>\n#include <vector>\n#include <zlib.h>\n"));
  CHECK(none("models/llm/a.cpp", "// #include \"sim/engine/clock.hpp\"\nauto s = \"#include <simgrid/s4u.hpp>\";\n"));
}

TEST_CASE("Planted breaches of the house rules are found", "[layering]") {
  const auto one = [](const char* path, const std::string& text) {
    const auto found = house_violations({path, text});
    return found.size() == 1 ? found.front() : fmt::format("{} violations: {}", found.size(), fmt::join(found, "; "));
  };
  std::string long_file;
  for (int line = 0; line < 301; ++line) long_file += "\n";
  CHECK(one("models/llm/a.cpp", long_file) == "models/llm/a.cpp:301: length: 301 lines, at most 300");
  CHECK(one("models/llm/a.cpp", "// " + std::string(118, 'x') + "\n") ==
        "models/llm/a.cpp:1: width: 121 characters, at most 120");
  CHECK(one("models/llm/a.hpp", "int one();\n") == "models/llm/a.hpp:1: a header without #pragma once");
  CHECK(one("models/llm/a.hpp", "#pragma once\nusing namespace std;\n") ==
        "models/llm/a.hpp:2: using namespace in a header");
  CHECK(one("models/llm/a.cpp", "  fmt::print(\"x\");\n") == "models/llm/a.cpp:1: prints or exits in the library");
  CHECK(one("sim/engine/a.cpp", "  exit(1);\n") == "sim/engine/a.cpp:1: prints or exits in the library");
  CHECK(one("sim/engine/a.cpp", "  std::cerr << 1;\n") == "sim/engine/a.cpp:1: prints or exits in the library");
  CHECK(one("models/routing/a.cpp", "std::gamma_distribution<double> gamma{1};\n") ==
        "models/routing/a.cpp:1: std:: random numbers differ between libraries: models/units/random.hpp");
}

TEST_CASE("A bare double for a physical amount in a header is found, a ratio or a member is not", "[layering]") {
  const auto broken = [](const char* line) {
    return house_violations({"models/llm/a.hpp", fmt::format("#pragma once\n{}\n", line)}).size() == 1;
  };
  CHECK(broken("void send(double bytes);"));
  CHECK(broken("double step_time(int layer);"));
  CHECK(broken("void run(int n, double total_flops, int k);"));
  CHECK(broken("double bytes_per_token = 0;"));
  CHECK_FALSE(broken("double time_share = 0;"));
  CHECK_FALSE(broken("  double seconds_per_byte_ = 0;"));
  CHECK_FALSE(broken("// double bytes is what we avoid"));
  CHECK_FALSE(broken("std::span<const double> link_bytes);"));
  CHECK_FALSE(broken("double tokens = 0;"));
}

TEST_CASE("An exception covers one rule of one file", "[layering]") {
  CHECK(excepted("models/llm/config_reader.hpp", "<nlohmann/json_fwd.hpp> belongs in a .cpp file"));
  CHECK_FALSE(excepted("models/llm/config_reader.hpp", "length: 301 lines, at most 300"));
  CHECK_FALSE(excepted("models/llm/ops.hpp", "<nlohmann/json_fwd.hpp> belongs in a .cpp file"));
  for (const std::string& path : excepted_paths()) {
    INFO(path << " is gone: remove its exception");
    CHECK(fs::exists(fs::path{MOESIM_TEST_SOURCE_DIR} / path));
  }
}
