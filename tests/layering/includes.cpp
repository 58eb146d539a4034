#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "tests/layering/layering.hpp"

namespace moesim::layering {
namespace {

using Names = std::set<std::string, std::less<>>;

Names operator+(Names a, const Names& b) {
  a.insert(b.begin(), b.end());
  return a;
}

/// Design.md section 1, column "may include". A module always includes itself.
const std::map<std::string, Names, std::less<>>& may_include() {
  static const Names traffic_and_below{"models/units",   "models/llm",       "models/hardware", "models/layout",
                                       "models/routing", "models/placement", "models/traffic"};
  static const Names models =
      traffic_and_below + Names{"models/kernels", "models/collectives", "models/deployment", "models/workload"};
  static const Names simulation =
      models + Names{"sim/events", "sim/scenario", "sim/engine", "sim/serving", "sim/metrics"};
  static const std::map<std::string, Names, std::less<>> table{
      {"models/units", {}},
      {"models/llm", {"models/units"}},
      {"models/hardware", {"models/units"}},
      {"models/layout", {"models/units", "models/llm", "models/hardware"}},
      {"models/routing", {"models/units", "models/llm"}},
      {"models/placement", {"models/units", "models/hardware", "models/layout", "models/routing"}},
      {"models/traffic",
       {"models/units", "models/llm", "models/hardware", "models/layout", "models/routing", "models/placement"}},
      {"models/kernels", {"models/units", "models/llm", "models/hardware"}},
      {"models/collectives", {"models/units", "models/hardware", "models/traffic", "models/kernels"}},
      {"models/deployment", traffic_and_below},  // all above but kernels and collectives
      {"models/workload", {"models/units"}},
      {"sim/events", {"models/units", "models/hardware"}},  // a fact names a link by its LinkId
      {"sim/scenario", models},
      {"sim/engine", models + Names{"sim/events"}},
      {"sim/serving",
       models + Names{"sim/events", "sim/engine", "sim/scenario"}},  // a deployment plan reads the scenario
      {"sim/metrics", models + Names{"sim/events"}},
      {"sim", simulation},  // sim/simulate.{hpp,cpp}
      {"sim/planner", simulation + Names{"sim"}},
      {"sim/validate", simulation + Names{"sim"}},  // measured cases through the same simulate
      {"plots", {"models/units", "models/hardware", "sim/metrics", "sim/events"}},
      {"sim/cli", simulation + Names{"sim", "sim/planner", "sim/validate", "plots"}},
  };
  return table;
}

/// Libraries: prefix of the include, the modules that may touch it, and whether their headers may.
struct Library {
  std::string_view prefix;
  Names homes;  ///< empty: any module
  bool in_headers;
};

const std::vector<Library>& libraries() {
  static const std::vector<Library> all{
      {"boost/math/", {"sim"}, true},         // quantiles of Student's t
      {"boost/", {"models/hardware"}, true},  // Boost.Graph
      {"pugixml", {"models/hardware"}, true},
      {"cuda", {"models/kernels"}, true},
      {"cublas", {"models/kernels"}, false},
      {"oneapi/dnnl/", {"models/kernels"}, false},
      {"omp.h", {"models/kernels"}, false},
      {"simgrid/", {"sim/engine"}, true},
      {"xbt/", {"sim/engine"}, true},
      {"yaml-cpp/", {"sim/scenario"}, true},
      {"CLI/", {"sim/cli"}, true},
      {"Random123/", {"models/units"}, true},
      {"fmt/", {}, true},
      {"nlohmann/", {}, false},
      {"zlib.h", {}, false},
      {"catch2/", {"tests"}, true},
      {"benchmark/", {"tests"}, true},
  };
  return all;
}

/// POSIX, for processes, pipes, atomic files, fibers and libraries found at run time. In .cpp files only.
bool is_posix(std::string_view header) {
  static const Names all{"dlfcn.h", "fcntl.h", "poll.h", "signal.h", "ucontext.h", "unistd.h", "termios.h"};
  return header.starts_with("sys/") || all.contains(header);
}

bool is_standard(std::string_view header) {
  return header.find_first_of("./") == std::string_view::npos;
}

std::string third_party_violation(const std::string& module, const Source& source, const std::string& header) {
  if (is_standard(header)) return {};
  const bool in_header = is_header(source.path);
  if (is_posix(header)) return in_header ? fmt::format("<{}> belongs in a .cpp file", header) : "";
  if (header.starts_with("simgrid/") && source.path != "sim/engine/simgrid_compat.hpp")
    return fmt::format("<{}> is included by sim/engine/simgrid_compat.hpp alone", header);
  for (const Library& library : libraries()) {
    if (!header.starts_with(library.prefix)) continue;
    if (!library.homes.empty() && !library.homes.contains(module))
      return fmt::format("<{}> belongs in {}", header, fmt::join(library.homes, ", "));
    return in_header && !library.in_headers ? fmt::format("<{}> belongs in a .cpp file", header) : "";
  }
  return fmt::format("<{}> is no library of the table in tests/layering/includes.cpp", header);
}

std::string own_violation(const std::string& module, const std::string& header) {
  const std::string target = module_of(header);
  if (target.empty()) return fmt::format("\"{}\" is no path from the project's root", header);
  if (target == module) return {};
  const auto row = may_include().find(module);
  if (row == may_include().end()) return fmt::format("{} is no module of design section 1", module);
  return row->second.contains(target) ? "" : fmt::format("{} may not include {}", module, target);
}

}  // namespace

std::string module_of(std::string_view path) {
  for (const std::string_view top : {"plots", "tests"})
    if (path.starts_with(top) && path.substr(top.size()).starts_with('/')) return std::string{top};
  for (const std::string_view top : {"models", "sim"}) {
    if (!path.starts_with(top) || !path.substr(top.size()).starts_with('/')) continue;
    const std::size_t folder_end = path.find('/', top.size() + 1);
    return std::string{folder_end == std::string_view::npos ? top : path.substr(0, folder_end)};
  }
  return {};
}

std::vector<std::string> module_names() {
  std::vector<std::string> names;
  for (const auto& [name, _] : may_include()) names.push_back(name);
  return names;
}

std::vector<std::string> include_violations(const Source& source) {
  const std::string module = module_of(source.path);
  std::vector<std::string> found;
  const auto lines = code_lines(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].starts_with("#include ") || lines[i].size() < 12) continue;
    const char open = lines[i][9];
    const std::size_t end = lines[i].find(open == '<' ? '>' : '"', 10);
    const std::string header = lines[i].substr(10, end - 10);
    const std::string what =
        open == '<' ? third_party_violation(module, source, header) : own_violation(module, header);
    if (!what.empty() && !excepted(source.path, what))
      found.push_back(fmt::format("{}:{}: {}", source.path, i + 1, what));
  }
  return found;
}

}  // namespace moesim::layering
