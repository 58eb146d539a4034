#include "sim/metrics/summary_json.hpp"

#include <nlohmann/json.hpp>

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kMillisecond = 1e-3;

Json optional(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json milliseconds(Seconds value) {
  return value.value() / kMillisecond;
}

Json sample_error(const std::optional<SampleError>& error) {
  if (!error) return nullptr;
  return {{"mean", error->mean}, {"worst", error->worst}, {"ci95", optional(error->ci95)}};
}

Json audit(const std::optional<Audit>& of) {
  if (!of) return nullptr;
  return {
      {"sampled", of->sampled},     {"sampling", sample_error(of->sampling)},   {"sharing", sample_error(of->sharing)},
      {"escalated", of->escalated}, {"staggered", sample_error(of->staggered)}, {"bracket", optional(of->bracket)}};
}

Json percentiles(const std::optional<Percentiles>& of) {
  if (!of) return Json{{"mean", nullptr}, {"p50", nullptr}, {"p90", nullptr}, {"p99", nullptr}};
  return Json{{"mean", milliseconds(of->mean)},
              {"p50", milliseconds(of->p50)},
              {"p90", milliseconds(of->p90)},
              {"p99", milliseconds(of->p99)}};
}

Json mean_max(const std::optional<MeanMax>& of) {
  if (!of) return Json{{"mean", nullptr}, {"max", nullptr}};
  return Json{{"mean", of->mean}, {"max", of->max}};
}

Json throughput(const Summary& summary) {
  const auto per_gpu = [&]() -> Json {
    return summary.output_tokens_per_s ? Json(*summary.output_tokens_per_s / summary.gpus) : Json(nullptr);
  };
  return Json{{"output_tokens_per_s", optional(summary.output_tokens_per_s)},
              {"output_tokens_per_s_per_gpu", per_gpu()},
              {"input_tokens_per_s", optional(summary.input_tokens_per_s)},
              {"total_tokens_per_s", summary.total_tokens_per_s}};
}

Json overrides(const std::vector<std::pair<std::string, std::string>>& set) {
  if (set.empty()) return nullptr;
  Json list = Json::array();
  for (const auto& [key, value] : set) list.push_back({{"key", key}, {"value", value}});
  return list;
}

Json hotspots(const Summary& summary) {
  Json list = Json::array();
  for (const Hotspot& spot : summary.hotspots)
    list.push_back({{"kind", name_of(spot.kind)},
                    {"cause", name_of(spot.cause)},
                    {"id", spot.id},
                    {"layer", spot.layer ? Json(*spot.layer) : Json(nullptr)},
                    {"share_of_time", spot.share_of_time},
                    {"reason", spot.reason},
                    {"remedy", spot.remedy},
                    {"set", overrides(spot.set)},
                    {"gain_ms", spot.gain ? Json(milliseconds(*spot.gain)) : Json(nullptr)},
                    {"gain_note", spot.gain_note.empty() ? Json(nullptr) : Json(spot.gain_note)}});
  return list;
}

Json memory(const MemoryFit& fit) {
  Json lines{{"weights", 0.0}, {"kv", 0.0}, {"activations", 0.0}, {"buffers", 0.0}, {"other", 0.0}};
  Json detail = Json::array();
  for (const MemoryLine& line : fit.lines) {
    lines[line.group] = lines[line.group].get<double>() + line.bytes.value();
    detail.push_back(
        {{"name", line.name}, {"group", line.group}, {"bytes", line.bytes.value()}, {"formula", line.formula}});
  }
  return Json{{"per_gpu_max_bytes", fit.needed.value()},
              {"capacity_bytes", fit.capacity.value()},
              {"device_bytes", fit.device.value()},
              {"offloaded_bytes", fit.offloaded.value()},
              {"fits", fit.fits},
              {"kv_tokens_capacity_per_gpu", fit.kv_tokens_capacity},
              {"lines", lines},
              {"detail", detail}};
}

Json critical_path(const Summary& summary) {
  Json shares = Json::object();
  for (int cause = 0; cause < kCauses; ++cause)
    shares[std::string{name_of(static_cast<Cause>(cause))}] = summary.critical_path[static_cast<std::size_t>(cause)];
  return shares;
}

Json capacity(const std::optional<CapacityUse>& use) {
  if (!use) return nullptr;
  const auto of_wanted = [&](double part) { return use->wanted > 0 ? part / static_cast<double>(use->wanted) : 0.0; };
  const auto gates = [&](double sum) { return use->has_gates ? Json(of_wanted(sum)) : Json(nullptr); };
  const std::int64_t kept = use->wanted - use->dropped;
  const double places = static_cast<double>(use->places);
  return Json{{"policy", use->policy},
              {"scope", use->scope},
              {"factor", use->factor},
              {"padded", use->padded},
              {"assignments", use->wanted},
              {"drop_fraction", of_wanted(static_cast<double>(use->dropped))},
              {"reroute_fraction", of_wanted(static_cast<double>(use->rerouted))},
              {"displaced_gate_per_assignment", gates(use->displaced_gate)},
              {"dropped_gate_per_assignment", gates(use->dropped_gate)},
              {"padded_slots", use->places - kept},
              {"padded_slot_fraction", use->places > 0 ? 1 - static_cast<double>(kept) / places : 0.0}};
}

Json offload(const std::optional<OffloadUse>& use, std::size_t steps) {
  if (!use) return nullptr;
  return Json{{"to", use->to},
              {"bandwidth_bytes_per_s", use->bandwidth.value()},
              {"resident_slots_per_layer", use->resident},
              {"hit_rate", use->wanted > 0 ? Json(1 - use->missed / static_cast<double>(use->wanted)) : Json(nullptr)},
              {"fetched_bytes_per_step", use->bytes.value() / static_cast<double>(steps)}};
}

Json slo(const Summary& summary) {
  Json list = Json::array();
  for (const auto& verdict : summary.slo)
    list.push_back({{"name", verdict.name},
                    {"limit_ms", milliseconds(verdict.limit)},
                    {"reached_ms", verdict.reached ? milliseconds(*verdict.reached) : Json(nullptr)},
                    {"met", verdict.reached ? Json(verdict.met) : Json(nullptr)}});
  return list;
}

}  // namespace

std::string memory_json(const MemoryFit& fit) {
  return memory(fit).dump();
}

std::string summary_json(const Summary& summary) {
  Json json{
      {"scenario", summary.scenario_name},
      {"question", summary.question},
      {"deployment", summary.headline},
      {"model", summary.model},
      {"gpu", summary.gpu},
      {"gpus", summary.gpus},
      {"nodes", summary.nodes},
      {"cluster_gpus", summary.cluster_gpus},
      {"gpus_per_node", summary.gpus_per_node ? Json(*summary.gpus_per_node) : Json(nullptr)},
      {"throughput", throughput(summary)},
      {"latency",
       {{"ttft_ms", percentiles(summary.ttft)},
        {"tpot_ms", percentiles(summary.tpot)},
        {"itl_ms", percentiles(summary.itl)},
        {"e2e_ms", percentiles(summary.e2e)}}},
      {"step",
       {{"count", summary.steps.size()},
        {"mean_ms", milliseconds(summary.step.mean)},
        {"p50_ms", milliseconds(summary.step.p50)},
        {"p90_ms", milliseconds(summary.step.p90)},
        {"p99_ms", milliseconds(summary.step.p99)}}},
      {"imbalance",
       {{"expert", mean_max(summary.expert_imbalance)},
        {"gpu", mean_max(summary.gpu_imbalance)},
        {"nic", mean_max(summary.nic_imbalance)},
        {"cost",
         {{"experts", summary.imbalance_cost.experts},
          {"links", summary.imbalance_cost.links},
          {"batches", summary.imbalance_cost.batches},
          {"slow_gpus", summary.imbalance_cost.slow_gpus}}}}},
      {"critical_path", critical_path(summary)},
      {"hotspots", hotspots(summary)},
      {"memory", memory(summary.memory)},
      {"capacity", capacity(summary.capacity)},
      {"offload", offload(summary.offload, summary.steps.size())},
      {"quality_penalty", optional(summary.quality_penalty)},
      {"slo", slo(summary)},
      {"audit", audit(summary.audit)},
      {"uncertainty", Json::parse(uncertainty_json(summary.uncertainty))},
      {"kernels", Json::parse(kernels_json(summary))},
      {"invariants",
       {{"tokens_conserved", summary.tokens_conserved},
        {"bytes_conserved", summary.bytes_conserved},
        {"littles_law_error", nullptr}}},
      {"chosen", summary.chosen},
      {"provenance",
       {{"version", summary.version},
        {"scenario_hash", summary.scenario_hash},
        {"seed", summary.seed},
        {"simgrid", summary.simgrid},
        {"profile", summary.profile.empty() ? Json() : Json(summary.profile)},
        {"kernel_source", summary.kernel_source}}},
      {"cost",
       {{"usd_per_hour", optional(summary.usd_per_hour)},
        {"usd_per_million_output_tokens", optional(summary.usd_per_million_output_tokens)}}},
      {"energy", nullptr},
      {"notes", summary.notes},
  };
  return json.dump(2) + "\n";
}

}  // namespace moesim
