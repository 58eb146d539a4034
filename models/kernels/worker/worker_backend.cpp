#include "models/kernels/worker/worker_backend.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/kernels/worker/worker_process.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

using nlohmann::json;

constexpr int kProtocol = 1;

KernelFormat format_named(const std::string& name) {
  const std::vector<std::string> names = kernel_format_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw RunError{"the unknown format '" + name + "'"};
  return static_cast<KernelFormat>(found - names.begin());
}

/// A positive, finite number.
double amount(const json& value) {
  const double number = value.get<double>();
  if (!std::isfinite(number) || number <= 0) throw RunError{fmt::format("{}, which is no positive number", number)};
  return number;
}

std::vector<Seconds> seconds(const json& list, int calls) {
  std::vector<Seconds> times;
  for (const json& time : list) times.emplace_back(amount(time));
  if (static_cast<int>(times.size()) != calls)
    throw RunError{fmt::format("{} times for {} calls", times.size(), calls)};
  return times;
}

OperationPoint operation(const json& part) {
  OperationPoint point;
  point.operation = part.at("operation");
  point.kernel = part.at("kernel");
  point.format = format_named(part.at("format"));
  point.sizes = part.at("sizes").get<std::map<std::string, std::int64_t>>();
  point.moved = Bytes{part.at("bytes").get<double>()};
  point.work = Flops{part.at("flop").get<double>()};
  return point;
}

class WorkerBackend final : public ExpertBackend {
public:
  WorkerBackend(const std::vector<std::string>& command, Seconds patience)
      : name_{command.front()}, patience_{patience}, worker_{command} {
    understand("start", worker_.hear(patience_), [&](const json& greeting) { read_greeting(greeting); });
  }

  ProfileDevice device() const override { return device_; }
  std::vector<LibraryVersion> libraries() const override { return libraries_; }
  std::vector<std::string> notes() const override { return notes_; }
  std::vector<KernelFormat> formats() const override { return formats_; }
  std::vector<OperationPoint> operations() const override { return operations_; }

  std::vector<std::string> closing_notes() override {
    std::vector<std::string> notes;
    ask({{"do", "close"}}, [&](const json& answer) { notes = answer.at("notes").get<std::vector<std::string>>(); });
    return notes;
  }

  BytesPerSecond measure_copy() override {
    BytesPerSecond rate;
    ask({{"do", "copy_rate"}}, [&](const json& answer) { rate = BytesPerSecond{amount(answer.at("bytes_per_s"))}; });
    return rate;
  }

  std::vector<FormatRate> measure_gemm(KernelFormat format) override {
    std::vector<FormatRate> rates;
    ask({{"do", "gemm_rate"}, {"format", name_of(format)}}, [&](const json& answer) {
      for (const json& rate : answer.at("rates"))
        rates.push_back({format, FlopsPerSecond{amount(rate.at("flop_per_s"))}, rate.at("kernel")});
      if (rates.empty()) throw RunError{"no rate"};
    });
    return rates;
  }

  Bytes memory_needed(const KernelShape& shape, std::int64_t rows, std::int32_t /*most*/) const override {
    constexpr double kActivation = 2;  // bf16: x, the middle, y
    const double activations = kActivation * static_cast<double>(rows) * (2.0 * shape.hidden + shape.intermediate);
    return std::max(pool_, static_cast<double>(shape.experts) * expert_weights(shape)) + Bytes{activations};
  }

  void prepare(const KernelShape& shape) override {
    ask({{"do", "prepare"},
         {"hidden", shape.hidden},
         {"intermediate", shape.intermediate},
         {"experts", shape.experts},
         {"format", name_of(shape.format)}},
        [](const json& answer) {
          if (answer.at("prepared") != true) throw RunError{"not prepared"};
        });
  }

  KernelRun run(std::span<const std::int32_t> rows_per_expert, int calls, Caches caches) override {
    KernelRun result;
    ask({{"do", "run"},
         {"rows", std::vector<std::int32_t>(rows_per_expert.begin(), rows_per_expert.end())},
         {"calls", calls},
         {"caches", caches == Caches::cold ? "cold" : "warm"}},
        [&](const json& answer) {
          result.kernel = answer.at("kernel");
          result.times = seconds(answer.at("seconds"), calls);
        });
    return result;
  }

  std::vector<Seconds> run_operation(std::size_t index, int calls) override {
    std::vector<Seconds> times;
    ask({{"do", "operation"}, {"index", index}, {"calls", calls}},
        [&](const json& answer) { times = seconds(answer.at("seconds"), calls); });
    return times;
  }

  std::vector<VerifiedKernel> verify(std::uint64_t seed) override {
    std::vector<VerifiedKernel> kernels;
    ask({{"do", "verify"}, {"seed", seed}}, [&](const json& answer) {
      for (const json& one : answer.at("verified")) {
        const json& error = one.at("relative_error");
        kernels.push_back({one.at("kernel"),
                           error.is_null() ? std::numeric_limits<double>::infinity() : error.get<double>(),
                           one.at("tolerance").get<double>()});
      }
    });
    return kernels;
  }

private:
  template <class Read>
  void ask(const json& request, const Read& read) {
    worker_.tell(request.dump());
    understand(request.at("do"), worker_.hear(patience_), read);
  }

  /// Reads an answer, or says what is wrong with it.
  template <class Read>
  void understand(const std::string& request, const std::string& line, const Read& read) {
    std::string wrong;
    try {
      const json answer = json::parse(line);
      if (!answer.contains("error")) return read(answer);
      if (answer.at("error") == "out_of_memory") throw std::bad_alloc{};
      if (answer.at("error") == "no_kernel") throw KernelMissing{answer.at("text").get<std::string>()};
      wrong = answer.at("error").get<std::string>();
    } catch (const json::exception& error) {
      wrong = error.what();
    } catch (const RunError& error) {
      wrong = error.what();
    }
    constexpr std::size_t kShown = 60;
    throw RunError{fmt::format("{} answered '{}' with '{}': {}", name_, request, line.substr(0, kShown), wrong)};
  }

  void read_greeting(const json& greeting) {
    if (greeting.at("protocol") != kProtocol)
      throw RunError{fmt::format("protocol {}, expected {}", greeting.at("protocol").dump(), kProtocol)};
    const json& device = greeting.at("device");
    device_ = {DeviceKind::cuda,
               device.at("name"),
               device.at("processors"),
               Bytes{amount(device.at("memory_bytes"))},
               Bytes{amount(device.at("last_level_cache_bytes"))},
               {},
               {}};
    pool_ = Bytes{amount(greeting.at("pool_bytes"))};
    for (const json& name : greeting.at("formats")) formats_.push_back(format_named(name));
    if (formats_.empty()) throw RunError{"no format"};
    for (const json& library : greeting.at("libraries"))
      libraries_.push_back({library.at("name"), library.at("version")});
    notes_ = greeting.at("notes").get<std::vector<std::string>>();
    for (const json& part : greeting.at("operations")) operations_.push_back(operation(part));
  }

  std::string name_;
  Seconds patience_;
  WorkerProcess worker_;
  ProfileDevice device_;
  Bytes pool_;
  std::vector<KernelFormat> formats_;
  std::vector<LibraryVersion> libraries_;
  std::vector<std::string> notes_;
  std::vector<OperationPoint> operations_;
};

}  // namespace

std::unique_ptr<ExpertBackend> make_worker_backend(const std::vector<std::string>& command, Seconds patience) {
  return std::make_unique<WorkerBackend>(command, patience);
}

}  // namespace moesim
