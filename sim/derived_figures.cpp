#include "sim/derived_figures.hpp"

#include <fmt/format.h>

#include "sim/audit.hpp"
#include "sim/kernel_uses.hpp"
#include "sim/metrics/kernel_remarks.hpp"

namespace moesim {
namespace {

std::int64_t all_tokens(const Summary& summary) {
  std::int64_t tokens = 0;
  for (const StepRow& row : summary.steps) tokens += row.tokens;
  return tokens;
}

void add_throughput(const Scenario& scenario, Summary& summary) {
  const double seconds = summary.step.mean.value() * static_cast<double>(summary.steps.size());
  const double rate = seconds > 0 ? static_cast<double>(all_tokens(summary)) / seconds : 0;
  summary.total_tokens_per_s = rate;
  if (scenario.workload.phase == Phase::decode) {
    summary.output_tokens_per_s = rate;
    summary.input_tokens_per_s = 0;
    summary.tpot = summary.itl = summary.step;  // every sequence yields one token a step
    summary.notes.push_back("latency.ttft_ms and e2e_ms are null: a decode batch has no arrivals");
  } else {
    summary.input_tokens_per_s = rate;
    summary.notes.push_back(
        "throughput.output_tokens_per_s and latency are null: a prefill batch yields no output stream");
  }
}

/// The recorder saw what happened to the tokens; the rule is the scenario's.
void add_capacity(const Scenario& scenario, Summary& summary) {
  if (!summary.capacity) {
    summary.notes.push_back("capacity is null: no limit on the tokens of an expert (routing.capacity)");
    return;
  }
  const CapacitySpec& spec = scenario.routing.capacity;
  summary.capacity->policy = name_of(spec.policy);
  summary.capacity->scope = name_of(spec.scope);
  summary.capacity->factor = spec.factor;
  summary.capacity->padded = spec.pad;
  summary.capacity->has_gates = spec.policy != CapacityPolicy::drop_position;
  if (!summary.capacity->has_gates)
    summary.notes.push_back("capacity's gate weights are null: policy drop_position does not look at them");
}

/// The recorder saw what was fetched; where from is the scenario's.
void add_offload(const Scenario& scenario, Summary& summary) {
  const OffloadSpec& spec = scenario.experts.offload;
  if (!summary.offload) {
    summary.notes.push_back("offload is null: all experts are on the GPUs (offload.to)");
    return;
  }
  summary.offload->to = spec.to == OffloadTo::host ? "host" : "nvme";
  summary.offload->bandwidth = spec.bandwidth;
  summary.offload->resident = spec.resident;
  summary.notes.push_back("offloaded experts are fetched after the router and before the experts run, never ahead");
}

/// Rows of every expert, layer by layer. [MoE layers * experts]
std::vector<double> expert_rows(const Scenario& scenario, const Summary& summary) {
  std::vector<int> moe_layer_of(static_cast<std::size_t>(scenario.model.layers));
  int moe_layers = 0;
  for (std::size_t l = 0; l < moe_layer_of.size(); ++l)
    moe_layer_of[l] = scenario.model.moe_layer[l] ? moe_layers++ : -1;
  const auto experts = static_cast<std::size_t>(scenario.model.moe->experts);
  std::vector<double> rows(static_cast<std::size_t>(moe_layers) * experts);
  for (const ExpertUse& use : summary.experts)
    rows[static_cast<std::size_t>(moe_layer_of[static_cast<std::size_t>(use.layer)]) * experts +
         static_cast<std::size_t>(use.expert)] += static_cast<double>(use.tokens);
  return rows;
}

void add_quality(const Scenario& scenario, const Deployment& plan, Summary& summary) {
  if (scenario.experts.penalties)
    summary.quality_penalty =
        load_weighted_penalty(*plan.formats, *scenario.experts.penalties, expert_rows(scenario, summary));
  else
    summary.notes.push_back("quality_penalty is null: none is given; quality itself is not simulated");
}

void add_cost(const Scenario& scenario, Summary& summary) {
  const double per_hour = scenario.cluster.price_usd_per_gpu_hour * scenario.cluster.gpus();
  if (per_hour <= 0) {
    summary.notes.push_back("cost is null: no price is known for this GPU (cluster.price)");
    return;
  }
  summary.usd_per_hour = per_hour;
  if (summary.output_tokens_per_s)
    summary.usd_per_million_output_tokens = per_hour / 3600 / *summary.output_tokens_per_s * 1e6;
}

void add_slo(const Scenario& scenario, Summary& summary) {
  if (scenario.slo.tpot) {
    std::optional<Seconds> reached;
    if (summary.tpot) reached = summary.tpot->p99;
    summary.slo.push_back({"tpot", *scenario.slo.tpot, reached, reached && *reached <= *scenario.slo.tpot});
  }
  if (scenario.slo.ttft) {
    summary.slo.push_back({"ttft", *scenario.slo.ttft, std::nullopt, false});
    summary.notes.push_back("slo.ttft is not judged: a batch has no arrivals");
  }
}

void add_notes(const Scenario& scenario, const Deployment& plan, Summary& summary) {
  auto& notes = summary.notes;
  notes.insert(notes.end(), plan.notes.begin(), plan.notes.end());
  for (const std::string& value : scenario.model.defaulted) notes.push_back("model default: " + value);
  if (scenario.kernels.is_roofline())
    notes.push_back("kernel times are roofline estimates, not measurements: expect errors of tens of percent");
  for (std::string& line : kernel_remarks(summary.kernels)) notes.push_back(std::move(line));
  for (std::string& line : collectives_without_curve(scenario, plan)) notes.push_back(std::move(line));
  if (summary.uncertainty)
    notes.push_back("uncertainty is that of kernel times; collectives that no measured curve times are taken as exact");
  if (scenario.workload.host_time == Seconds{0})
    notes.push_back("host time per step is 0 (workload.host_time): the engine is taken to schedule ahead");
  notes.push_back("not modelled: CUDA-graph padding, scheduler, SM share of communication kernels");
  if (scenario.model.mtp_layers > 0) notes.push_back("the MTP module is neither held in memory nor run");
  if (plan.sampler == Sampler::aggregate && scenario.workload.dp_imbalance > 1)
    notes.push_back("aggregate sampler: dispatch bytes by source take the mean share of each data-parallel rank");
  if (!summary.expert_imbalance)
    notes.push_back("imbalance.expert and imbalance.gpu are null: a dense model has no experts");
  if (!summary.nic_imbalance) notes.push_back("imbalance.nic is null: no expert traffic crosses a NIC");
  if (!summary.audit)
    notes.push_back(scenario.model.moe
                        ? "audit is null: at this size it costs more than a tenth of the run; --audit N asks"
                        : "audit is null: a dense model has no expert traffic");
  if (summary.audit && summary.audit->sampled == 1)
    notes.push_back(
        "audit: one layer was looked at, so its errors are one draw and have no interval (ci95 of sampling is null); "
        "--audit N looks at more");
  if (summary.audit && summary.audit->escalated > 0)
    notes.push_back(
        fmt::format("audit: {} of {} combines have starts whose bracket is wider than {:.1f} %; as flows that start "
                    "rank by rank they "
                    "end {:.2f} % (worst {:.2f} %) before the run's common start with the last rank",
                    summary.audit->escalated, summary.audit->sampled, 100 * kStartTolerance,
                    -100 * summary.audit->staggered->mean, -100 * summary.audit->staggered->worst));
  if (!summary.uncertainty) notes.push_back("uncertainty is null: roofline kernel times carry none");
  notes.push_back("energy is null: power is not modelled yet");
  notes.push_back("invariants.littles_law_error is null and requests.csv has no rows: a batch has no requests");
}

}  // namespace

void add_derived_figures(const Scenario& scenario, const Deployment& plan, Summary& summary) {
  add_capacity(scenario, summary);
  add_offload(scenario, summary);
  add_quality(scenario, plan, summary);
  add_throughput(scenario, summary);
  summary.uncertainty = uncertainty_of(summary.kernels, summary);
  add_cost(scenario, summary);
  add_slo(scenario, summary);
  add_notes(scenario, plan, summary);
}

}  // namespace moesim
