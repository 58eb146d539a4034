// Which expert belongs on which GPU, given how many tokens each expert received.

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/placement/engine_formats.hpp"
#include "models/placement/expert_loads.hpp"
#include "models/placement/placement.hpp"
#include "models/units/divisors.hpp"
#include "models/units/error.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/usage.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMostGpus = 65536, kMostExperts = 65536;

struct PlaceOptions {
  std::string loads, policy = "eplb", format = "table", placement;
  int gpus = 0, nodes = 1, groups = 1, slots = 0, first_layer = 0;
  std::vector<std::string> where;
};

/// One layer, before and after. Ratios are of the mean GPU load; 1 in a layer without load.
struct LayerRow {
  int id;
  double tokens, linear, placed, lower_bound, unreplicated_bound;
  std::vector<double> gpu_tokens;
  std::vector<int> replicas;
};

struct PlaceReport {
  ExpertLoads loads;
  Placement placement;
  std::vector<LayerRow> rows;
  std::vector<std::string> notes;
};

double over_mean(double value, double total, int gpus) {
  return total > 0 ? value * gpus / total : 1;
}

/// The fullest GPU when each holds a run of consecutive experts; if they do not divide, the first GPUs hold one more.
double linear_maximum(std::span<const double> loads, int gpus) {
  const std::size_t each = loads.size() / gpus, longer = loads.size() % gpus;
  double fullest = 0;
  for (std::size_t gpu = 0, begin = 0; gpu < static_cast<std::size_t>(gpus); ++gpu) {
    const auto run = loads.subspan(begin, each + (gpu < longer ? 1 : 0));
    fullest = std::max(fullest, std::accumulate(run.begin(), run.end(), 0.0));
    begin += run.size();
  }
  return fullest;
}

LayerRow layer_row(const ExpertLoads& loads, const Placement& placement, int layer) {
  const auto experts = static_cast<std::size_t>(loads.experts);
  const auto load = std::span{loads.counts}.subspan(static_cast<std::size_t>(layer) * experts, experts);
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  const auto ratio = [&](double value) { return over_mean(value, total, placement.ranks); };
  const auto on_gpus = rank_loads(placement, layer, load);
  const double hottest = *std::max_element(load.begin(), load.end());
  return {loads.layer_ids[static_cast<std::size_t>(layer)],
          total,
          ratio(linear_maximum(load, placement.ranks)),
          ratio(*std::max_element(on_gpus.begin(), on_gpus.end())),
          ratio(load_lower_bound(placement, layer, load)),
          ratio(std::max(hottest, total / placement.ranks)),
          on_gpus,
          placement.replicas(layer)};
}

std::vector<std::pair<std::string, std::string>> filters(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, std::string>> where;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) throw InputError{"--where", text, "COLUMN=VALUE"};
    where.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return where;
}

void check_divides(const char* option, int count, int whole, const std::string& what) {
  if (whole % count != 0)
    throw InputError{option, std::to_string(count), "a divisor of the " + what, nearest_divisors(count, whole)};
}

/// In terms of the options, before place() speaks of ranks; also what the policy does not look at.
void check_target(const PlaceOptions& options, int experts) {
  check_divides("--nodes", options.nodes, options.gpus, fmt::format("{} GPUs", options.gpus));
  check_divides("--groups", options.groups, experts, fmt::format("{} experts", experts));
  if (options.slots == 0 && options.policy != "file")
    check_divides("--gpus", options.gpus, experts, fmt::format("{} experts, or --slots", experts));
  if (options.slots % options.gpus != 0)
    throw InputError{"--slots", std::to_string(options.slots), fmt::format("a multiple of the {} GPUs", options.gpus),
                     nearest_multiples(options.slots, options.gpus, experts)};
}

Placement placement_for(const PlaceOptions& options, const ExpertLoads& loads) {
  const PlacementPolicy policy = parse_placement_policy(options.policy, "--policy");
  const bool from_file = policy == PlacementPolicy::file;
  if (from_file && options.placement.empty())
    throw InputError{"--policy", "file without --placement", "--placement FILE (layer,rank,experts)"};
  if (!from_file && !options.placement.empty())
    throw InputError{"--placement", options.placement, fmt::format("--policy file, not {}", options.policy)};
  if (from_file && options.slots != 0)
    throw InputError{"--slots", std::to_string(options.slots), "none: the file states the slots"};
  check_target(options, loads.experts);
  const PlacementTarget target{options.gpus, options.nodes, options.groups, options.slots};
  return place({.policy = policy, .redundant = 0, .file = options.placement}, target, loads.layers(), loads.experts,
               loads.counts);
}

PlaceReport report_of(const PlaceOptions& options) {
  PlaceReport report;
  report.loads = read_expert_loads(options.loads, filters(options.where));
  for (int& id : report.loads.layer_ids) id += options.first_layer;
  report.placement = placement_for(options, report.loads);
  for (int layer = 0; layer < report.loads.layers(); ++layer)
    report.rows.push_back(layer_row(report.loads, report.placement, layer));
  for (const std::string& column : report.loads.summed_over)
    report.notes.push_back(
        fmt::format("counts are added up over the column {}; --where {}=VALUE keeps one", column, column));
  const auto idle =
      std::count_if(report.rows.begin(), report.rows.end(), [](const LayerRow& row) { return row.tokens == 0; });
  if (idle > 0) report.notes.push_back(fmt::format("{} layers without any token are placed as if uniform", idle));
  return report;
}

double mean_of(const std::vector<LayerRow>& rows, double LayerRow::*member) {
  double sum = 0;
  for (const LayerRow& row : rows) sum += row.*member;
  return sum / static_cast<double>(rows.size());
}

std::string replicas_text(const std::vector<int>& replicas) {
  std::string text;
  for (std::size_t expert = 0; expert < replicas.size(); ++expert)
    if (replicas[expert] > 1) text += fmt::format("{}{}x{}", text.empty() ? "" : " ", expert, replicas[expert]);
  constexpr std::size_t kWidth = 60;
  if (text.size() > kWidth) text = text.substr(0, text.rfind(' ', kWidth)) + " ...";
  return text.empty() ? "-" : text;
}

std::string slots_text(const Placement& placement, int layer) {
  std::vector<std::string> gpus;
  for (int gpu = 0; gpu < placement.ranks; ++gpu) {
    const auto held = placement.layer(layer).subspan(static_cast<std::size_t>(gpu) * placement.slots_per_rank,
                                                     static_cast<std::size_t>(placement.slots_per_rank));
    gpus.push_back(fmt::format("[{}]", fmt::join(held, " ")));
  }
  return fmt::format("{}", fmt::join(gpus, " "));
}

std::string place_text(const PlaceOptions& options, const PlaceReport& report) {
  constexpr int kSlotsToPrint = 64;
  const Placement& p = report.placement;
  std::string text = fmt::format("{} experts in {} slots on {} GPUs ({} node{}), policy {}\n", p.experts, p.slots(),
                                 p.ranks, options.nodes, options.nodes == 1 ? "" : "s", options.policy);
  text +=
      "max/mean GPU load, 1 is even; bound: no placement of these replicas does better, unreplicated: of single "
      "copies\n\n";
  text += fmt::format("{:>6}{:>9}{:>9}{:>9}{:>14}   {}\n", "layer", "linear", "placed", "bound", "unreplicated",
                      "expert x copies");
  for (const LayerRow& row : report.rows)
    text += fmt::format("{:>6}{:>9.4f}{:>9.4f}{:>9.4f}{:>14.4f}   {}\n", row.id, row.linear, row.placed,
                        row.lower_bound, row.unreplicated_bound, replicas_text(row.replicas));
  text += fmt::format("{:>6}{:>9.4f}{:>9.4f}{:>9.4f}{:>14.4f}\n", "mean", mean_of(report.rows, &LayerRow::linear),
                      mean_of(report.rows, &LayerRow::placed), mean_of(report.rows, &LayerRow::lower_bound),
                      mean_of(report.rows, &LayerRow::unreplicated_bound));
  if (p.slots() <= kSlotsToPrint) {
    text += "\nexperts of each GPU\n";
    for (int layer = 0; layer < p.layers; ++layer)
      text += fmt::format("{:>6}   {}\n", report.rows[static_cast<std::size_t>(layer)].id, slots_text(p, layer));
  } else {
    text += "\nslots: --format json, sglang, vllm or trtllm\n";
  }
  for (const std::string& note : report.notes) text += fmt::format("note: {}\n", note);
  return text;
}

Json layer_json(const LayerRow& row, std::span<const int> slots) {
  Json slot_expert = Json::array();
  for (int expert : slots) slot_expert.push_back(expert < 0 ? Json(nullptr) : Json(expert));
  return {{"layer", row.id},
          {"tokens", row.tokens},
          {"linear_max_over_mean", row.linear},
          {"placed_max_over_mean", row.placed},
          {"lower_bound_max_over_mean", row.lower_bound},
          {"unreplicated_bound_max_over_mean", row.unreplicated_bound},
          {"slot_expert", slot_expert},
          {"replicas", row.replicas},
          {"gpu_tokens", row.gpu_tokens}};
}

Json place_json(const PlaceOptions& options, const PlaceReport& report) {
  const Placement& p = report.placement;
  Json layers = Json::array();
  for (int layer = 0; layer < p.layers; ++layer)
    layers.push_back(layer_json(report.rows[static_cast<std::size_t>(layer)], p.layer(layer)));
  return {{"policy", options.policy},
          {"experts", p.experts},
          {"gpus", p.ranks},
          {"nodes", options.nodes},
          {"groups", options.groups},
          {"slots", p.slots()},
          {"slots_per_gpu", p.slots_per_rank},
          {"mean_linear_max_over_mean", mean_of(report.rows, &LayerRow::linear)},
          {"mean_placed_max_over_mean", mean_of(report.rows, &LayerRow::placed)},
          {"mean_lower_bound_max_over_mean", mean_of(report.rows, &LayerRow::lower_bound)},
          {"mean_unreplicated_bound_max_over_mean", mean_of(report.rows, &LayerRow::unreplicated_bound)},
          {"layers", layers},
          {"notes", report.notes}};
}

std::string output_of(const PlaceOptions& options, const PlaceReport& report, const std::string& format) {
  const std::vector<int>& ids = report.loads.layer_ids;
  if (format == "sglang") return to_sglang(report.placement, ids);
  if (format == "vllm") return to_vllm(report.placement, ids);
  if (format == "trtllm") return to_trtllm(report.placement, ids);
  if (format == "json") return place_json(options, report).dump(2) + "\n";
  return place_text(options, report);
}

void place_experts(const PlaceOptions& options, const Globals& globals) {
  const bool engine = options.format != "table" && options.format != "json";
  if (globals.json && engine)
    throw InputError{"--json", fmt::format("together with --format {}", options.format), "one of the two"};
  const PlaceReport report = report_of(options);
  fmt::print("{}", output_of(options, report, globals.json ? "json" : options.format));
  if (engine && !globals.quiet)
    for (const std::string& note : report.notes) fmt::print(stderr, "note: {}\n", note);
}

}  // namespace

void add_place_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<PlaceOptions>();
  CLI::App* command = app.add_subcommand("place", "Place experts on GPUs by their recorded loads");
  command
      ->add_option(
          "loads", options->loads,
          "Tokens per expert: CSV (.gz) with layer,expert,count, or a row per layer; or a JSON array of arrays")
      ->required();
  command->add_option("--gpus", options->gpus, "GPUs that share the experts")
      ->required()
      ->check(whole_number(1, kMostGpus));
  command->add_option("--nodes", options->nodes, "Nodes they are in (default 1)")->check(whole_number(1, kMostGpus));
  command->add_option("--groups", options->groups, "Expert groups that hierarchical EPLB keeps on a node (default 1)")
      ->check(whole_number(1, kMostExperts));
  command->add_option("--slots", options->slots, "Expert slots over all GPUs (default: one per expert)")
      ->check(whole_number(1, std::numeric_limits<int>::max()));
  command->add_option("--policy", options->policy,
                      fmt::format("{} (default eplb)", fmt::join(placement_policy_names(), ", ")));
  command->add_option("--placement", options->placement, "With --policy file: layer,rank,experts (.csv or .csv.gz)");
  command->add_option("--where", options->where, "Keep the rows with COLUMN=VALUE (repeatable)")
      ->allow_extra_args(false);
  command
      ->add_option("--first-layer", options->first_layer,
                   "Added to the file's layer numbers: the model's first MoE layer")
      ->check(whole_number(0, 4096));
  command->add_option("--format", options->format, "table, json, sglang, vllm or trtllm (default table)")
      ->check(one_of({"table", "json", "sglang", "vllm", "trtllm"}));
  add_common_options(*command, globals, "  moesim place loads.csv --gpus 8 --nodes 2 --groups 4 --slots 16",
                     "  moesim place loads.csv --gpus 32 --slots 288 --policy eplb_global --format sglang");
  command->callback([options, &globals] { place_experts(*options, globals); });
}

}  // namespace moesim
