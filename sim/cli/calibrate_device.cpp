// calibrate_device: `moesim calibrate --backend cuda` for a machine that has a GPU and a compiler, but none of the
// libraries of the simulator. models/kernels/cuda/calibrate.sh builds and runs it.
//
//   calibrate_device WORKER PROFILE [--budget-seconds N] [--seed N] [--quick] [--json] [--models A,B]
//
// Models are those that moesim calibrate measures by itself, or HIDDENxINTERMEDIATExEXPERTS. An existing profile is
// replaced. Exit status as moesim's: 1 for a failing device, 2 for wrong input, 77 without a device.

#include <charconv>
#include <cstdio>
#include <sstream>

#include <fmt/format.h>

#include "models/kernels/worker/worker_backend.hpp"
#include "models/units/error.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/calibration_session.hpp"
#include "sim/cli/signals.hpp"

namespace {

using namespace moesim;

enum Exit { kFailed = 1, kUsage = 2, kMissing = 77 };

struct Options {
  std::string worker;
  CalibrationSession session;
};

template <class Number>
Number number(const std::string& option, const std::string& text) {
  Number value{};
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || rest != text.data() + text.size() || !(value > 0))
    throw InputError{option, "'" + text + "'", "a positive number"};
  return value;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in{text};
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

ExpertLayer layer_of(const std::string& name) {
  std::vector<std::string> known;
  for (const NamedLayer& usual : usual_layers()) {
    if (usual.model == name) return usual.layer;
    known.emplace_back(usual.model);
  }
  const std::vector<std::string> sizes = split(name, 'x');
  if (sizes.size() != 3 || name.find_first_not_of("0123456789x") != std::string::npos)
    throw InputError{"--models", name, fmt::format("{} or HIDDENxINTERMEDIATExEXPERTS", fmt::join(known, ", ")),
                     nearest(name, known)};
  return {number<int>("--models", sizes[0]), number<int>("--models", sizes[1]), number<int>("--models", sizes[2])};
}

Options read(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2)
    throw InputError{"calibrate_device", fmt::format("{} arguments", arguments.size()), "WORKER PROFILE [options]"};
  constexpr Seconds kBudget{240};
  Options options;
  options.worker = arguments[0];
  options.session.out = arguments[1];
  options.session.program_version = MOESIM_VERSION;
  CalibrationRequest& request = options.session.request;
  request.budget = kBudget;
  for (std::size_t i = 2; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 == arguments.size()) throw InputError{option, "nothing", "a value"};
      return arguments[++i];
    };
    if (option == "--quick")
      request.quick = true;
    else if (option == "--json")
      options.session.json = true;
    else if (option == "--budget-seconds")
      request.budget = Seconds{number<double>(option, value())};
    else if (option == "--seed")
      request.seed = number<std::uint64_t>(option, value());
    else if (option == "--models")
      for (const std::string& name : split(value(), ',')) request.layers.push_back(layer_of(name));
    else
      throw InputError{"calibrate_device", "the unknown option " + option,
                       "one of --budget-seconds, --seed, --quick, --json, --models"};
  }
  if (request.layers.empty())
    for (const NamedLayer& usual : usual_layers()) request.layers.push_back(usual.layer);
  return options;
}

int report(int status, const std::string& what) {
  fmt::print(stderr, "calibrate_device: {}\n", what);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = read({argv + 1, argv + argc});
    SignalWatch signals;  // before the worker starts
    const auto backend = make_worker_backend({options.worker});
    check_writable({"--out", options.session.out});
    run_calibration(options.session, *backend, signals);
    return 0;
  } catch (const BackendMissing& missing) {
    return report(kMissing, missing.what());
  } catch (const InputError& error) {
    return report(kUsage, error.what());
  } catch (const std::exception& error) {
    return report(kFailed, error.what());
  }
}
