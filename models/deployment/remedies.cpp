// Ways out of a memory misfit. Every suggestion has been fitted before it is made.

#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include "models/deployment/rank_share.hpp"
#include "models/deployment/remedy_levers.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

constexpr std::size_t kRemedies = 3;

using Lever = std::vector<Variant> (*)(const Misfit&, const Variant&);

Variant variant_of(const MemoryInputs& in) {
  return {in.precision, in.layout, in.gpu, slots_of_rank(in), in.batch, in.memory_fraction, {}};
}

/// In the order in which they are offered and combined; the last two need the rest decided, as they bisect.
constexpr std::array<Lever, 7> kLevers{larger_share,  fewer_bits,    more_gpus,      larger_gpu,
                                       smaller_cache, smaller_batch, shorter_context};

/// The first variants that fit when each lever of the set is pulled, mildest options first; as many as are ever shown.
void pull(const Misfit& misfit, const Variant& v, unsigned set, std::vector<Variant>& found) {
  if (found.size() >= kRemedies) return;
  if (set == 0) {
    if (fit_of(misfit.in, v).fits) found.push_back(v);
    return;
  }
  const auto lever = static_cast<unsigned>(std::countr_zero(set));
  for (const Variant& option : kLevers[lever](misfit, v)) pull(misfit, option, set & (set - 1), found);
}

/// Sets of levers, smaller ones first, then in the order of the levers.
std::vector<unsigned> lever_sets() {
  std::vector<unsigned> sets;
  for (unsigned set = 1; set < 1u << kLevers.size(); ++set) sets.push_back(set);
  std::stable_sort(sets.begin(), sets.end(),
                   [](unsigned a, unsigned b) { return std::popcount(a) < std::popcount(b); });
  return sets;
}

using Ways = std::vector<std::vector<Variant>>;

/// The sets that help, each with its options: first those of which no smaller part helps, then, if too few, the rest.
Ways ways_out(const Misfit& misfit) {
  Ways ways;
  std::vector<unsigned> helped;
  for (bool enlarged : {false, true}) {
    const std::vector<unsigned> parts = helped;
    for (unsigned set : lever_sets()) {
      if (ways.size() >= kRemedies) return ways;
      const auto& smaller = enlarged ? parts : helped;
      const bool part_helps =
          std::any_of(smaller.begin(), smaller.end(), [&](unsigned part) { return (set & part) == part; });
      if (part_helps != enlarged || std::find(helped.begin(), helped.end(), set) != helped.end()) continue;
      std::vector<Variant> options;
      pull(misfit, variant_of(misfit.in), set, options);
      if (options.empty()) continue;
      ways.push_back(std::move(options));
      helped.push_back(set);
    }
  }
  return ways;
}

std::vector<Gpu> catalogue_by_memory() {
  std::vector<Gpu> gpus;
  for (const std::string& name : gpu_names()) gpus.push_back(find_gpu(name, "cluster.gpu"));
  std::stable_sort(gpus.begin(), gpus.end(), [](const Gpu& a, const Gpu& b) { return a.memory < b.memory; });
  return gpus;
}

std::string sentence(const MemoryInputs& in, const Variant& v) {
  const MemoryFit fit = fit_of(in, v);
  return fmt::format("{}: {} of {} per GPU", fmt::join(v.changes, ", and "), human(fit.needed), human(fit.capacity));
}

}  // namespace

std::vector<std::string> memory_remedies(const MemoryInputs& in, const MemoryFit& fit) {
  std::vector<std::string> remedies;
  if (fit.fits) return remedies;
  const Ways ways = ways_out({in, catalogue_by_memory()});
  std::size_t most_options = 0;
  for (const auto& options : ways) most_options = std::max(most_options, options.size());
  // Different ways before a second option of the same way.
  for (std::size_t option = 0; option < most_options; ++option)
    for (const auto& options : ways)
      if (option < options.size() && remedies.size() < kRemedies) remedies.push_back(sentence(in, options[option]));
  return remedies;
}

}  // namespace moesim
