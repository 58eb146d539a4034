// Maximum throughput of one replica, whatever batch gives it.

#include <algorithm>

#include <fmt/format.h>

#include "sim/validate/measured_file.hpp"
#include "sim/validate/steady_batch.hpp"

namespace moesim {
namespace {

// TensorRT-LLM's default max_batch_size (its builder and trtllm-bench, 2025).
constexpr int kMostRequests = 2048;
// And of the device: 0.9 of what the weights leave free is its cache.
constexpr double kCacheShare = 0.9;

std::string read_replica(const CaseRow& row, Replica& replica) {
  const std::string layout = row.text("layout"), label = row.text("precision");
  const auto model = zoo_model(row.text("model"));
  if (!model) return fmt::format("model {} is not in the zoo", row.text("model"));
  const auto gpu = catalogue_gpu(row.text("gpu"));
  if (!gpu) return fmt::format("GPU {} is not in the catalogue", row.text("gpu"));
  const Architecture architecture = load_architecture(*model);
  const auto formats = stored_formats(architecture, row.text("model"), "trtllm", label, label);
  if (!formats) return fmt::format("number format {} is not known", label);
  if (!layout.starts_with("TP") || layout.find_first_not_of("0123456789", 2) != std::string::npos || layout.size() < 3)
    return fmt::format("layout '{}' is not understood", layout);
  replica = {
      .model = *model, .gpu = *gpu, .is_moe = architecture.moe.has_value(), .formats = *formats, .engine = "trtllm"};
  replica.attention_tp = replica.expert_tp = std::max(1, std::stoi(layout.substr(2, 4)));
  return {};
}

}  // namespace

void map_throughput_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  const std::string unit = row.text("unit");
  const int prompt = row.count("isl"), answer = row.count("osl");
  Replica replica;
  MeasuredCase one;
  one.quantity = "throughput";
  one.unit = unit.starts_with("output tok/s per GPU") ? "tok/s/GPU" : "tok/s";
  one.measured = row.positive("value");
  one.reason = read_replica(row, replica);
  one.group = fmt::format("{}, {}, trtllm, {}", one.reason.empty() ? replica.model : row.text("model"),
                          one.reason.empty() ? replica.gpu : row.text("gpu"), lowered(row.text("layout")));
  one.what = fmt::format("{}/{}", prompt, answer);
  if (one.reason.empty() && !unit.starts_with("output tok/s per GPU") && !unit.starts_with("tok/s total"))
    one.reason = fmt::format("unit '{}' is not known", unit);
  if (one.reason.empty())
    express(one, [&]() -> std::optional<Question> {
      const int requests = most_requests(replica, prompt + answer, kMostRequests, kCacheShare);
      one.what += fmt::format(" x {}", requests);
      one.reading = {static_cast<double>(requests) / (one.unit == "tok/s" ? 1 : replica.ranks()), true};
      if (requests > 0) return steady_batch({replica, static_cast<double>(requests), prompt, answer});
      one.reason = "not one request fits the memory as moesim counts it";
      return std::nullopt;
    });
  cases.push_back(std::move(one));
}

}  // namespace moesim
