// Which layers of a model are MoE, and which look at less than the whole context.

#include <set>

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"

namespace moesim {

void read_sparse_steps(ConfigReader& config, Architecture& model) {
  const int step = config.size_or("decoder_sparse_step", 1, kOfClass);
  const std::vector<int> listed = config.numbers("mlp_only_layers");
  const std::set<int> dense{listed.begin(), listed.end()};
  if (dense.size() != listed.size()) config.refuse("mlp_only_layers", "every layer at most once");
  if (!dense.empty() && *dense.rbegin() >= model.layers)
    config.refuse("mlp_only_layers", fmt::format("layers below num_hidden_layers = {}", model.layers));
  for (int i = 0; i < model.layers; ++i)
    model.moe_layer[static_cast<std::size_t>(i)] = (i + 1) % step == 0 && dense.count(i) == 0;
  if (model.moe_layers() == 0)
    config.refuse(dense.empty() ? "decoder_sparse_step" : "mlp_only_layers", "a MoE layer left");
}

void read_dense_width(ConfigReader& config, std::string_view key, Architecture& model) {
  const bool has_dense = model.dense_layers() > 0;
  const int width = has_dense || config.has(key) ? config.size(key, has_dense ? 1 : 0) : 0;
  model.dense_hidden = has_dense ? width : 0;
}

void read_leading_dense(ConfigReader& config, bool has_frequency, Architecture& model) {
  if (has_frequency && config.is_list("moe_layer_freq")) config.not_modelled("moe_layer_freq", "one number");
  const int every = has_frequency ? config.size_or("moe_layer_freq", 1, kOfClass) : 1;
  const int first = config.size("first_k_dense_replace", 0);
  for (int i = 0; i < model.layers; ++i) model.moe_layer[static_cast<std::size_t>(i)] = i >= first && i % every == 0;
  if (model.moe_layers() == 0)
    config.refuse("first_k_dense_replace", fmt::format("a MoE layer left among num_hidden_layers = {}", model.layers));
  read_dense_width(config, "intermediate_size", model);
}

void check_no_windows(ConfigReader& config, const Architecture& model) {
  config.only_flag("use_sliding_window", false);
  for (const std::string& kind : config.texts("layer_types"))
    if (kind != "full_attention") config.not_modelled("layer_types", "full_attention in every layer");
  read_layer_types(config, "full_attention", model);
}

std::vector<bool> read_layer_types(ConfigReader& config, std::string_view windowed, const Architecture& model) {
  const std::vector<std::string> kinds = config.texts("layer_types");
  if (kinds.empty()) return {};
  if (kinds.size() != static_cast<std::size_t>(model.layers))
    config.refuse("layer_types", fmt::format("one entry for each of num_hidden_layers = {}", model.layers));
  std::vector<bool> layers;
  for (const std::string& kind : kinds) {
    if (kind != windowed && kind != "full_attention")
      config.not_modelled("layer_types", fmt::format("{} or full_attention in every layer", windowed));
    layers.push_back(kind == windowed);
  }
  return layers;
}

void read_window_everywhere(ConfigReader& config, Architecture& model) {
  if (!config.has("sliding_window")) return;
  const int window = config.size("sliding_window");
  if (window >= model.max_context) return;  // as long as any context: no limit
  model.attention.window = window;
  model.windowed_layer.assign(static_cast<std::size_t>(model.layers), true);
}

void read_groups(ConfigReader& config, GroupScore score, MoeSpec& moe) {
  RouterSpec& router = moe.router;
  router.groups = config.size("n_group");
  router.kept_groups = config.size("topk_group");
  if (moe.experts % router.groups != 0)
    config.refuse("n_group", fmt::format("a divisor of n_routed_experts = {}", moe.experts));
  if (router.kept_groups > router.groups)
    config.refuse("topk_group", fmt::format("at most n_group = {}", router.groups));
  const int per_group = moe.experts / router.groups;
  if (moe.top_k > router.kept_groups * per_group)
    config.refuse("num_experts_per_tok", fmt::format("at most {}, the experts of topk_group = {} groups",
                                                     router.kept_groups * per_group, router.kept_groups));
  if (score == GroupScore::top2_sum && per_group < 2)
    config.refuse("n_group", "at least 2 experts in a group, whose two best scores are its score");
  router.group_score = router.groups > 1 ? score : GroupScore::none;
}

}  // namespace moesim
