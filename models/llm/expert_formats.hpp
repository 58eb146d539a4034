#pragma once
// Routed experts that are not all stored in one number format, and what that costs in quality.

#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

/// The number format of every routed expert of every MoE layer.
class ExpertFormats {
public:
  /// All experts of the model in one format. Throws std::invalid_argument for a dense model.
  ExpertFormats(const Architecture& model, NumberFormat all);

  NumberFormat of(int moe_layer, int expert) const { return formats_[index(moe_layer, expert)]; }
  void set(int moe_layer, int expert, NumberFormat format) { formats_[index(moe_layer, expert)] = format; }
  int moe_layers() const { return moe_layers_; }
  int experts() const { return experts_; }
  /// The format of all experts, when they share one.
  std::optional<NumberFormat> uniform() const;
  /// Every format in use, once.
  std::vector<NumberFormat> used() const;

private:
  /// Throws std::out_of_range.
  std::size_t index(int moe_layer, int expert) const;

  int moe_layers_, experts_;
  std::vector<NumberFormat> formats_;  ///< [moe_layers * experts]
};

/// `of_expert` [experts], the same in every MoE layer. Throws InputError at `where` when the list has another length.
ExpertFormats listed_formats(const Architecture& model, std::span<const NumberFormat> of_expert,
                             std::string_view where);

/// Cold experts in a narrower format: those whose share of their layer's load is below `share`. An idle layer has none.
/// `loads` [moe_layers * experts] : tokens of each expert, layer by layer.
/// Throws std::invalid_argument when the loads have another size, or one is negative.
ExpertFormats cold_expert_formats(const Architecture& model, std::span<const double> loads, double share,
                                  NumberFormat hot, NumberFormat cold);

/// The one with the most bits. Throws std::invalid_argument for an empty list.
NumberFormat widest(std::span<const NumberFormat> formats);

/// Weights of a row that share a scale, which a split must keep together: 128, 32 or 16; 1 for formats whose scales are
/// per channel, per tensor or none.
int block_of(NumberFormat format);

/// Throws InputError at `where` when the blocks of `format` do not divide what an expert's matrices have along a row:
/// the hidden size, and the expert's width on one of `tp` ranks.
void check_blocks(const Architecture& model, NumberFormat format, int tp, std::string_view where);

/// Stored bytes of all routed experts: sum of params_e bits_e / 8 (domain B.4), biases in bf16.
Bytes expert_weight_bytes(const Architecture& model, const ExpertFormats& formats);

/// The same of one rank's slots in one MoE layer. `experts` : the expert of every slot; `tp` splits expert widths.
Bytes slot_weight_bytes(const Architecture& model, const ExpertFormats& formats, int moe_layer,
                        std::span<const int> experts, int tp = 1);

/// What the user says an expert loses in a format; quality itself is not simulated. Penalties have no unit.
class QualityPenalties {
public:
  void set(NumberFormat format, double penalty) { of_all_[format] = penalty; }
  /// For this expert (in every layer), instead of what holds for all.
  void set(int expert, NumberFormat format, double penalty) { of_one_[{expert, format}] = penalty; }
  /// 0 for 16-bit formats that have no entry. Throws InputError when there is none for a narrower one.
  double of(int expert, NumberFormat format) const;

private:
  std::map<NumberFormat, double> of_all_;
  std::map<std::pair<int, NumberFormat>, double> of_one_;
};

/// Penalties weighed by load: sum over layers and experts of load / all load * penalty. 0 when nothing is loaded.
/// `loads` and Throws: as cold_expert_formats; InputError for a penalty that is missing for a loaded expert.
double load_weighted_penalty(const ExpertFormats& formats, const QualityPenalties& penalties,
                             std::span<const double> loads);

}  // namespace moesim
