#include <algorithm>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "sim/scenario/build.hpp"
#include "sim/scenario/document.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t kLargestFile = 1u << 20;

Architecture decoder(Architecture model, const Settings& settings) {
  if (model.encoder)
    throw NotModelledYet{settings.where("model"), fmt::format("{}, an encoder-decoder,", model.name),
                         "a decoder-only model"};
  return model;
}

Architecture read_model(const Settings& settings, const fs::path& folder) {
  const std::string& name = settings.text("model");
  if (is_config_path(name))
    return decoder(load_architecture(existing_file(settings, "model", folder).string()), settings);
  const std::vector<std::string> zoo = resource_names(Resource::zoo);
  if (std::find(zoo.begin(), zoo.end(), name) == zoo.end())
    throw InputError{settings.where("model"), settings.at("model").text,
                     "a name of `moesim list models`, or a path to a config.json", nearest(name, zoo)};
  return decoder(load_architecture(name), settings);
}

Precision read_precision(const Settings& settings) {
  return {.weights = settings.choice<NumberFormat>("precision.weights"),
          .experts = widest_expert_format(settings),
          .embedding = settings.choice<NumberFormat>("precision.embedding"),
          .kv = settings.choice<NumberFormat>("precision.kv"),
          .dispatch = settings.choice<NumberFormat>("precision.dispatch"),
          .combine = settings.choice<NumberFormat>("precision.combine")};
}

LayoutSpec read_layout(const Settings& settings) {
  std::vector<int> stage_layers;
  if (settings.has("layout.stage_layers"))
    for (const Record& stage : std::get<Records>(settings.at("layout.stage_layers").value))
      stage_layers.push_back(static_cast<int>(std::get<std::int64_t>(stage.find("stage")->value)));
  return {.attention_tp = settings.count("layout.attention.tp"),
          .attention_dp = settings.count("layout.attention.dp"),
          .expert_ep = settings.count("layout.experts.ep"),
          .expert_tp = settings.count("layout.experts.tp"),
          .pp = settings.count("layout.pp"),
          .microbatches = settings.count("layout.microbatches"),
          .stage_layers = std::move(stage_layers),
          .experts_apart = settings.flag("layout.experts.apart")};
}

PlacementSpec read_placement(const Settings& settings, const fs::path& folder) {
  PlacementSpec placement;
  placement.policy = settings.choice<PlacementPolicy>("placement.policy");
  placement.redundant = settings.count("placement.redundant");
  if (settings.has("placement.file")) placement.file = existing_file(settings, "placement.file", folder).string();
  return placement;
}

WorkloadSpec read_workload(const Settings& settings) {
  return {.phase = settings.choice<Phase>("workload.phase"),
          .tokens_per_gpu = settings.number("workload.tokens_per_gpu"),
          .context = static_cast<double>(settings.integer("workload.context")),
          .steps = settings.count("workload.steps"),
          .dp_imbalance = settings.number("workload.dp_imbalance"),
          .host_time = Seconds{settings.number("workload.host_time")}};
}

CommunicationSpec read_communication(const Settings& settings) {
  CommunicationSpec communication;
  communication.all_to_all = settings.choice<AllToAll>("communication.all_to_all");
  if (settings.at("communication.copies").text != "auto")
    communication.copies = settings.choice<CopyRule>("communication.copies");
  communication.all_reduce = settings.choice<AllReduceAlgorithm>("communication.all_reduce");
  communication.dp_padding = settings.choice<DpPadding>("communication.dp_padding");
  communication.replicas = settings.choice<ReplicaChoice>("communication.replicas");
  return communication;
}

KernelSpec read_kernels(const Settings& settings, const fs::path& folder) {
  KernelSpec kernels{settings.text("kernels.profile"), settings.text("kernels.engine"),
                     settings.choice<int>("kernels.fallback") == 1, settings.where("kernels.profile"),
                     settings.where("kernels.engine")};
  if (is_config_path(kernels.profile)) {
    kernels.profile = existing_file(settings, "kernels.profile", folder).string();
    return kernels;
  }
  const std::vector<std::string> shipped = resource_names(Resource::profiles);
  if (!kernels.is_roofline() && std::find(shipped.begin(), shipped.end(), kernels.profile) == shipped.end())
    throw InputError{settings.where("kernels.profile"), settings.at("kernels.profile").text,
                     "roofline, a name of `moesim list profiles`, or a path to a profile",
                     nearest(kernels.profile, shipped)};
  return kernels;
}

Slo read_slo(const Settings& settings) {
  Slo slo;
  if (settings.has("slo.ttft")) slo.ttft = Seconds{settings.number("slo.ttft")};
  if (settings.has("slo.tpot")) slo.tpot = Seconds{settings.number("slo.tpot")};
  return slo;
}

Scenario build(Settings& settings, const fs::path& folder) {
  Scenario scenario;
  if (settings.has("question")) scenario.question = settings.text("question");
  scenario.model = read_model(settings, folder);
  fill_precision_defaults(settings, scenario.model);
  scenario.precision = read_precision(settings);
  scenario.cluster = read_cluster(settings, folder);
  scenario.experts = read_expert_store(settings, scenario.model, scenario.cluster.gpu);
  scenario.extra_ops = read_extra_ops(settings);
  fill_layout_defaults(settings, scenario.model, scenario.cluster.gpus());
  scenario.layout = read_layout(settings);
  scenario.placement = read_placement(settings, folder);
  scenario.routing = read_routing(settings, folder);
  scenario.workload = read_workload(settings);
  scenario.communication = read_communication(settings);
  scenario.overlap_shared_experts = settings.flag("overlap.shared_experts");
  scenario.overlap_two_batch = settings.flag("overlap.two_batch");
  scenario.kernels = read_kernels(settings, folder);
  scenario.memory_fraction = settings.number("memory_fraction");
  scenario.slo = read_slo(settings);
  scenario.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  check_together(scenario, settings);
  scenario.resolved = resolve(settings, folder);
  return scenario;
}

}  // namespace

Scenario parse_scenario(const std::string& text, const std::string& origin, const fs::path& folder,
                        const std::vector<Override>& overrides) {
  Document document{text, origin};
  apply_overrides(document, overrides);
  Settings settings{document, origin};
  Scenario scenario = build(settings, folder);
  scenario.name = fs::path{origin}.stem().string();
  return scenario;
}

Scenario load_scenario(const fs::path& file, const std::vector<Override>& overrides) {
  return parse_scenario(read_text_file(file, kLargestFile), file.string(), file.parent_path(), overrides);
}

ClusterSpec parse_cluster(const std::string& text, const std::string& origin, const fs::path& folder,
                          const std::vector<Override>& overrides) {
  Document document{text, origin};
  apply_overrides(document, overrides);
  Settings settings{document, origin, Settings::Scope::cluster};
  return read_cluster(settings, folder);
}

ClusterSpec load_cluster(const fs::path& file, const std::vector<Override>& overrides) {
  return parse_cluster(read_text_file(file, kLargestFile), file.string(), file.parent_path(), overrides);
}

}  // namespace moesim
