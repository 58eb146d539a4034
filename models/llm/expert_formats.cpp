#include "models/llm/expert_formats.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

#include "models/llm/expert_slices.hpp"
#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

void check_loads(std::span<const double> loads, const ExpertFormats& formats) {
  const auto size = static_cast<std::size_t>(formats.moe_layers()) * static_cast<std::size_t>(formats.experts());
  if (loads.size() != size)
    throw std::invalid_argument{
        fmt::format("{} loads for {} layers of {} experts", loads.size(), formats.moe_layers(), formats.experts())};
  if (std::any_of(loads.begin(), loads.end(), [](double load) { return !(load >= 0); }))
    throw std::invalid_argument{"a load below 0"};
}

std::span<const double> layer_of(std::span<const double> loads, int layer, int experts) {
  return loads.subspan(static_cast<std::size_t>(layer) * static_cast<std::size_t>(experts),
                       static_cast<std::size_t>(experts));
}

}  // namespace

ExpertFormats::ExpertFormats(const Architecture& model, NumberFormat all)
    : moe_layers_{model.moe_layers()}, experts_{model.moe ? model.moe->experts : 0} {
  if (!model.moe) throw std::invalid_argument{model.name + " has no experts"};
  formats_.assign(static_cast<std::size_t>(moe_layers_) * static_cast<std::size_t>(experts_), all);
}

std::size_t ExpertFormats::index(int moe_layer, int expert) const {
  if (moe_layer < 0 || moe_layer >= moe_layers_ || expert < 0 || expert >= experts_)
    throw std::out_of_range{
        fmt::format("expert {} of MoE layer {}, there are {} of {}", expert, moe_layer, experts_, moe_layers_)};
  return static_cast<std::size_t>(moe_layer) * static_cast<std::size_t>(experts_) + static_cast<std::size_t>(expert);
}

std::optional<NumberFormat> ExpertFormats::uniform() const {
  if (formats_.empty()) return {};
  const bool all_equal = std::equal(formats_.begin() + 1, formats_.end(), formats_.begin());
  return all_equal ? std::optional{formats_.front()} : std::nullopt;
}

std::vector<NumberFormat> ExpertFormats::used() const {
  std::vector<NumberFormat> formats;
  for (const NumberFormat format : formats_)
    if (std::find(formats.begin(), formats.end(), format) == formats.end()) formats.push_back(format);
  return formats;
}

ExpertFormats listed_formats(const Architecture& model, std::span<const NumberFormat> of_expert,
                             std::string_view where) {
  ExpertFormats formats{model, NumberFormat::bf16};
  if (of_expert.size() != static_cast<std::size_t>(formats.experts()))
    throw InputError{std::string{where}, fmt::format("{} formats", of_expert.size()),
                     fmt::format("one for each of {} experts", formats.experts())};
  for (int layer = 0; layer < formats.moe_layers(); ++layer)
    for (int expert = 0; expert < formats.experts(); ++expert)
      formats.set(layer, expert, of_expert[static_cast<std::size_t>(expert)]);
  return formats;
}

ExpertFormats cold_expert_formats(const Architecture& model, std::span<const double> loads, double share,
                                  NumberFormat hot, NumberFormat cold) {
  ExpertFormats formats{model, hot};
  check_loads(loads, formats);
  for (int layer = 0; layer < formats.moe_layers(); ++layer) {
    const auto of_layer = layer_of(loads, layer, formats.experts());
    const double all = std::accumulate(of_layer.begin(), of_layer.end(), 0.0);
    for (int expert = 0; expert < formats.experts(); ++expert)
      if (of_layer[static_cast<std::size_t>(expert)] < share * all) formats.set(layer, expert, cold);
  }
  return formats;
}

NumberFormat widest(std::span<const NumberFormat> formats) {
  if (formats.empty()) throw std::invalid_argument{"the widest of no formats"};
  return *std::max_element(formats.begin(), formats.end(),
                           [](NumberFormat a, NumberFormat b) { return bits_per_element(a) < bits_per_element(b); });
}

int block_of(NumberFormat format) {
  switch (format) {
    case NumberFormat::bf16:
    case NumberFormat::fp16:
    case NumberFormat::fp8:
    case NumberFormat::int8:
      return 1;
    case NumberFormat::nvfp4:
      return 16;
    case NumberFormat::mxfp8:
    case NumberFormat::mxfp4:
    case NumberFormat::mxfp4_mxfp8:
    case NumberFormat::int4_group32:
      return 32;
    case NumberFormat::fp8_block:
    case NumberFormat::int4_group128:
    case NumberFormat::int4_group128_asymmetric:
    case NumberFormat::int3_group128:
    case NumberFormat::int2_group128:
      break;
  }
  return 128;
}

int expert_slice_width(const Architecture& model, NumberFormat format, int tp) {
  const int width = model.moe->expert_hidden / tp, block = block_of(format);
  const bool padded = format == NumberFormat::mxfp4 || format == NumberFormat::mxfp4_mxfp8;
  return padded && tp > 1 ? (width + block - 1) / block * block : width;
}

void check_blocks(const Architecture& model, NumberFormat format, int tp, std::string_view where) {
  const int block = block_of(format);
  const auto check = [&](int weights, const std::string& what) {
    if (weights % block != 0)
      throw InputError{std::string{where}, std::string{name_of(format)},
                       fmt::format("a format whose blocks divide {} of {}: {} weights are no multiple of {}", what,
                                   model.name, weights, block)};
  };
  check(model.hidden, "the hidden size");
  check(expert_slice_width(model, format, tp),
        tp > 1 ? fmt::format("an expert's width over {} ranks", tp) : "the expert width");
}

Bytes expert_weight_bytes(const Architecture& model, const ExpertFormats& formats) {
  std::map<NumberFormat, double> experts;
  for (int layer = 0; layer < formats.moe_layers(); ++layer)
    for (int expert = 0; expert < formats.experts(); ++expert) ++experts[formats.of(layer, expert)];
  Bytes bytes;
  for (const auto& [format, count] : experts) bytes += count * expert_bytes(model, format);
  return bytes;
}

Bytes slot_weight_bytes(const Architecture& model, const ExpertFormats& formats, int moe_layer,
                        std::span<const int> experts, int tp) {
  Bytes bytes;
  for (const int expert : experts) bytes += expert_bytes(model, formats.of(moe_layer, expert), tp);
  return bytes;
}

double QualityPenalties::of(int expert, NumberFormat format) const {
  if (const auto one = of_one_.find({expert, format}); one != of_one_.end()) return one->second;
  if (const auto all = of_all_.find(format); all != of_all_.end()) return all->second;
  if (bits_per_element(format) >= 16) return 0;
  throw InputError{"quality_penalty", fmt::format("nothing for expert {} in {}", expert, name_of(format)),
                   "a penalty for every format that experts are stored in"};
}

double load_weighted_penalty(const ExpertFormats& formats, const QualityPenalties& penalties,
                             std::span<const double> loads) {
  check_loads(loads, formats);
  const double all = std::accumulate(loads.begin(), loads.end(), 0.0);
  if (all == 0) return 0;
  double sum = 0;
  for (int layer = 0; layer < formats.moe_layers(); ++layer) {
    const auto of_layer = layer_of(loads, layer, formats.experts());
    for (int expert = 0; expert < formats.experts(); ++expert)
      if (const double load = of_layer[static_cast<std::size_t>(expert)]; load > 0)
        sum += load / all * penalties.of(expert, formats.of(layer, expert));
  }
  return sum;
}

}  // namespace moesim
