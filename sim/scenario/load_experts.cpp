#include <utility>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/scenario/build.hpp"

namespace moesim {
namespace {

constexpr std::string_view kExperts = "precision.experts";
constexpr std::string_view kBelow = "precision.cold_experts.below", kCold = "precision.cold_experts.format";
/// Sequential reads of one PCIe 4 x4 drive, as the domain notes take them (M, row 9).
constexpr std::string_view kNvmeBandwidth = "7 GB/s";

NumberFormat format_of(const Record& record, std::string_view field) {
  return static_cast<NumberFormat>(std::get<std::int64_t>(record.find(field)->value));
}

double number_or_zero(const Record& record, std::string_view field) {
  const RecordField* given = record.find(field);
  return given ? std::get<double>(given->value) : 0;
}

std::vector<NumberFormat> read_list(const Settings& settings) {
  std::vector<NumberFormat> list;
  for (const Record& record : std::get<Records>(settings.at(kExperts).value))
    list.push_back(format_of(record, "format"));
  return list;
}

void read_cold(const Settings& settings, ExpertStoreSpec& spec) {
  for (const auto& [key, other] : {std::pair{kBelow, kCold}, std::pair{kCold, kBelow}})
    if (settings.has(key) && !settings.has(other))
      throw InputError{settings.where(other), "nothing", fmt::format("a value: {} needs it", key)};
  if (!settings.has(kCold)) return;
  if (!spec.listed.empty())
    throw InputError{settings.where(kCold), settings.at(kCold).text,
                     fmt::format("no such key where {} lists every expert", kExperts)};
  spec.cold = settings.choice<NumberFormat>(kCold);
  spec.cold_below = settings.number(kBelow);
  const auto hot = settings.choice<NumberFormat>(kExperts);
  if (bits_per_element(*spec.cold) >= bits_per_element(hot))
    throw InputError{settings.where(kCold), std::string{name_of(*spec.cold)},
                     fmt::format("fewer bits than {}, which the other experts have", name_of(hot))};
}

void read_penalties(const Settings& settings, int experts, ExpertStoreSpec& spec) {
  if (!settings.has("quality_penalty")) return;
  spec.penalties.emplace();
  for (const Record& record : std::get<Records>(settings.at("quality_penalty").value)) {
    const double penalty = number_or_zero(record, "penalty");
    const RecordField* expert = record.find("expert");
    if (!expert) {
      spec.penalties->set(format_of(record, "format"), penalty);
      continue;
    }
    const auto index = std::get<std::int64_t>(expert->value);
    if (index >= experts)
      throw InputError{expert->where, fmt::format("{}", index), fmt::format("an expert from 0 to {}", experts - 1)};
    spec.penalties->set(static_cast<int>(index), format_of(record, "format"), penalty);
  }
}

OffloadSpec read_offload(Settings& settings, const Gpu& gpu) {
  OffloadSpec offload;
  offload.to = settings.choice<OffloadTo>("offload.to");
  if (offload.to == OffloadTo::none) return offload;
  offload.resident = settings.count("offload.resident");
  if (offload.to == OffloadTo::host)
    settings.fill("offload.bandwidth", to_text(kPcieEfficiency * gpu.pcie), "catalogue");
  settings.fill("offload.bandwidth", std::string{kNvmeBandwidth}, "default");
  offload.bandwidth = BytesPerSecond{settings.number("offload.bandwidth")};
  if (!settings.has("offload.hit_rate")) return offload;
  offload.hit_rate = settings.number("offload.hit_rate");
  if (*offload.hit_rate > 0 && offload.resident == 0)
    throw InputError{settings.where("offload.hit_rate"), settings.at("offload.hit_rate").text,
                     "0 with offload.resident 0: there is no room for a hit"};
  return offload;
}

/// A dense model has no experts to store.
void refuse_for_dense(const Architecture& model, const Settings& settings) {
  for (const std::string_view key : {kCold, kBelow, std::string_view{"quality_penalty"}})
    if (settings.has(key))
      throw InputError{settings.where(key), settings.at(key).text, fmt::format("no such key: {} is dense", model.name)};
  if (settings.choice<OffloadTo>("offload.to") != OffloadTo::none)
    throw InputError{settings.where("offload.to"), settings.at("offload.to").text,
                     fmt::format("none: {} is dense", model.name)};
  if (lists_formats(settings))
    throw InputError{settings.where(kExperts), "a list", fmt::format("one format: {} is dense", model.name)};
}

}  // namespace

bool lists_formats(const Settings& settings) {
  return std::holds_alternative<Records>(settings.at(kExperts).value);
}

NumberFormat widest_expert_format(const Settings& settings) {
  return lists_formats(settings) ? widest(read_list(settings)) : settings.choice<NumberFormat>(kExperts);
}

ExpertStoreSpec read_expert_store(Settings& settings, const Architecture& model, const Gpu& gpu) {
  ExpertStoreSpec spec;
  if (!model.moe) {
    refuse_for_dense(model, settings);
    return spec;
  }
  if (lists_formats(settings)) {
    spec.listed = read_list(settings);
    listed_formats(model, spec.listed, settings.where(kExperts));  // as long as there are experts
  }
  read_cold(settings, spec);
  read_penalties(settings, model.moe->experts, spec);
  spec.offload = read_offload(settings, gpu);
  return spec;
}

void check_expert_blocks(const Scenario& scenario, const Settings& settings) {
  if (!scenario.model.moe) return;
  const int tp = scenario.layout.expert_tp;
  check_blocks(scenario.model, scenario.precision.experts, tp, settings.where(kExperts));
  for (const NumberFormat format : scenario.experts.listed)
    check_blocks(scenario.model, format, tp, settings.where(kExperts));
  if (scenario.experts.cold) check_blocks(scenario.model, *scenario.experts.cold, tp, settings.where(kCold));
}

std::vector<ExtraOp> read_extra_ops(const Settings& settings) {
  std::vector<ExtraOp> extras;
  if (!settings.has("extra_ops")) return extras;
  for (const Record& record : std::get<Records>(settings.at("extra_ops").value)) {
    const ExtraOp extra{
        std::get<std::string>(record.find("name")->value), Flops{number_or_zero(record, "flops_per_token")},
        Bytes{number_or_zero(record, "bytes_per_token")}, Bytes{number_or_zero(record, "weights_bytes")}};
    if (extra.flops_per_token.value() + extra.bytes_per_token.value() + extra.weights.value() == 0)
      throw InputError{record.where, "no work", "flops_per_token, bytes_per_token or weights_bytes above 0"};
    extras.push_back(extra);
  }
  return extras;
}

}  // namespace moesim
