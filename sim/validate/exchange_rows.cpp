// Collectives: DeepEP, the one-sided kernels of TensorRT-LLM, NCCL.

#include <fmt/format.h>

#include "models/hardware/gpu.hpp"
#include "sim/validate/exchange_time.hpp"
#include "sim/validate/measured_file.hpp"

namespace moesim {
namespace {

// DeepSeek-V3's routed experts: DeepEP's README tests top-8 of 256.
constexpr int kDeepSeekExperts = 256;

/// Dispatch and combine of one row.
struct Exchange {
  RowExchange question;
  MeasuredCase base;
};

void add(Exchange exchange, Direction direction, NumberFormat payload, double measured, Reading reading,
         std::vector<MeasuredCase>& cases) {
  exchange.question.direction = direction;
  exchange.question.payload = payload;
  MeasuredCase& one = exchange.base;
  one.quantity = direction == Direction::dispatch ? "dispatch" : "combine";
  one.measured = measured;
  one.reading = reading;
  if (one.reason.empty()) one.question = exchange.question;
  cases.push_back(std::move(one));
}

Exchange read_exchange(const CaseRow& row, std::string_view tokens_column, ExchangeKernel kernel) {
  Exchange exchange;
  const std::string gpu = row.text("gpu");
  RowExchange& question = exchange.question;
  question.kernel = kernel;
  question.ranks = row.count("ep");
  question.tokens = row.positive(tokens_column);
  question.hidden = row.count("hidden");
  question.top_k = row.count("topk");
  question.experts = kDeepSeekExperts;
  exchange.base.what = fmt::format("EP{} x {:.0f} tokens", question.ranks, question.tokens);
  if (const auto known = catalogue_gpu(gpu)) {
    question.gpu = *known;
    question.gpus_per_node = find_gpu(*known, "case").gpus_per_node;
  } else {
    exchange.base.reason = fmt::format("GPU {} is not in the catalogue", gpu);
  }
  if (question.top_k > question.experts)
    exchange.base.reason = fmt::format("top-{} of {} experts", question.top_k, question.experts);
  return exchange;
}

/// DeepEP's kernels as its README names them.
void check_precision(const CaseRow& row, Exchange& exchange) {
  if (row.text("precision") != "fp8 dispatch/bf16 combine")
    exchange.base.reason = fmt::format("precision '{}' is not known", row.text("precision"));
}

}  // namespace

void map_normal_exchange_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  Exchange exchange = read_exchange(row, "tokens_per_rank", ExchangeKernel::normal);
  check_precision(row, exchange);
  exchange.base.group = fmt::format("DeepEP normal, {}", row.text("gpu"));
  exchange.base.what += fmt::format(" ({})", row.text("version"));
  exchange.base.unit = "GB/s";
  for (const Direction direction : {Direction::dispatch, Direction::combine}) {
    const bool out = direction == Direction::dispatch;
    const NumberFormat payload = out ? NumberFormat::fp8_block : NumberFormat::bf16;
    const RowExchange& question = exchange.question;
    // Logical bandwidth: every copy counts, one per rank inside a node and one per node across nodes, the local one
    // too.
    const double copies = exchange.base.reason.empty() ? logical_copies(question) : 1;
    const Bytes bytes = question.tokens * copies * vector_bytes_of(question.hidden, payload);
    add(exchange, direction, payload, row.positive(out ? "dispatch_GBps" : "combine_GBps"),
        {bytes.value() * 1e-9, true}, cases);
  }
}

void map_low_latency_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  Exchange exchange = read_exchange(row, "tokens_per_rank", ExchangeKernel::low_latency);
  check_precision(row, exchange);
  const bool rdma_alone = row.text("version").find("pure RDMA") != std::string::npos;
  if (rdma_alone) exchange.question.gpus_per_node = 1;
  exchange.base.group =
      fmt::format("DeepEP low latency {}, {}", rdma_alone ? "over RDMA" : "with NVLink", row.text("gpu"));
  exchange.base.unit = std::string{"us"};
  add(exchange, Direction::dispatch, NumberFormat::fp8_block, row.positive("dispatch_us"), {1e6, false}, cases);
  add(exchange, Direction::combine, NumberFormat::bf16, row.positive("combine_us"), {1e6, false}, cases);
}

void map_one_sided_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  Exchange exchange = read_exchange(row, "batch_per_rank", ExchangeKernel::one_sided);
  exchange.question.experts = row.count("experts");
  const std::string precision = row.text("dispatch_precision");
  if (precision != "bf16" && precision != "fp8")
    exchange.base.reason = fmt::format("precision '{}' is not known", precision);
  if (exchange.base.reason.empty() && exchange.question.ranks > exchange.question.gpus_per_node)
    exchange.base.reason = fmt::format("{} ranks are not in one NVLink domain", exchange.question.ranks);
  exchange.base.group = fmt::format("{}, {}, EP{}", row.text("kernel"), row.text("gpu"), exchange.question.ranks);
  exchange.base.unit = std::string{"us"};
  add(exchange, Direction::dispatch, precision == "fp8" ? NumberFormat::fp8 : NumberFormat::bf16,
      row.positive("dispatch_us"), {1e6, false}, cases);
  add(exchange, Direction::combine, NumberFormat::bf16, row.positive("combine_us"), {1e6, false}, cases);
}

void map_nccl_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  const std::string operation = row.text("op"), system = row.text("system");
  VendorCollective question{.ranks = row.count("gpus"), .message = Bytes{row.positive("bytes")}};
  MeasuredCase one;
  one.quantity = "time";
  one.unit = std::string{"us"};
  one.measured = row.positive("time_us_measured");
  one.reading = {1e6, false};
  const auto gpu = catalogue_gpu(system);
  if (!gpu)
    one.reason = fmt::format("GPU {} is not in the catalogue", system);
  else
    question.gpu = *gpu;
  if (const auto known = vendor_operation(operation))
    question.operation = *known;
  else
    one.reason = fmt::format("operation {} is not known", operation);
  const int most = gpu ? find_gpu(*gpu, "case").gpus_per_node : question.ranks;
  if (question.ranks < 2 || question.ranks > most)
    one.reason = fmt::format("{} GPUs: a node has 2 to {}", question.ranks, most);
  one.group = fmt::format("NCCL {} of {}, {}", operation, question.ranks, gpu ? *gpu : system);
  one.what = fmt::format("{:.0f} bytes, NCCL {}", question.message.value(), row.text("nccl_version"));
  if (one.reason.empty()) one.question = question;
  cases.push_back(std::move(one));
}

void map_efa_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  const std::string backend = row.text("backend"), mode = row.text("mode");
  VendorCollective question{.operation = VendorOperation::all_to_all, .ranks = row.count("ranks")};
  MeasuredCase one;
  one.group = fmt::format("{}, {}", backend, row.text("hardware"));
  one.what = fmt::format("{} ranks, {}", question.ranks, mode);
  one.quantity = "bandwidth";
  one.unit = "GB/s";
  one.measured = row.positive("value");
  const auto gpu = catalogue_gpu(row.text("hardware"));
  if (gpu) question.gpu = *gpu;
  // nccl-tests: "peak" is reached at its largest message, 16 GiB.
  question.message = mode == "peak" ? 16_GiB : 64_MiB;
  if (!gpu)
    one.reason = fmt::format("hardware {} is not in the catalogue", row.text("hardware"));
  else if (backend != "NCCL alltoall_perf")
    one.reason = fmt::format("backend '{}' is not modelled", backend);
  else if (row.text("metric") != "busbw GB/s" || (mode != "peak" && mode != "~64MiB"))
    one.reason = fmt::format("'{}' at '{}' is not understood", row.text("metric"), mode);
  else
    one.question = question;
  one.reading = {(question.ranks - 1.0) / question.ranks * question.message.value() * 1e-9, true};
  cases.push_back(std::move(one));
}

}  // namespace moesim
