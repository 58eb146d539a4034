#include <algorithm>
#include <array>

#include "tests/layering/layering.hpp"

namespace moesim::layering {
namespace {

/// A file that may break one rule, and why. Keep it short: an exception without a reason is a bug.
struct Exception {
  std::string_view path;
  std::string_view rule;  ///< the start of the violation's text
  std::string_view reason;
};

constexpr std::array kExceptions{
    Exception{"models/llm/config_reader.hpp", "<nlohmann/json_fwd.hpp>",
              "internal to the reader; forward declarations only"},
    Exception{"models/hardware/catalogue_json.hpp", "<nlohmann/json.hpp>", "internal to the catalogue's reader"},
    Exception{"models/kernels/published/kernel_model_parts.hpp", "<nlohmann/json_fwd.hpp>",
              "internal to the reader; forward declarations only"},
    Exception{"plots/chart_json.hpp", "<nlohmann/json.hpp>", "internal to the writer of a report's document"},
    Exception{"sim/metrics/json_value.hpp", "<nlohmann/json.hpp>", "internal to the readers of results"},
    Exception{"sim/cli/signals.hpp", "<signal.h>", "sets of signals are POSIX's, and no more than a word"},
    Exception{"sim/engine/simgrid_compat.hpp", "bare double", "SimGrid's own interface speaks double"},
};

}  // namespace

bool excepted(std::string_view path, std::string_view violation) {
  return std::any_of(kExceptions.begin(), kExceptions.end(), [&](const Exception& exception) {
    return exception.path == path && violation.starts_with(exception.rule);
  });
}

std::vector<std::string> excepted_paths() {
  std::vector<std::string> paths;
  paths.reserve(kExceptions.size());
  for (const Exception& exception : kExceptions) paths.emplace_back(exception.path);
  return paths;
}

}  // namespace moesim::layering
