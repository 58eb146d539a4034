#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/layer_numbers.hpp"
#include "models/routing/routing.hpp"
#include "models/units/csv_reader.hpp"

namespace moesim {

namespace {

/// Reads rows of one token after another.
class TraceReader {
public:
  TraceReader(const std::string& file, const Architecture& model)
      : csv_{file}, model_{model}, layer_column_{csv_.require("layer")} {
    trace_.layers = model.moe_layers();
    trace_.top_k = model.moe->top_k;
    first_expert_ = csv_.require("e0");
    int width = 0;
    while (csv_.find(fmt::format("e{}", width)) == first_expert_ + width) ++width;
    if (width != trace_.top_k)
      throw InputError{fmt::format("{}:1:1", file), fmt::format("{} experts per token (e0 to e{})", width, width - 1),
                       fmt::format("top_k = {} of {}", trace_.top_k, model.name)};
  }

  RoutingTrace read() {
    while (csv_.next()) {
      const std::string_view token = csv_.before(layer_column_);
      if (token != token_) {
        finish_token();
        token_ = token;
        first_line_ = csv_.line();
        experts_of_.resize(static_cast<std::size_t>(trace_.top_k) * static_cast<std::size_t>(model_.layers));
      }
      read_row();
    }
    finish_token();
    if (trace_.tokens == 0) throw InputError{csv_.file(), "no rows", "rows of layer, e0, e1, ..."};
    return std::move(trace_);
  }

private:
  void read_row() {
    const int layer = csv_.index(layer_column_, 0, model_.layers - 1, "layer");
    if (std::ranges::find(layers_, layer) != layers_.end())
      throw InputError{csv_.place(layer_column_), fmt::format("layer {} a second time", layer),
                       "each layer of a token once"};
    layers_.push_back(layer);
    std::int16_t* experts = experts_of_.data() + static_cast<std::ptrdiff_t>(layer) * trace_.top_k;
    for (int i = 0; i < trace_.top_k; ++i) {
      experts[i] = static_cast<std::int16_t>(csv_.index(first_expert_ + i, 0, model_.moe->experts - 1, "expert"));
      if (std::find(experts, experts + i, experts[i]) != experts + i)
        throw InputError{csv_.place(first_expert_ + i), fmt::format("expert {} a second time", experts[i]),
                         fmt::format("{} distinct experts", trace_.top_k)};
    }
  }

  void finish_token() {
    if (layers_.empty()) return;
    std::ranges::sort(layers_);
    if (trace_.tokens == 0 || layers_ != first_layers_) {
      // The first token decides how the file numbers layers; match_layers refuses what is neither way.
      match_layers({layers_.begin(), layers_.end()}, model_, fmt::format("{}:{}:1", csv_.file(), first_line_),
                   "rows of one token");
      if (trace_.tokens > 0)
        throw InputError{fmt::format("{}:{}:1", csv_.file(), first_line_), "layers numbered in another way",
                         "layer " + ranges_text({first_layers_.begin(), first_layers_.end()}) + " as above"};
      first_layers_ = layers_;
    }
    for (const int layer : layers_) {
      const auto first = experts_of_.begin() + static_cast<std::ptrdiff_t>(layer) * trace_.top_k;
      trace_.experts.insert(trace_.experts.end(), first, first + trace_.top_k);
    }
    layers_.clear();
    ++trace_.tokens;
  }

  CsvReader csv_;
  const Architecture& model_;
  int layer_column_, first_expert_ = 0, first_line_ = 0;
  std::string_view token_;
  std::vector<int> layers_, first_layers_;
  std::vector<std::int16_t> experts_of_;  // [model layers * top_k] of the current token
  RoutingTrace trace_;
};

}  // namespace

RoutingTrace load_routing_trace(const std::string& file, const Architecture& model) {
  if (!model.moe) throw std::invalid_argument{model.name + " has no experts to route to"};
  if (model.moe->experts > std::numeric_limits<std::int16_t>::max())
    throw std::invalid_argument{fmt::format("a trace of {} experts", model.moe->experts)};
  return TraceReader{file, model}.read();
}

}  // namespace moesim
