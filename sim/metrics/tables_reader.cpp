#include "sim/metrics/tables_reader.hpp"

#include <map>

#include <fmt/format.h>

#include "models/units/csv_reader.hpp"
#include "models/units/error.hpp"
#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

constexpr int kManyRows = 2'000'000'000;

}  // namespace

void read_steps(const std::string& file, Summary& summary) {
  CsvReader csv{file};
  const int step = csv.require("step"), start = csv.require("start_ms"), took = csv.require("took_ms"),
            tokens = csv.require("tokens");
  while (csv.next())
    summary.steps.push_back({csv.index(step, 0, kManyRows, "a step"), Seconds{csv.amount(start, "milliseconds") * 1e-3},
                             Seconds{csv.amount(took, "milliseconds") * 1e-3},
                             static_cast<std::int64_t>(csv.amount(tokens, "tokens"))});
}

void read_gpus(const std::string& file, Summary& summary) {
  CsvReader csv{file};
  const int name = csv.require("gpu"), tokens = csv.require("tokens"), wait = csv.require("wait_ms"),
            gating = csv.require("gating_share");
  std::array<int, kCauses> causes{};
  for (int cause = 0; cause < kCauses; ++cause)
    causes[static_cast<std::size_t>(cause)] = csv.require(fmt::format("{}_ms", name_of(static_cast<Cause>(cause))));
  while (csv.next()) {
    GpuUse use;
    use.name = std::string{csv.field(name)};
    use.tokens = static_cast<std::int64_t>(csv.amount(tokens, "tokens"));
    for (std::size_t cause = 0; cause < causes.size(); ++cause)
      use.busy[cause] = Seconds{csv.amount(causes[cause], "milliseconds") * 1e-3};
    use.wait = Seconds{csv.amount(wait, "milliseconds") * 1e-3};
    use.gating_share = csv.amount(gating, "a share");
    summary.gpu_table.push_back(std::move(use));
  }
}

void read_experts(const std::string& file, Summary& summary) {
  std::map<std::string, int, std::less<>> gpus;
  for (const GpuUse& use : summary.gpu_table) gpus.emplace(use.name, static_cast<int>(gpus.size()));
  CsvReader csv{file};
  const int layer = csv.require("layer"), expert = csv.require("expert"), slot = csv.require("slot"),
            gpu = csv.require("gpu"), tokens = csv.require("tokens");
  while (csv.next()) {
    const auto found = gpus.find(csv.field(gpu));
    if (found == gpus.end() && csv.field(gpu) != "all")
      throw InputError{csv.place(gpu), fmt::format("'{}'", csv.field(gpu)), "a GPU of gpus.csv, or all"};
    summary.experts.push_back({csv.index(layer, 0, kManyRows, "a layer"), csv.index(expert, 0, kManyRows, "an expert"),
                               csv.index(slot, 0, kManyRows, "a slot"), found == gpus.end() ? -1 : found->second,
                               static_cast<std::int64_t>(csv.amount(tokens, "tokens"))});
  }
}

void read_links(const std::string& file, Summary& summary) {
  CsvReader csv{file};
  const int link = csv.require("link"), tier = csv.require("tier"), bytes = csv.require("bytes"),
            busy = csv.require("busy_share"), peak = csv.require("peak_share");
  while (csv.next())
    summary.links.push_back({std::string{csv.field(link)}, std::string{csv.field(tier)},
                             Bytes{csv.amount(bytes, "bytes")}, csv.amount(busy, "a share"),
                             csv.amount(peak, "a share")});
}

}  // namespace moesim
