#pragma once
// The answer: what summary.json holds.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/deployment/deployment.hpp"
#include "models/hardware/topology.hpp"
#include "sim/events/events.hpp"

namespace moesim {

struct MeanMax {
  double mean = 1, max = 1;
};

/// Shares of the time that perfect balance would save, of each cause alone.
struct ImbalanceCost {
  double experts = 0;    ///< GPUs with more expert work than the mean one
  double links = 0;      ///< links busier than the mean one of their tier
  double batches = 0;    ///< data-parallel ranks with more tokens than the mean one
  double slow_gpus = 0;  ///< GPUs that compute slower than the others

  double total() const { return experts + links + batches + slow_gpus; }
};

struct Percentiles {
  Seconds mean, p50, p90, p99;
};

struct Hotspot {
  enum class Kind { expert, gpu, link, tier, stage } kind = Kind::gpu;
  /// Why it is one; what could be done follows from it (sim/remedies.hpp).
  enum class Cause {
    hot_expert,        ///< alone it has more tokens than a mean GPU
    hot_experts,       ///< the experts of a GPU together have; a link of that GPU may be what waits for them
    slow_gpu,          ///< it computes slower than the others
    uneven_batches,    ///< its data-parallel rank has more tokens
    slow_link,         ///< it has less bandwidth than others of its tier
    collision,         ///< more flows were hashed onto it than onto others
    busy_link,         ///< it carries more, by how traffic is routed
    oversubscription,  ///< the fabric has less capacity above its leaves than below
    uneven_stages,
    uneven_pools,
  } cause = Cause::hot_experts;
  std::string id;  ///< "n2g5", "layer 31 expert 91", "expert 3" (of several layers), "n0g3 -> leaf3.0", "spine links"
  std::optional<int> layer;
  double share_of_time = 0;  ///< of the step that this one gates beyond a balanced system
  std::string reason;
  std::string remedy;    ///< what balance would save, then what to do
  std::string advice{};  ///< what to do, alone: "place by load"; empty: nothing is known
  std::vector<std::pair<std::string, std::string>> set{};  ///< scenario keys that carry the remedy out; empty: none can
  std::vector<std::vector<std::pair<std::string, std::string>>> other_sets{};  ///< to try after every first; not kept
  std::optional<Seconds> gain{};  ///< of a step when rerun with `set`; none unless it was, or that did not end well
  std::string gain_note{};        ///< what the rerun found; empty unless it was
};

/// What a limit on places did over the run.
struct CapacityUse {
  std::string policy, scope;
  double factor = 0;
  bool padded = false, has_gates = false;
  std::int64_t wanted = 0, dropped = 0, rerouted = 0, places = 0;  ///< assignments, and places of all experts
  double displaced_gate = 0, dropped_gate = 0;                     ///< sums of gate weights
};

/// What was fetched of offloaded experts over the run.
struct OffloadUse {
  std::string to;
  BytesPerSecond bandwidth;
  int resident = 0;         ///< slots of a layer and GPU
  std::int64_t wanted = 0;  ///< slots with rows
  double missed = 0;        ///< of them
  Bytes bytes;              ///< over all GPUs
};

/// Relative errors of a sample, signed.
struct SampleError {
  double mean = 0;
  double worst = 0;            ///< the largest in magnitude
  std::optional<double> ci95;  ///< half width of the mean's 95 % interval (Student's t); two samples or more
};

/// How wide the bracket of staggered starts may be (of its upper end) before a combine is escalated to flows, and how
/// far off the run's common start may be before its summary warns: the error that the audit allows for sharing.
inline constexpr double kStartTolerance = 0.005;

/// What a sample of the run's MoE layers says about its two approximations, and about its common starts.
struct Audit {
  int sampled = 0;  ///< (step, layer) pairs
  std::optional<SampleError>
      sampling;                        ///< token-level draw / the run's sampler - 1, time of the expert part of a layer
  std::optional<SampleError> sharing;  ///< SimGrid flows / F0 - 1, time of a dispatch or combine
  int escalated = 0;  ///< combines with a bracket beyond kStartTolerance, replayed as flows that start rank by rank
  std::optional<SampleError> staggered;  ///< of those, flows that start when their rank is ready / common start - 1
  std::optional<double> bracket;         ///< mean width of [busy-period bound, last start + F0] over its upper end
};

struct LinkUse {
  std::string name;
  std::string tier;
  Bytes bytes;            ///< over the run
  double busy_share = 0;  ///< of the run's time at the achieved rate
  double peak_share = 0;  ///< largest share of one collective's time
};

struct GpuUse {
  std::string name;
  std::array<Seconds, kCauses> busy{};
  Seconds wait;
  std::int64_t tokens = 0;  ///< expert rows
  double gating_share = 0;  ///< of the time, as the last to end a phase; those that end it together share it
};

struct ExpertUse {
  int layer, expert, slot, gpu;
  std::int64_t tokens;
};

struct StepRow {
  int step;
  Seconds start, took;
  std::int64_t tokens;
};

/// Whose times one class of ops took, in the largest batch of a step.
struct KernelUse {
  std::string op_class;  ///< "attention_core"
  Cause cause;           ///< what its time is charged to
  std::string source;    ///< "published"
  std::string kernel;    ///< as its source names it; empty for the roofline
  std::string regime;    ///< of its table: "inside", "between" ...; empty for the roofline
  double sigma = 0;      ///< of the logarithm of the time; 0 when unknown
  Seconds time;          ///< of the step on one rank
  std::string lender{};  ///< the engine whose times stand in; empty: none does
};

/// What the errors of kernel times do to a step: tenths of its distribution.
struct Uncertainty {
  double sigma = 0;       ///< of the logarithm of the step time
  std::string most_from;  ///< the class of ops that contributes most
  Seconds step_p10, step_p90;
  std::optional<double> output_p10, output_p90;  ///< tokens per second
};

struct Summary {
  // what was simulated
  std::string scenario_name, question, headline;  ///< headline: "deepseek-v3 · 32 x h100-sxm (4 nodes x 8) · ..."
  std::map<std::string, std::string> chosen;  ///< what each `auto` took: communication.all_to_all -> deepep_low_latency
  std::vector<std::string> notes;             ///< why keys are null, what was not modelled
  std::vector<std::string> remarks;           ///< those of the notes that people should see: how the scenario was taken
  std::string model, gpu;                     ///< names of the model and of the kind of GPU
  int gpus = 0;                               ///< of the layout
  int cluster_gpus = 0, nodes = 0;            ///< of the cluster
  std::optional<int> gpus_per_node;           ///< none where nodes differ
  // throughput and latency
  std::optional<double> output_tokens_per_s, input_tokens_per_s;
  double total_tokens_per_s = 0;
  Percentiles step;
  std::optional<Percentiles> tpot, itl, ttft, e2e;
  // where it goes
  std::optional<MeanMax> expert_imbalance, gpu_imbalance;  ///< none for a dense model
  std::optional<MeanMax> nic_imbalance;                    ///< none where no expert traffic crosses a NIC
  ImbalanceCost imbalance_cost;
  std::array<double, kCauses> critical_path{};  ///< shares, sum 1
  std::vector<Hotspot> hotspots;
  std::vector<Seconds> stage_work;  ///< [stages or pools] of a step, waiting apart
  MemoryFit memory;
  std::optional<CapacityUse> capacity;    ///< none without a limit on places
  std::optional<OffloadUse> offload;      ///< none when all experts are on the GPUs
  std::optional<double> quality_penalty;  ///< of the formats of the experts, weighed by the rows they had
  // checks
  std::optional<Audit> audit;
  bool tokens_conserved = false, bytes_conserved = false;
  // provenance
  std::string version, scenario_hash, simgrid, kernel_source, profile;
  std::vector<KernelUse> kernels;  ///< in the order of a layer
  std::optional<Uncertainty> uncertainty;
  std::uint64_t seed = 0;
  // cost, SLO
  std::optional<double> usd_per_hour, usd_per_million_output_tokens;
  struct SloVerdict {
    std::string name;
    Seconds limit;
    std::optional<Seconds> reached;
    bool met;
  };
  std::vector<SloVerdict> slo;
  // tables
  std::vector<LinkUse> links;
  std::vector<GpuUse> gpu_table;
  std::vector<ExpertUse> experts;
  std::vector<StepRow> steps;
};

/// Output tokens per second and GPU; input tokens of a run that yields none.
double rate_per_gpu(const Summary& summary);

struct CauseShare {
  Cause cause = Cause::attention;
  double share = 0;
};

/// The largest cause on the critical path, the first of equals.
CauseShare bound_by(const Summary& summary);

}  // namespace moesim
