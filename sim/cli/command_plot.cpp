#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "models/units/error.hpp"
#include "plots/gnuplot.hpp"
#include "plots/joint_charts.hpp"
#include "plots/run_charts.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/report.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

struct PlotOptions {
  std::string folder, out;
  std::vector<std::string> charts;
};

struct Picture {
  const Chart& chart;
  PictureFormat format;
  std::string name() const { return chart.id + (format == PictureFormat::svg ? ".svg" : ".png"); }
};

/// All charts of a folder that gnuplot can draw: those of a comparison, or those of its only run.
std::vector<Chart> drawable_charts(const fs::path& folder) {
  const std::vector<ReportRun> runs = read_results({folder}, folder).runs;
  std::vector<Chart> charts = joint_charts(runs);
  if (runs.size() == 1)
    for (Chart& chart : run_charts(*runs.front().summary, "")) charts.push_back(std::move(chart));
  std::erase_if(charts, [](const Chart& chart) { return !can_draw(chart); });
  return charts;
}

void keep_named(const std::vector<std::string>& names, std::vector<Chart>& charts) {
  if (names.empty()) return;
  std::vector<std::string> known;
  for (const Chart& chart : charts) known.push_back(chart.id);
  for (const std::string& name : names)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw InputError{"--chart", name, fmt::format("one of {}", fmt::join(known, ", ")), nearest(name, known)};
  std::erase_if(charts,
                [&](const Chart& chart) { return std::find(names.begin(), names.end(), chart.id) == names.end(); });
}

/// What the shell says gnuplot did.
int run_gnuplot(const std::string& script) {
  std::fflush(nullptr);
  std::FILE* pipe = ::popen("gnuplot -", "w");
  if (pipe == nullptr) throw RunError{"cannot start gnuplot"};
  std::fwrite(script.data(), 1, script.size(), pipe);
  const int status = ::pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool has_gnuplot() {
  return std::system("command -v gnuplot > /dev/null 2>&1") == 0;  // NOLINT(cert-env33-c): a fixed text
}

/// gnuplot does not say when the disk is full: the end of the picture does.
bool is_whole(const fs::path& file, PictureFormat format) {
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  const std::string_view end = format == PictureFormat::svg ? "</svg>" : "IEND";
  constexpr std::size_t kTail = 32;
  return text.find(end, text.size() - std::min(text.size(), kTail)) != std::string::npos;
}

/// A picture is whole or not there: gnuplot draws beside it.
void draw(const Picture& picture, const fs::path& folder) {
  const fs::path part = folder / (".part-" + picture.name());
  const int code = run_gnuplot(*gnuplot_script(picture.chart, picture.format, part.string()));
  std::error_code failure;
  const bool whole = code == 0 && is_whole(part, picture.format);
  if (whole) fs::rename(part, folder / picture.name(), failure);
  if (whole && !failure) return;
  const std::string why = code != 0 ? fmt::format("gnuplot ended with {}", code)
                          : whole   ? failure.message()
                                    : "the picture is not whole (is the disk full?)";
  fs::remove(part, failure);
  throw RunError{fmt::format("cannot draw {}: {}", (folder / picture.name()).string(), why)};
}

void plot(const PlotOptions& options, Globals& globals) {
  std::vector<Chart> charts = drawable_charts(options.folder);
  keep_named(options.charts, charts);
  if (!has_gnuplot())
    return miss_requirement("plot", "gnuplot is not installed; apt-get install gnuplot-nox (report.html needs none)",
                            globals);
  const fs::path out = options.out.empty() ? fs::path{options.folder} / "plots" : fs::path{options.out};
  std::error_code failure;
  fs::create_directories(out, failure);
  if (failure) throw RunError{fmt::format("cannot create {}: {}", out.string(), failure.message())};
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const Chart& chart : charts)
    for (const PictureFormat format : {PictureFormat::svg, PictureFormat::png}) {
      const Picture picture{chart, format};
      draw(picture, out);
      files.push_back({{"chart", chart.id}, {"file", (out / picture.name()).string()}});
      if (!globals.json) fmt::print("{}\n", (out / picture.name()).string());
    }
  if (globals.json) fmt::print("{}\n", nlohmann::ordered_json{{"pictures", files}}.dump(2));
}

}  // namespace

void add_plot_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<PlotOptions>();
  CLI::App* command = app.add_subcommand("plot", "Draw the charts of a result folder as SVG and PNG (needs gnuplot)");
  command->add_option("folder", options->folder, "Result folder of run or compare")->required();
  command
      ->add_option("--chart", options->charts,
                   "Only this chart: comparison charts are pareto, critical_path, memory; a run also has experts, "
                   "gpu_load, gpus, tiers (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--out", options->out, "Folder for the pictures (default: plots/ in the result folder)");
  add_common_options(*command, globals, "  moesim plot out/0001-quickstart",
                     "  moesim plot out/0001-quickstart --chart critical_path --out pictures");
  command->callback([options, &globals] { plot(*options, globals); });
}

}  // namespace moesim
