// What this installation is made of, and what is missing from it.

#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "models/units/error.hpp"
#include "models/units/quantity.hpp"
#include "models/units/resources.hpp"
#include "models/units/text.hpp"
#include "sim/cli/command.hpp"
#include "sim/engine/clock.hpp"

namespace moesim {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct DataFolder {
  std::string name;
  std::optional<fs::path> folder;  ///< none: the reason is among the problems
  int files = 0;
};

struct Part {
  std::string name;
  bool on;
  std::string why;
};

struct Report {
  std::vector<std::pair<std::string, std::string>> libraries;
  std::vector<DataFolder> data;
  std::vector<Part> optional;
  std::vector<std::string> problems;
};

std::string compiler() {
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

/// Header-only and linked libraries as they were built in, SimGrid as it is loaded now.
std::vector<std::pair<std::string, std::string>> library_versions() {
  const auto dotted = [](int major, int minor, int patch) { return fmt::format("{}.{}.{}", major, minor, patch); };
  return {
      {"simgrid", simgrid_version()},
      {"boost", MOESIM_BOOST_VERSION},
      {"fmt", dotted(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
      {"yaml_cpp", MOESIM_YAML_CPP_VERSION},
      {"nlohmann_json", dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
      {"cli11", CLI11_VERSION},
      {"zlib", MOESIM_ZLIB_VERSION}};
}

DataFolder inspect(const char* name, Resource kind, std::vector<std::string>& problems) {
  DataFolder result{name, std::nullopt, 0};
  try {
    result.folder = fs::weakly_canonical(resource_folder(kind));
    const char* kind_of_file = kind == Resource::scenarios ? ".yaml" : ".json";  // a README is no data
    for (const auto& entry : fs::directory_iterator{*result.folder})
      result.files += entry.is_regular_file() && entry.path().extension() == kind_of_file ? 1 : 0;
    if (result.files == 0) problems.push_back(fmt::format("{} is empty", result.folder->string()));
  } catch (const std::exception& error) {
    problems.emplace_back(error.what());
  }
  return result;
}

/// The file that a shell would start, or nothing.
std::optional<fs::path> in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders{path == nullptr ? "" : path};
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path{folder} / program;
    if (::access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate)) return candidate;
  }
  return std::nullopt;
}

std::string presence(const std::string& program) {
  const auto found = in_path(program);
  return found ? program + " is " + found->string() : program + " is not in PATH";
}

/// Only what this version can really do is on.
std::vector<Part> optional_parts() {
  const bool ccache = std::string_view{MOESIM_COMPILER_LAUNCHER}.find("ccache") != std::string_view::npos;
  const bool cuda = MOESIM_CUDA_BUILT;
  return {{"cuda_calibration", cuda,
           (cuda ? "calibrate and replay --backend cuda start moesim-cuda-worker; "
                 : "their worker is built only with cmake -DMOESIM_CUDA=ON, or by models/kernels/cuda/calibrate.sh; ") +
               presence("nvcc")},
          {"cpu_calibration", MOESIM_CPU_KERNELS != 0,
           MOESIM_CPU_KERNELS != 0 ? "calibrate --backend cpu runs through oneDNN"
                                   : "oneDNN was not found; apt-get install libdnnl-dev, and build again"},
          {"gnuplot", in_path("gnuplot").has_value(), "moesim plot draws with it; " + presence("gnuplot")},
          {"ccache", ccache,
           ccache ? "the build used " MOESIM_COMPILER_LAUNCHER : "the build found none; " + presence("ccache")}};
}

Report examine() {
  Report report;
  report.libraries = library_versions();
  report.data = {
      inspect("zoo", Resource::zoo, report.problems), inspect("catalogue", Resource::catalogue, report.problems),
      inspect("schema", Resource::schema, report.problems), inspect("scenarios", Resource::scenarios, report.problems)};
  report.optional = optional_parts();
  return report;
}

/// "Debian GNU/Linux 12 (bookworm)", or "unknown" where the system has no os-release file.
std::string system_name() {
  std::ifstream release{"/etc/os-release"};
  for (std::string line; std::getline(release, line);)
    if (line.rfind("PRETTY_NAME=\"", 0) == 0 && line.size() > 14) return line.substr(13, line.size() - 14);
  return "unknown";
}

Bytes machine_memory() {
  return Bytes{static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE))};
}

std::string executable() {
  return fs::read_symlink("/proc/self/exe").string();
}

ordered_json as_json(const Report& report) {
  ordered_json libraries, data, optional = ordered_json::array();
  for (const auto& [name, version] : report.libraries) libraries[name] = version;
  for (const DataFolder& folder : report.data)
    data[folder.name] = {{"folder", folder.folder ? ordered_json(folder.folder->string()) : ordered_json()},
                         {"files", folder.files}};
  for (const Part& part : report.optional)
    optional.push_back({{"name", part.name}, {"on", part.on}, {"why", part.why}});
  return {{"version", MOESIM_VERSION},
          {"executable", executable()},
          {"build", {{"compiler", compiler()}, {"type", MOESIM_BUILD_TYPE}}},
          {"machine",
           {{"system", system_name()},
            {"cores", std::thread::hardware_concurrency()},
            {"memory_bytes", static_cast<std::int64_t>(machine_memory().value())}}},
          {"libraries", libraries},
          {"data", data},
          {"optional", optional},
          {"problems", report.problems}};
}

void print_for_people(const Report& report) {
  fmt::print("moesim {} · {} · {} build\n", MOESIM_VERSION, compiler(), MOESIM_BUILD_TYPE);
  fmt::print("  executable      {}\n", executable());
  fmt::print("  machine         {}, {} cores, {}\n\nlibraries\n", system_name(), std::thread::hardware_concurrency(),
             human(machine_memory()));
  for (const auto& [name, version] : report.libraries) fmt::print("  {:<14}  {}\n", name, version);
  fmt::print("\ndata\n");
  for (const DataFolder& folder : report.data)
    fmt::print("  {:<14}  {}\n", folder.name,
               folder.folder ? fmt::format("{} ({} files)", folder.folder->string(), folder.files) : "missing");
  fmt::print("\noptional parts\n");
  for (const Part& part : report.optional)
    fmt::print("  {:<16}  {:<3}  {}\n", part.name, part.on ? "on" : "off", part.why);
  fmt::print("\n{}\n", report.problems.empty() ? "no problem found" : "problems");
  for (const std::string& problem : report.problems) fmt::print("  {}\n", problem);
}

}  // namespace

void add_doctor_command(CLI::App& app, Globals& globals) {
  CLI::App* command =
      app.add_subcommand("doctor", "Show versions, data folders, and which optional parts are off and why");
  add_common_options(*command, globals, "  moesim doctor", "  moesim doctor --json");
  command->callback([&globals] {
    const Report report = examine();
    if (globals.json)
      fmt::print("{}\n", as_json(report).dump(2, ' ', false, ordered_json::error_handler_t::replace));
    else
      print_for_people(report);
    if (!report.problems.empty()) globals.exit_code = kRequirementMissing;
  });
}

}  // namespace moesim
