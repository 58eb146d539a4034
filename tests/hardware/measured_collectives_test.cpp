// The catalogue's collective parameters against the tables that they claim to come from.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>

#include "models/hardware/gpu.hpp"
#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;
using Row = std::map<std::string, std::string>;

namespace {

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> all;
  std::istringstream in{line};
  for (std::string field; std::getline(in, field, ',');) all.push_back(field);
  return all;
}

/// Empty when the shared data is absent.
std::vector<Row> table(const std::string& relative) {
  const std::string file = testing::shared_file(relative);
  if (file.empty()) return {};
  const std::vector<std::string> lines = read_lines(file);
  const std::vector<std::string> header = fields(lines.at(0));
  std::vector<Row> rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> values = fields(lines[i]);
    Row row;
    for (std::size_t c = 0; c < std::min(header.size(), values.size()); ++c) row[header[c]] = values[c];
    rows.push_back(row);
  }
  return rows;
}

double number(const Row& row, const char* key) {
  return std::strtod(row.at(key).c_str(), nullptr);
}

/// Low-latency kernels: every token sends a copy to each of its 8 experts, uniformly over the ranks; the own rank's
/// share crosses no link. One node: NVLink. N nodes: (N - 1) / N of the copies over the own NIC.
double low_latency_us(const Gpu& gpu, const CollectiveParameters& parameters, int nodes, double tokens,
                      double payload) {
  const double bytes = 8 * tokens * payload;
  if (nodes == 1)
    return 1e6 *
           (parameters.latency_intra.value() + bytes * 7 / 8 / (gpu.nvlink.value() * parameters.nvlink_efficiency));
  return 1e6 * (parameters.latency_inter.value() +
                bytes * (nodes - 1) / nodes / (gpu.nic.value() * parameters.nic_efficiency));
}

struct Errors {
  std::vector<double> all;
  void add(double predicted, double measured) { all.push_back(std::abs(predicted / measured - 1)); }
  double median() {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
  }
  double worst() const { return *std::max_element(all.begin(), all.end()); }
};

/// Errors over one of the low-latency tables, for hidden 7168 (fp8 7392 B, bf16 14336 B), top-8 of 256.
std::pair<Errors, Errors> low_latency_errors(const Gpu& gpu, const std::vector<Row>& rows, bool across_nodes,
                                             double fewest_tokens) {
  std::pair<Errors, Errors> errors;
  for (const Row& row : rows) {
    const int nodes = std::atoi(row.at("node_num").c_str());
    const double tokens = number(row, "num_token");
    if (row.at("hidden_size") != "7168" || row.at("num_experts") != "256" || row.at("num_topk") != "8") continue;
    if ((nodes > 1) != across_nodes || tokens < fewest_tokens || tokens > 1024) continue;
    errors.first.add(low_latency_us(gpu, gpu.dispatch, nodes, tokens, 7392), number(row, "dispatch_avg_t_us"));
    errors.second.add(low_latency_us(gpu, gpu.combine, nodes, tokens, 14336), number(row, "combine_avg_t_us"));
  }
  return errors;
}

}  // namespace

TEST_CASE("H100 dispatch and combine parameters reproduce the low-latency table within the residuals they state",
          "[hardware][shared]") {
  const auto rows = table("data/kernels/h100_sxm/comm/sglang/0.5.6.post2/wideep_deepep_ll_perf.csv.gz");
  if (rows.empty()) return;
  const Gpu gpu = find_gpu("h100-sxm", "test");
  auto [dispatch_one, combine_one] = low_latency_errors(gpu, rows, false, 8);
  CHECK(dispatch_one.all.size() == 13);
  CHECK(dispatch_one.median() < 0.02);
  CHECK(dispatch_one.worst() < 0.05);
  CHECK(combine_one.median() < 0.03);
  CHECK(combine_one.worst() < 0.06);
  auto [dispatch_many, combine_many] = low_latency_errors(gpu, rows, true, 16);
  CHECK(dispatch_many.all.size() == 18);  // 9 token counts at 2 and at 4 nodes
  CHECK(dispatch_many.median() < 0.05);
  CHECK(dispatch_many.worst() < 0.09);
  CHECK(combine_many.median() < 0.03);
  CHECK(combine_many.worst() < 0.08);
}

TEST_CASE("B200 dispatch and combine parameters reproduce the low-latency table within the residuals they state",
          "[hardware][shared]") {
  const auto rows = table("data/kernels/b200_sxm/comm/sglang/0.5.12/wideep_deepep_ll_perf.csv.gz");
  if (rows.empty()) return;
  auto [dispatch, combine] = low_latency_errors(find_gpu("b200-sxm", "test"), rows, false, 1);
  CHECK(dispatch.all.size() == 11);
  CHECK(dispatch.median() < 0.03);
  CHECK(dispatch.worst() < 0.06);
  CHECK(combine.median() < 0.03);
  CHECK(combine.worst() < 0.07);
}

namespace {

/// Distinct parts of `parts` equal ones that 8 distinct experts of 256 hit, uniformly (oracle L4).
double distinct_parts(int parts) {
  double none = 1;
  for (int i = 0; i < 8; ++i) none *= (256.0 - 256.0 / parts - i) / (256 - i);
  return parts * (1 - none);
}

/// Normal mode: one copy per rank over NVLink, its own rail's left out, and one per remote node over the NIC.
double normal_us(const Gpu& gpu, const CollectiveParameters& of_gpu, int nodes, double tokens, double payload) {
  const CollectiveParameters parameters = of_gpu.of_group(nodes > 1);
  const double forwarded = distinct_parts(8 * nodes) * 7 / 8 * tokens * payload;
  const double over_nic = distinct_parts(nodes) * (nodes - 1) / nodes * tokens * payload;
  const Seconds latency = nodes > 1 ? parameters.latency_inter : parameters.latency_intra;
  return 1e6 * (latency.value() + std::max(forwarded / (gpu.nvlink.value() * parameters.nvlink_efficiency),
                                           over_nic / (gpu.nic.value() * parameters.nic_efficiency)));
}

/// Dispatch and combine of a normal-mode table, transmit and notify, with 20 SMs.
Errors normal_errors(const Gpu& gpu, const std::vector<Row>& rows, int nodes) {
  Errors errors;
  for (const Row& row : rows) {
    const double tokens = number(row, "num_token");
    if (std::atoi(row.at("node_num").c_str()) != nodes || row.at("dispatch_sms") != "20") continue;
    if (row.at("hidden_size") != "7168" || row.at("num_experts") != "256" || row.at("num_topk") != "8") continue;
    if (tokens < 16) continue;
    errors.add(normal_us(gpu, gpu.dispatch_normal, nodes, tokens, 7392),
               number(row, "dispatch_transmit_us") + number(row, "dispatch_notify_us"));
    errors.add(normal_us(gpu, gpu.combine_normal, nodes, tokens, 14336),
               number(row, "combine_transmit_us") + number(row, "combine_notify_us"));
  }
  return errors;
}

}  // namespace

TEST_CASE("H100 normal-mode parameters reproduce the tables of one, two and four nodes", "[hardware][shared]") {
  const auto one = table("data/kernels/h100_sxm/comm/sglang/0.5.12/wideep_deepep_normal_perf.csv.gz");
  const auto more = table("data/kernels/h100_sxm/comm/sglang/0.5.6.post2/wideep_deepep_normal_perf.csv.gz");
  if (one.empty() || more.empty()) return;
  const Gpu gpu = find_gpu("h100-sxm", "test");
  for (const int nodes : {1, 2, 4}) {
    Errors errors = normal_errors(gpu, nodes == 1 ? one : more, nodes);
    WARN("normal mode on " << nodes << " nodes: " << errors.all.size() << " points, median error "
                           << 100 * errors.median() << " %, worst " << 100 * errors.worst() << " %");
    CHECK(errors.all.size() == 36);
    CHECK(errors.median() <= 0.10);
    CHECK(errors.worst() <= (nodes == 1 ? 0.14 : 0.37));  // small batches: one latency for two and four nodes
  }
}

// Cases C01 and C02: logical bandwidths of 4,096 tokens, which count every copy (C01) and every node (C02).
TEST_CASE("H800 normal-mode parameters reproduce DeepEP's published bandwidths", "[hardware]") {
  const Gpu gpu = find_gpu("h800-sxm", "test");
  const auto logical = [&](const CollectiveParameters& parameters, int nodes, double payload) {
    return distinct_parts(nodes == 1 ? 8 : nodes) * 4096 * payload / normal_us(gpu, parameters, nodes, 4096, payload) /
           1e3;
  };
  CHECK(logical(gpu.dispatch_normal, 1, 7392) == Approx(153).epsilon(0.02));
  CHECK(logical(gpu.combine_normal, 1, 14336) == Approx(158).epsilon(0.02));
  CHECK(logical(gpu.dispatch_normal, 2, 7392) == Approx(43).epsilon(0.02));
  CHECK(logical(gpu.combine_normal, 2, 14336) == Approx(43).epsilon(0.02));
}

// Oracle L25, case C04: 5 % mean, 12 % worst.
TEST_CASE("H800 parameters reproduce DeepEP's published low-latency points", "[hardware][shared]") {
  const auto rows = table("data/ground_truth/deepep_low_latency.csv");
  if (rows.empty()) return;
  const Gpu gpu = find_gpu("h800-sxm", "test");
  Errors errors;
  for (const Row& row : rows) {
    if (row.at("version").find("NVLink-assisted") == std::string::npos) continue;
    const int nodes = std::atoi(row.at("ep").c_str()) / 8;
    errors.add(low_latency_us(gpu, gpu.dispatch, nodes, 128, 7392), number(row, "dispatch_us"));
    errors.add(low_latency_us(gpu, gpu.combine, nodes, 128, 14336), number(row, "combine_us"));
  }
  REQUIRE(errors.all.size() == 6);
  double sum = 0;
  for (double error : errors.all) sum += error;
  CHECK(sum / 6 < 0.05);
  CHECK(errors.worst() < 0.12);
}

// Case C18: bus bandwidth at 512 MiB. all-reduce 2 (p-1)/p M/t, all-gather (p-1)/p M/t.
TEST_CASE("Large collectives of H100 and B200 come within 15 % of the measured bus bandwidth", "[hardware][shared]") {
  const std::string name = GENERATE("h100", "b200");
  const auto rows = table("data/kernels/" + name + "_sxm/comm/nccl/2.29.2/nccl_perf.csv.gz");
  if (rows.empty()) return;
  const Gpu gpu = find_gpu(name + "-sxm", "test");
  int compared = 0;
  for (const Row& row : rows) {
    if (row.at("num_gpus") != "8" || row.at("nccl_dtype") != "half" || row.at("message_size") != "268435456") continue;
    const bool reduce = row.at("op_name") == "all_reduce";
    if (!reduce && row.at("op_name") != "all_gather") continue;
    const CollectiveParameters& parameters = reduce ? gpu.all_reduce : gpu.all_gather;
    const double bytes = (reduce ? 2 : 1) * 7.0 / 8 * 536870912.0;  // message_size counts 2-byte elements
    const double seconds =
        parameters.latency_intra.value() + bytes / (gpu.nvlink.value() * parameters.nvlink_efficiency);
    INFO(name << " " << row.at("op_name"));
    CHECK(seconds == Approx(number(row, "latency") * 1e-3).epsilon(0.15));
    ++compared;
  }
  CHECK(compared == 2);
}
