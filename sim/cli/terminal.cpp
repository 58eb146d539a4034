#include "sim/cli/terminal.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "models/units/text.hpp"
#include "sim/metrics/kernel_remarks.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/remedies.hpp"

namespace moesim {
namespace {

std::string verdict(bool good, bool colour, const char* yes, const char* no) {
  const char* word = good ? yes : no;
  return colour ? fmt::format("\x1b[{}m{}\x1b[0m", good ? 32 : 31, word) : word;
}

/// "kernels published, h100-sxm (trtllm 1.3.0rc10): by their error alone the step is ± 9 % (one sigma), most of it from
/// expert".
std::string kernel_line(const Summary& summary) {
  if (!summary.uncertainty) return fmt::format("kernels {}: estimates, no measured profile", summary.kernel_source);
  return fmt::format("kernels {}, {}: by their error alone the step is ± {:.0f} % (one sigma), most of it from {}",
                     summary.kernel_source, summary.profile, 100 * summary.uncertainty->sigma,
                     summary.uncertainty->most_from);
}

std::string throughput_line(const Summary& summary) {
  const bool decode = summary.output_tokens_per_s.has_value();
  const double rate = decode ? *summary.output_tokens_per_s : summary.total_tokens_per_s;
  const auto& known = summary.uncertainty;
  const std::string range =
      known ? fmt::format(" (10 to 90 %: {} to {})", human(known->step_p10), human(known->step_p90)) : std::string{};
  return fmt::format("step {}{}     {} {} tok/s per GPU, {} tok/s", human(summary.step.mean), range,
                     decode ? "output" : "input", rate_words(rate / summary.gpus), rate_words(rate));
}

std::string memory_line(const MemoryFit& fit, bool colour) {
  return fmt::format("memory {:.1f} of {:.1f} GiB usable   {}     KV cache of at most {} tokens per attention rank",
                     gibibytes(fit.needed), gibibytes(fit.capacity), verdict(fit.fits, colour, "ok", "does not fit"),
                     with_commas(fit.kv_tokens_capacity));
}

std::string critical_path_line(const Summary& summary) {
  std::vector<int> order(kCauses);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return summary.critical_path[static_cast<std::size_t>(a)] > summary.critical_path[static_cast<std::size_t>(b)];
  });
  std::string text = "where the step goes ";
  for (const int cause : order) {
    const double share = summary.critical_path[static_cast<std::size_t>(cause)];
    constexpr double kVisible = 0.005;
    if (share < kVisible) continue;
    text += fmt::format("   {} {:.0f} %", words_of(static_cast<Cause>(cause)), 100 * share);
  }
  return text;
}

std::string imbalance_line(const Summary& summary) {
  std::string text = fmt::format("max/mean load          expert {:.2f}   GPU {:.2f}", summary.expert_imbalance->mean,
                                 summary.gpu_imbalance->mean);
  if (summary.nic_imbalance) text += fmt::format("   NIC {:.2f}", summary.nic_imbalance->mean);
  const ImbalanceCost& cost = summary.imbalance_cost;
  text += fmt::format(
      "\n  imbalance costs        {:.1f} % of the step ({})     uneven experts {:.1f} %   links {:.1f} %   batches "
      "{:.1f} %",
      100 * cost.total(), human(cost.total() * summary.step.mean), 100 * cost.experts, 100 * cost.links,
      100 * cost.batches);
  return cost.slow_gpus > 0 ? text + fmt::format("   slow GPUs {:.1f} %", 100 * cost.slow_gpus) : text;
}

std::string capacity_line(const CapacityUse& use) {
  const auto share = [&](std::int64_t part) {
    return use.wanted > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(use.wanted) : 0.0;
  };
  return fmt::format("capacity {:<13} {} per {}: {:.2f} % dropped   {:.2f} % to a backup   {} empty places{}",
                     fmt::format("x {:g}", use.factor), use.policy, use.scope, share(use.dropped), share(use.rerouted),
                     with_commas(use.places - (use.wanted - use.dropped)), use.padded ? ", padded" : "");
}

std::string offload_line(const OffloadUse& use, std::size_t steps) {
  const double hits = use.wanted > 0 ? 1 - use.missed / static_cast<double>(use.wanted) : 1;
  return fmt::format(
      "offload                {} at {}: {} resident per layer, {:.1f} % of wanted experts hit, {} a step", use.to,
      human(use.bandwidth), use.resident, 100 * hits, human(use.bytes / static_cast<double>(steps)));
}

/// "1-3, 7"
std::string ranges(const std::vector<std::size_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t first = numbers[i];
    while (i + 1 < numbers.size() && numbers[i + 1] == numbers[i] + 1) ++i;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", first);
    if (numbers[i] > first) text += fmt::format("-{}", numbers[i]);
  }
  return text;
}

std::string hotspot_line(const Hotspot& spot, const Summary& summary) {
  const bool is_part = spot.kind == Hotspot::Kind::gpu || spot.kind == Hotspot::Kind::link;  // others say what they are
  return fmt::format("{}{}: costs {:.1f} % of the step ({}); {}", is_part ? fmt::format("{} ", name_of(spot.kind)) : "",
                     spot.id, 100 * spot.share_of_time, human(spot.share_of_time * summary.step.mean), spot.reason);
}

constexpr std::size_t kShownHotspots = 3;

/// Hotspots with one remedy share its line.
std::string remedy_lines(const Summary& summary) {
  std::string text;
  const auto& spots = summary.hotspots;
  for (std::size_t first = 0; first < spots.size(); ++first) {
    const Hotspot& spot = spots[first];
    if (spot.advice.empty() || (first >= kShownHotspots && spot.gain_note.empty())) continue;
    const auto same = [&](const Hotspot& other) { return other.advice == spot.advice && other.set == spot.set; };
    if (std::any_of(spots.begin(), spots.begin() + static_cast<std::ptrdiff_t>(first), same)) continue;
    std::vector<std::size_t> numbers;
    for (std::size_t i = first; i < spots.size(); ++i)
      if (same(spots[i])) numbers.push_back(i + 1);
    text += fmt::format("  {:<10} {}  {}{}{}\n", text.empty() ? "remedies" : "", ranges(numbers), spot.advice,
                        spot.set.empty() ? "" : ":", as_options(spot.set));
    if (!spot.gain_note.empty()) text += fmt::format("               -> {}\n", spot.gain_note);
  }
  const bool any_tried =
      std::any_of(spots.begin(), spots.end(), [](const Hotspot& of) { return !of.gain_note.empty(); });
  if (!text.empty() && !any_tried)
    text += "             not tried: they may cost more than they save; --remedies N reruns with them\n";
  return text;
}

std::string hotspot_lines(const Summary& summary) {
  if (summary.hotspots.empty()) return "  hotspots               none above 0.1 % of the step\n";
  std::string text;
  const std::size_t all = summary.hotspots.size();
  for (std::size_t i = 0; i < std::min(kShownHotspots, all); ++i)
    text +=
        fmt::format("  {:<10} {}  {}\n", i == 0 ? "hotspots" : "", i + 1, hotspot_line(summary.hotspots[i], summary));
  if (all > kShownHotspots) text += fmt::format("             ... {} more in summary.json\n", all - kShownHotspots);
  return text + remedy_lines(summary);
}

/// What the audit found, as it reads on the second line.
std::string audit_line(const std::optional<Audit>& audit) {
  if (!audit) return "audit none (--audit N)";
  std::string text = fmt::format("audit {} layer{}:", audit->sampled, audit->sampled == 1 ? "" : "s");
  if (audit->sampling) text += fmt::format(" token/run {:.3f},", 1 + audit->sampling->mean);
  if (audit->sharing)
    text += fmt::format(" flows/fluid {:.3f}, worst {:.3f},", 1 + audit->sharing->mean, 1 + audit->sharing->worst);
  if (audit->staggered)
    text += fmt::format(" early starts {:.3f},", 1 + audit->staggered->mean);
  else if (audit->bracket)
    text += fmt::format(" early starts within {:.1f} %,", 100 * *audit->bracket);
  text.pop_back();
  return text;
}

constexpr auto kOneDraw = "; one layer is one draw, so this may be chance: --audit 8 gives an interval";

/// Nothing unless the audit found that the run starts its combines too late.
std::string start_warning(const Audit& audit) {
  if (!audit.staggered || std::abs(audit.staggered->mean) <= kStartTolerance) return "";
  return fmt::format(
      "  warning: {} of {} audited combines end {:.1f} % sooner when ranks need not wait for the last, as they do "
      "here{}\n",
      audit.escalated, audit.sampled, -100 * audit.staggered->mean, audit.sampled == 1 ? kOneDraw : "");
}

/// A single layer that an independent draw makes much longer or shorter says little; several have an interval.
std::string draw_warning(const Audit& audit) {
  constexpr double kMuch = 0.01;
  if (audit.sampled != 1 || !audit.sampling || std::abs(audit.sampling->mean) <= kMuch) return "";
  return fmt::format("  warning: the audited layer takes {:+.1f} % in an independent draw{}\n",
                     100 * audit.sampling->mean, kOneDraw);
}

std::string slo_lines(const Summary& summary, bool colour) {
  std::string text;
  for (const auto& item : summary.slo) {
    if (item.reached)
      text += fmt::format("  {} p99 {} <= {}   {}\n", item.name, human(*item.reached), human(item.limit),
                          verdict(item.met, colour, "ok", "missed"));
    else
      text += fmt::format("  {} p99 <= {}   not judged: this batch run does not express {}\n", item.name,
                          human(item.limit), item.name);
  }
  return text;
}

}  // namespace

bool wants_colour() {
  return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
}

std::optional<std::size_t> terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return size.ws_col;
}

std::string printable(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool is_c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;  // UTF-8 of U+0080 to U+009F
    if (is_c1)
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
    else if (byte < ' ' || byte == 0x7F)
      shown += fmt::format("\\x{:02x}", byte);
    else
      shown += text[i];
  }
  return shown;
}

std::string memory_table(const MemoryFit& fit, bool colour) {
  std::string text = "  memory of the fullest GPU\n";
  for (const MemoryLine& line : fit.lines)
    text += fmt::format("    {:<28}{:>10}   {}\n", line.name, human(line.bytes), line.formula);
  text += fmt::format("    {:<28}{:>10}   of {} usable: {} x memory_fraction {:g}\n", "sum", human(fit.needed),
                      human(fit.capacity), human(fit.device), fit.capacity / fit.device);
  return text + "  " + memory_line(fit, colour) + "\n";
}

std::string note_lines(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += fmt::format("  note   {}\n", note);
  return text;
}

std::string terminal_summary(const Summary& summary, bool colour) {
  std::string text = printable(summary.headline) + "\n";
  text += fmt::format("{}     {}\n\n", kernel_line(summary), audit_line(summary.audit));
  if (summary.audit) text += start_warning(*summary.audit) + draw_warning(*summary.audit);
  for (const std::string& line : kernel_remarks(summary.kernels)) text += fmt::format("  warning: {}\n", line);
  text += "  " + throughput_line(summary) + "\n";
  text += "  " + memory_line(summary.memory, colour) + "\n";
  text += slo_lines(summary, colour);
  text += "  " + critical_path_line(summary) + "\n";
  if (summary.expert_imbalance) text += "  " + imbalance_line(summary) + "\n";
  if (summary.capacity) text += "  " + capacity_line(*summary.capacity) + "\n";
  if (summary.offload) text += "  " + offload_line(*summary.offload, summary.steps.size()) + "\n";
  if (summary.quality_penalty)
    text += fmt::format("  quality penalty        {:.4g}, as given and weighed by load\n", *summary.quality_penalty);
  text += hotspot_lines(summary);
  for (const auto& [key, value] : summary.chosen) text += fmt::format("  auto   {} = {}\n", key, value);
  return text + note_lines(summary.remarks);
}

}  // namespace moesim
