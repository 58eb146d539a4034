// End-to-end rows: one replica of an engine at a steady number of requests.

#include <algorithm>

#include <fmt/format.h>

#include "sim/validate/measured_file.hpp"
#include "sim/validate/steady_batch.hpp"

namespace moesim {
namespace {

struct ServingRow {
  Replica replica;
  std::string reason;  ///< why nothing of it can be expressed
  int in_flight = 0;   ///< requests on the replica
  int prompt = 0, answer = 0;
};

bool has_flag(const std::string& flags, std::string_view flag) {
  return fmt::format("|{}|", flags).find(fmt::format("|{}|", flag)) != std::string::npos;
}

void read_layout(const CaseRow& row, ServingRow& serving) {
  Replica& replica = serving.replica;
  replica.attention_tp = row.count("tp_size");
  replica.attention_dp = row.count_or("attention_dp_size", 1);
  replica.expert_tp = row.count_or("moe_tp_size", 1);
  replica.expert_ep = row.count_or("moe_ep_size", 1);
  if (row.count_or("pp_size", 1) > 1) serving.reason = "a pipeline under continuous batching is not expressed";
  if (replica.is_moe && replica.expert_ep * replica.expert_tp != replica.ranks())
    serving.reason = fmt::format("layouts contradict each other: tp {} x dp {} is not moe_tp {} x moe_ep {}",
                                 replica.attention_tp, replica.attention_dp, replica.expert_tp, replica.expert_ep);
  if (!replica.is_moe && replica.attention_dp > 1)
    serving.reason = "a dense model's data-parallel replicas are independent of each other";
}

/// No more requests run than the engine's batch holds; the others wait.
int requests_in_flight(const CaseRow& row, int attention_dp) {
  const int batch = row.count_or("batch_size", 0) * attention_dp;
  const int concurrency = row.count_or("concurrency", batch);
  return batch > 0 ? std::min(batch, concurrency) : concurrency;
}

/// Requests of an attention-DP group that run at once: evenly spread, no more than the memory holds at their mean
/// context (where it does not hold one, moesim's memory is not the engine's, and all run).
int requests_of_group(const ServingRow& serving) {
  const int dp = serving.replica.attention_dp;
  const int spread = (serving.in_flight + dp - 1) / dp;
  const int held = most_requests(serving.replica, serving.prompt + serving.answer / 2, spread, 1);
  return held == 0 ? spread : held;
}

/// What the row says of its model, or why that is not known here.
std::string read_model(const CaseRow& row, Replica& replica) {
  const std::string path = row.text("model_path"), system = row.text("system");
  const auto model = zoo_model(path);
  if (!model) return fmt::format("model {} is not in the zoo", path);
  const auto gpu = catalogue_gpu(system);
  if (!gpu) return fmt::format("GPU {} is not in the catalogue", system);
  const Architecture architecture = load_architecture(*model);
  const auto formats =
      stored_formats(architecture, path, row.text("backend"), row.text("gemm_quant_mode"), row.text("moe_quant_mode"));
  if (!formats)
    return fmt::format("number formats {} and {} are not known", row.text("gemm_quant_mode"),
                       row.text("moe_quant_mode"));
  replica.model = *model;
  replica.gpu = *gpu;
  replica.is_moe = architecture.moe.has_value();
  replica.formats = *formats;
  replica.engine = lowered(row.text("backend"));
  return {};
}

ServingRow read_serving(const CaseRow& row) {
  ServingRow serving;
  serving.prompt = row.count("isl");
  serving.answer = row.count("osl");
  serving.reason = read_model(row, serving.replica);
  if (row.text("mode") == "disagg") {
    serving.reason =
        "prefill and decode on GPUs of their own: how requests wait between them needs request-level serving";
    return serving;
  }
  if (serving.reason.empty()) read_layout(row, serving);
  serving.in_flight = requests_in_flight(row, serving.replica.attention_dp);
  if (serving.in_flight == 0) serving.reason = "neither concurrency nor batch_size is given";
  if (has_flag(row.text("flags"), "mtp_unlabelled"))
    serving.reason = "speculative decoding with an unknown share of accepted tokens (mtp_unlabelled)";
  return serving;
}

std::string group_of(const CaseRow& row, const ServingRow& serving) {
  const auto model = zoo_model(row.text("model_path"));
  const auto gpu = catalogue_gpu(row.text("system"));
  return fmt::format("{}, {}, {}, {}", model ? *model : row.text("model_path"), gpu ? *gpu : row.text("system"),
                     row.text("backend"),
                     row.text("mode") == "disagg" ? "disaggregated" : layout_words(serving.replica));
}

}  // namespace

void map_serving_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  const ServingRow serving = read_serving(row);
  MeasuredCase tpot;
  tpot.group = group_of(row, serving);
  tpot.what = fmt::format("{}/{} x {}", serving.prompt, serving.answer, serving.in_flight);
  tpot.flags = row.text("flags");
  tpot.quantity = "tpot";
  tpot.unit = "ms";
  tpot.measured = row.positive("silicon_tpot_ms");
  tpot.reading = {1e3, false};
  tpot.reason = serving.reason;
  MeasuredCase ttft = tpot;
  ttft.quantity = "ttft";
  ttft.measured = row.positive("silicon_ttft_ms");
  ttft.reason = "time to first token needs arrivals and queues: request-level serving";
  if (serving.reason.empty())
    express(tpot, [&] {
      const int requests = requests_of_group(serving);
      if (requests * serving.replica.attention_dp < serving.in_flight)
        tpot.what += fmt::format(" ({} fit)", requests * serving.replica.attention_dp);
      return steady_batch({serving.replica, static_cast<double>(requests), serving.prompt, serving.answer});
    });
  cases.push_back(std::move(tpot));
  cases.push_back(std::move(ttft));
}

}  // namespace moesim
