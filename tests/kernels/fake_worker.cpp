// Speaks the protocol of models/kernels/worker without a device: every expert with rows takes 10 us (2.5 us in mxfp4)
// and 1 us a row.
// MOESIM_FAKE_WORKER (or the first argument) says what goes wrong, from the fifth run on where not at the start.

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace {

using nlohmann::json;

json greeting(const std::string& fault) {
  return {{"protocol", fault == "protocol" ? 7 : 1},
          {"device", {{"name", "Toy GPU"}, {"processors", 4}, {"memory_bytes", 64e9}, {"last_level_cache_bytes", 1e6}}},
          {"pool_bytes", 1e9},
          {"formats", {"bf16", "mxfp4"}},
          {"libraries", {{{"name", "toy driver"}, {"version", "1.0"}}}},
          {"notes", {"a toy"}},
          {"operations",
           {{{"operation", "gqa_decode"},
             {"kernel", "toy_attention"},
             {"format", "bf16"},
             {"sizes", {{"batch", 2}, {"length", 64}}},
             {"bytes", 1e6},
             {"flop", 1e6}}}}};
}

struct State {
  std::string format;  ///< prepared
  int runs = 0;
};

json run(const json& request, const std::string& fault, const State& state) {
  constexpr int kGoodRuns = 4;
  const int calls = request.at("calls");
  for (const int rows : request.at("rows"))
    if (fault == "decode_only" && rows > 64) return {{"error", "no_kernel"}, {"text", "no bf16 kernel takes 65 rows"}};
  const double weights = state.format == "mxfp4" ? 2.5e-6 : 1e-5;
  if (fault == "slow") ::usleep(20'000);
  double time = 0;
  for (const int rows : request.at("rows")) time += rows > 0 ? weights + 1e-6 * rows : 0;
  if (state.runs > kGoodRuns) {
    if (fault == "dies") std::raise(SIGKILL);
    if (fault == "ends") {
      std::cerr << "first line\nthe device fell off the bus\n";
      std::exit(3);
    }
    if (fault == "hangs") ::sleep(1000);
    if (fault == "rubbish") return "4 8 15 16 23 42";
    if (fault == "negative") time = -1;
    if (fault == "error") return {{"error", "kernels: an illegal memory access was encountered"}};
    if (fault == "endless") {
      for (const std::string part(1 << 20, 'x');;) std::cout << part << std::flush;
    }
  }
  return {{"kernel", "toy_mma"}, {"seconds", std::vector<double>(static_cast<std::size_t>(calls), time)}};
}

json answer(const json& request, const std::string& fault, State& state) {
  const std::string what = request.at("do");
  if (what == "copy_rate") return {{"bytes_per_s", 1e12}};
  if (what == "gemm_rate")
    return {
        {"rates", {{{"kernel", "toy_library"}, {"flop_per_s", 1e12}}, {{"kernel", "toy_mma"}, {"flop_per_s", 5e11}}}}};
  if (what == "prepare") {
    if (fault == "out_of_memory" && request.at("experts") > 4) return {{"error", "out_of_memory"}};
    state.format = request.value("format", "");
    return {{"prepared", true}};
  }
  if (what == "run") {
    ++state.runs;
    return run(request, fault, state);
  }
  if (what == "operation") return {{"seconds", std::vector<double>(request.at("calls").get<std::size_t>(), 2e-6)}};
  if (what == "close") return {{"notes", {"the toy stayed cool"}}};
  if (what == "verify") {
    const json wrong = fault == "wrong" ? json{} : json(1e-3);
    return {{"verified", {{{"kernel", "toy_mma gemm 1"}, {"relative_error", wrong}, {"tolerance", 4e-3}}}}};
  }
  return {{"error", "the unknown request " + what}};
}

}  // namespace

int main(int argc, char** argv) {
  const char* variable = std::getenv("MOESIM_FAKE_WORKER");
  const std::string fault = argc > 1 ? argv[1] : variable != nullptr ? variable : "";
  if (fault == "no_device") {
    std::cerr << "no CUDA device: the toy is not plugged in\n";
    return 77;
  }
  if (fault == "silent") ::sleep(1000);
  std::cout << greeting(fault) << std::endl;
  State state;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(json::parse(line), fault, state) << std::endl;
}
