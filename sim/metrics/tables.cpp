#include "sim/metrics/tables.hpp"

#include <iterator>

#include <fmt/format.h>

#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

double ms(Seconds value) {
  return value.value() * 1e3;
}

}  // namespace

std::string steps_csv(const Summary& summary) {
  std::string text = "step,start_ms,took_ms,tokens\n";
  for (const StepRow& row : summary.steps)
    fmt::format_to(std::back_inserter(text), "{},{:.6f},{:.6f},{}\n", row.step, ms(row.start), ms(row.took),
                   row.tokens);
  return text;
}

std::string experts_csv(const Summary& summary) {
  std::string text = "layer,expert,slot,gpu,tokens\n";
  for (const ExpertUse& use : summary.experts) {
    const std::string gpu = use.gpu < 0 ? "all" : summary.gpu_table[static_cast<std::size_t>(use.gpu)].name;
    fmt::format_to(std::back_inserter(text), "{},{},{},{},{}\n", use.layer, use.expert, use.slot, gpu, use.tokens);
  }
  return text;
}

std::string gpus_csv(const Summary& summary) {
  std::string text = "gpu,tokens";
  for (int c = 0; c < kCauses; ++c) text += fmt::format(",{}_ms", name_of(static_cast<Cause>(c)));
  text += ",wait_ms,gating_share\n";
  for (const GpuUse& use : summary.gpu_table) {
    text += fmt::format("{},{}", use.name, use.tokens);
    for (const Seconds busy : use.busy) fmt::format_to(std::back_inserter(text), ",{:.6f}", ms(busy));
    fmt::format_to(std::back_inserter(text), ",{:.6f},{:.6f}\n", ms(use.wait), use.gating_share);
  }
  return text;
}

std::string links_csv(const Summary& summary) {
  std::string text = "link,tier,bytes,busy_share,peak_share\n";
  for (const LinkUse& use : summary.links)
    fmt::format_to(std::back_inserter(text), "{},{},{:.0f},{:.6f},{:.6f}\n", use.name, use.tier, use.bytes.value(),
                   use.busy_share, use.peak_share);
  return text;
}

std::string requests_csv() {
  return "request,arrival_s,input_tokens,output_tokens,ttft_ms,tpot_ms,e2e_ms\n";
}

}  // namespace moesim
