#include <algorithm>

#include <fmt/format.h>

#include "models/units/divisors.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/scenario/build.hpp"

namespace moesim {
namespace {

/// Name of a number format in this table ("fp8_per_tensor" where plain fp8 is short for fp8_block).
std::string weight_format_name(NumberFormat format) {
  for (const Choice& choice : find_key("precision.weights")->choices)
    if (choice.instead.empty() && choice.value == static_cast<int>(format)) return std::string{choice.name};
  return "bf16";
}

/// "4 ranks", and with pipeline stages where they come from.
std::string ranks_text(const Settings& settings, int ranks) {
  const int pp = settings.count("layout.pp");
  return pp == 1 ? fmt::format("{} ranks", ranks) : fmt::format("{} ranks ({} GPUs / pp {})", ranks, ranks * pp, pp);
}

/// ranks / degree for the degree that was left out.
int other_degree(const Settings& settings, std::string_view given, int ranks) {
  const int degree = settings.count(given);
  if (ranks % degree != 0)
    throw InputError{
        settings.where(given), fmt::format("{}", degree),
        fmt::format("a divisor of the {}, since the other degree is not given", ranks_text(settings, ranks)),
        nearest_divisors(degree, ranks)};
  return ranks / degree;
}

/// Fills one or both of a pair whose product is `ranks`.
void fill_pair(Settings& settings, std::string_view first, std::string_view second, int ranks, int first_alone) {
  if (settings.has(first) && !settings.has(second))
    settings.fill(second, fmt::format("{}", other_degree(settings, first, ranks)), "default");
  if (!settings.has(first) && settings.has(second))
    settings.fill(first, fmt::format("{}", other_degree(settings, second, ranks)), "default");
  settings.fill(first, fmt::format("{}", first_alone), "default");
  settings.fill(second, fmt::format("{}", ranks / first_alone), "default");
}

int product_if_given(const Settings& settings, std::string_view first, std::string_view second, int otherwise) {
  if (!settings.has(first) || !settings.has(second)) return otherwise;
  const std::int64_t product = settings.integer(first) * settings.integer(second);
  return product <= otherwise ? static_cast<int>(product) : otherwise;  // more ranks than GPUs: make_layout says so
}

/// Attention takes what it is given, else half of the GPUs; the experts the rest.
void fill_pools(Settings& settings, int gpus) {
  settings.fill("layout.microbatches", "2", "default");
  const bool given = settings.has("layout.attention.tp") || settings.has("layout.attention.dp");
  settings.fill("layout.attention.tp", "1", "default");
  settings.fill("layout.attention.dp", fmt::format("{}", given ? 1 : std::max(1, gpus / 2)), "default");
  settings.fill("layout.experts.tp", "1", "default");
  const std::int64_t left = gpus - settings.integer("layout.attention.tp") * settings.integer("layout.attention.dp");
  settings.fill("layout.experts.ep",
                fmt::format("{}", std::max<std::int64_t>(1, left / settings.integer("layout.experts.tp"))), "default");
}

}  // namespace

void fill_precision_defaults(Settings& settings, const Architecture& model) {
  settings.fill("precision.weights", weight_format_name(model.checkpoint_format), "checkpoint");
  settings.fill("precision.experts", weight_format_name(model.checkpoint_experts), "checkpoint");
  const bool fp8 = widest_expert_format(settings) == NumberFormat::fp8_block;
  settings.fill("precision.dispatch", fp8 ? "fp8_block" : "bf16", "default");
}

void fill_layout_defaults(Settings& settings, const Architecture& model, int gpus) {
  if (model.moe && settings.flag("layout.experts.apart")) return fill_pools(settings, gpus);
  settings.fill("layout.microbatches", settings.at("layout.pp").text, "default");
  int ranks = std::max(1, gpus / settings.count("layout.pp"));
  ranks = product_if_given(settings, "layout.experts.ep", "layout.experts.tp", ranks);
  ranks = product_if_given(settings, "layout.attention.tp", "layout.attention.dp", ranks);
  if (model.moe) {
    fill_pair(settings, "layout.attention.tp", "layout.attention.dp", ranks, 1);
    fill_pair(settings, "layout.experts.ep", "layout.experts.tp", ranks, ranks);
    return;
  }
  settings.fill("layout.attention.dp", "1", "default");
  settings.fill("layout.attention.tp", fmt::format("{}", other_degree(settings, "layout.attention.dp", ranks)),
                "default");
  settings.fill("layout.experts.ep", "1", "default");
  settings.fill("layout.experts.tp", settings.at("layout.attention.tp").text, "default");
}

}  // namespace moesim
