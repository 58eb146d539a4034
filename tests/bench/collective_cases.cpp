#include "tests/bench/collective_cases.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "models/collectives/uniform_exchange.hpp"
#include "models/kernels/published/measured_table.hpp"

namespace moesim::bench {
namespace {

/// DeepSeek-V3's tokens, as every case here has them: hidden 7168, top-8 of 256.
constexpr int kHidden = 7168, kTopK = 8, kExperts = 256;
constexpr Bytes kFp8{7392}, kBf16{14336};

double parts_hit(int parts) {
  return distinct_parts(parts, kExperts, kTopK);
}

/// The first ranks of a catalogue GPU's machine.
class Exchange : public UniformExchange {
public:
  Exchange(const std::string& gpu, int ranks, int gpus_per_node)
      : UniformExchange{find_gpu(gpu, "case"), ranks, gpus_per_node} {}

  Seconds time(CopyRule rule, const CollectiveParameters& parameters, double tokens, Bytes payload) const {
    return UniformExchange::time(rule, parameters, {tokens, kExperts, kTopK, payload});
  }
};

Seconds microseconds(double us) {
  return Seconds{us * 1e-6};
}

/// Collects the cases of one file after the other; a file that is not there adds none.
class Cases {
public:
  explicit Cases(std::filesystem::path shared) : shared_{std::move(shared)} {}

  /// For each row of the file.
  template <typename Row>
  void read(const std::string& file, Row row) {
    source_ = file;
    if (!std::filesystem::exists(shared_ / file)) return;
    MeasuredTable table{shared_ / file};
    while (table.next()) row(table.row());
  }
  void add(std::string id, std::string group, std::string what, Seconds predicted, Seconds measured, bool ep) {
    cases_.push_back({std::move(id), std::move(group), std::move(what), predicted, measured, source_, ep});
  }
  /// Dispatch (fp8) and combine (bf16) of a measured exchange.
  void add_both(const std::string& id, const std::string& group, const std::string& what, Seconds dispatch,
                double dispatch_us, Seconds combine, double combine_us) {
    add(id, group, "dispatch " + what, dispatch, microseconds(dispatch_us), true);
    add(id, group, "combine " + what, combine, microseconds(combine_us), true);
  }
  std::vector<CollectiveCase> take() { return std::move(cases_); }

private:
  std::filesystem::path shared_;
  std::string source_;
  std::vector<CollectiveCase> cases_;
};

bool is_v3(const MeasuredRow& row) {
  return row.number("hidden_size") == kHidden && row.number("num_experts") == kExperts &&
         row.number("num_topk") == kTopK;
}

CopyRule normal_copies(int ranks) {
  return ranks > 8 ? CopyRule::per_node : CopyRule::per_rank;
}

/// C01, C02: published as logical GB/s of 4096 tokens, which count every copy (one node) or every node.
void add_normal_h800(Cases& cases) {
  cases.read("data/ground_truth/deepep_normal.csv", [&](const MeasuredRow& row) {
    const int ranks = static_cast<int>(row.number("ep"));
    const double tokens = row.number("tokens_per_rank");
    const Exchange exchange{"h800-sxm", ranks, 8};
    const double parts = parts_hit(ranks == 8 ? 8 : ranks / 8);
    const auto us = [&](Bytes payload, const char* column) {
      return parts * tokens * payload.value() / row.number(column) * 1e-3;
    };
    cases.add_both(
        ranks == 8 ? "C01" : "C02", "DeepEP normal, H800",
        fmt::format("EP{}, {:.0f} tokens ({})", ranks, tokens, row.text("version")),
        exchange.time(normal_copies(ranks), exchange.gpu().dispatch_normal, tokens, kFp8), us(kFp8, "dispatch_GBps"),
        exchange.time(normal_copies(ranks), exchange.gpu().combine_normal, tokens, kBf16), us(kBf16, "combine_GBps"));
  });
}

/// C04 with NVLink, C06 over RDMA alone: there every GPU is a node to the others.
void add_low_latency_h800(Cases& cases) {
  cases.read("data/ground_truth/deepep_low_latency.csv", [&](const MeasuredRow& row) {
    const int ranks = static_cast<int>(row.number("ep"));
    const bool nvlink = row.text("version").find("NVLink-assisted") != std::string_view::npos;
    const double tokens = row.number("tokens_per_rank");
    const Exchange exchange{"h800-sxm", ranks, nvlink ? 8 : 1};
    cases.add_both(
        nvlink ? "C04" : "C06", nvlink ? "DeepEP low latency with NVLink, H800" : "DeepEP low latency over RDMA, H800",
        fmt::format("EP{}, {:.0f} tokens", ranks, tokens),
        exchange.time(CopyRule::per_expert, exchange.gpu().dispatch, tokens, kFp8), row.number("dispatch_us"),
        exchange.time(CopyRule::per_expert, exchange.gpu().combine, tokens, kBf16), row.number("combine_us"));
  });
}

/// C08 and its whole table: low-latency kernels on 1, 2 and 4 nodes.
void add_low_latency(Cases& cases, const std::string& gpu, const std::string& file) {
  const std::string name = gpu.substr(0, gpu.find('-'));
  cases.read(file, [&](const MeasuredRow& row) {
    const int nodes = static_cast<int>(row.number("node_num"));
    const double tokens = row.number("num_token");
    if (!is_v3(row) || tokens > 1024) return;  // beyond 1024 a low-latency buffer is not used
    const Exchange exchange{gpu, 8 * nodes, 8};
    cases.add_both(
        "C08", fmt::format("DeepEP low latency, {}, {} node{}", name, nodes, nodes == 1 ? "" : "s"),
        fmt::format("EP{}, {:.0f} tokens", 8 * nodes, tokens),
        exchange.time(CopyRule::per_expert, exchange.gpu().dispatch, tokens, kFp8), row.number("dispatch_avg_t_us"),
        exchange.time(CopyRule::per_expert, exchange.gpu().combine, tokens, kBf16), row.number("combine_avg_t_us"));
  });
}

/// The catalogue's normal mode has 20 SMs. Across nodes they forward over NVLink in proportion to their number (the
/// tables' 8, 16, 20 and 24 SMs on two nodes); inside a node 20 are as quick as 24.
CollectiveParameters with_sms(CollectiveParameters parameters, double sms) {
  parameters.nvlink_efficiency_inter = std::min(1.0, parameters.nvlink_efficiency_inter * sms / 20);
  return parameters;
}

/// C10 and the tables around it, transmit and notify; 20 SMs are what the catalogue was fitted to, 24 what C10 names.
void add_normal_h100(Cases& cases, const std::string& file, bool one_node) {
  cases.read(file, [&](const MeasuredRow& row) {
    const int nodes = static_cast<int>(row.number("node_num"));
    const double tokens = row.number("num_token"), sms = row.number("dispatch_sms");
    if (!is_v3(row) || (nodes == 1) != one_node || tokens < 16 || (sms != 20 && sms != 24)) return;
    const Exchange exchange{"h100-sxm", 8 * nodes, 8};
    const CopyRule rule = normal_copies(8 * nodes);
    cases.add_both("C10", fmt::format("DeepEP normal, h100, {} node{}, {:.0f} SMs", nodes, nodes == 1 ? "" : "s", sms),
                   fmt::format("EP{}, {:.0f} tokens", 8 * nodes, tokens),
                   exchange.time(rule, with_sms(exchange.gpu().dispatch_normal, sms), tokens, kFp8),
                   row.number("dispatch_transmit_us") + row.number("dispatch_notify_us"),
                   exchange.time(rule, with_sms(exchange.gpu().combine_normal, sms), tokens, kBf16),
                   row.number("combine_transmit_us") + row.number("combine_notify_us"));
  });
}

/// C18 at 512 MiB, and the same collectives over all sizes.
void add_nccl(Cases& cases) {
  cases.read("data/ground_truth/nccl_intranode_derived.csv", [&](const MeasuredRow& row) {
    if (row.text("nccl_version") != "2.29.2" || row.number("gpus") != 8) return;
    const bool h100 = row.text("system") == "h100_sxm";
    const Exchange exchange{h100 ? "h100-sxm" : "b200-sxm", 8, 8};
    const std::string op{row.text("op")};
    const Bytes message{row.number("bytes")};
    const Seconds predicted = op == "all_reduce" ? exchange.all_reduce(message)
                              : op == "alltoall" ? exchange.pairwise(message)
                                                 : exchange.all_gather(message);
    const bool largest = message == 512_MiB;
    const std::string gpu = h100 ? "h100" : "b200";
    cases.add("C18",
              largest             ? fmt::format("NCCL at 512 MiB, {}", gpu)
              : message < 128_KiB ? fmt::format("NCCL {} below 128 KiB, {}", op, gpu)
                                  : fmt::format("NCCL {} 128 KiB-256 MiB, {}", op, gpu),
              fmt::format("{} of {:.0f} B on 8", op, message.value()), predicted,
              microseconds(row.number("time_us_measured")), false);
  });
}

/// C20: bus bandwidth of an all-to-all over EFA; "peak" is at the largest sizes.
void add_efa(Cases& cases) {
  cases.read("data/ground_truth/aws_ep_backends.csv", [&](const MeasuredRow& row) {
    const int ranks = static_cast<int>(row.number("ranks"));
    const Bytes message = row.text("mode") == "peak" ? 16_GiB : 64_MiB;
    const double bus = row.number("value") * 1e9;
    cases.add("C20", "NCCL all-to-all over EFA, h100", fmt::format("{} ranks, {}", ranks, row.text("mode")),
              Exchange{"h100-sxm", ranks, 8}.pairwise(message), Seconds{(ranks - 1.0) / ranks * message.value() / bus},
              true);
  });
}

/// C23: bf16 both ways.
void add_one_sided(Cases& cases) {
  cases.read("data/ground_truth/trtllm_alltoall_gb200.csv", [&](const MeasuredRow& row) {
    const int ranks = static_cast<int>(row.number("ep"));
    const double tokens = row.number("batch_per_rank");
    const Exchange exchange{"gb200-nvl72", ranks, 72};
    cases.add_both(
        "C23", fmt::format("TensorRT-LLM one-sided, GB200, EP{}", ranks),
        fmt::format("EP{}, {:.0f} tokens", ranks, tokens),
        exchange.time(CopyRule::per_rank, exchange.gpu().dispatch_one_sided, tokens, kBf16), row.number("dispatch_us"),
        exchange.time(CopyRule::per_rank, exchange.gpu().combine_one_sided, tokens, kBf16), row.number("combine_us"));
  });
}

std::vector<double> absolute_errors(const std::vector<CollectiveCase>& cases) {
  std::vector<double> errors;
  for (const CollectiveCase& one : cases) errors.push_back(std::abs(one.error()));
  std::sort(errors.begin(), errors.end());
  return errors;
}

}  // namespace

std::vector<CollectiveCase> collective_cases(const std::filesystem::path& shared) {
  const std::string h100 = "data/kernels/h100_sxm/comm/sglang/", b200 = "data/kernels/b200_sxm/comm/sglang/";
  Cases cases{shared};
  add_normal_h800(cases);
  add_low_latency_h800(cases);
  add_low_latency(cases, "h100-sxm", h100 + "0.5.6.post2/wideep_deepep_ll_perf.csv.gz");
  add_low_latency(cases, "b200-sxm", b200 + "0.5.12/wideep_deepep_ll_perf.csv.gz");
  add_normal_h100(cases, h100 + "0.5.12/wideep_deepep_normal_perf.csv.gz", true);
  add_normal_h100(cases, h100 + "0.5.6.post2/wideep_deepep_normal_perf.csv.gz", false);
  add_nccl(cases);
  add_efa(cases);
  add_one_sided(cases);
  return cases.take();
}

double median_error(const std::vector<CollectiveCase>& cases) {
  const auto errors = absolute_errors(cases);
  return errors.empty() ? 0 : errors[errors.size() / 2];
}

double mean_error(const std::vector<CollectiveCase>& cases) {
  const auto errors = absolute_errors(cases);
  return errors.empty() ? 0 : std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(errors.size());
}

double worst_error(const std::vector<CollectiveCase>& cases) {
  const auto errors = absolute_errors(cases);
  return errors.empty() ? 0 : errors.back();
}

}  // namespace moesim::bench
