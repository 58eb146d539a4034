// Rows that measure what no simulation here predicts.

#include <fmt/format.h>

#include "sim/validate/measured_file.hpp"

namespace moesim {

/// Published as best values, without the shapes that reach them.
void map_attention_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  MeasuredCase one;
  one.group = fmt::format("FlashMLA, {}", row.text("gpu"));
  one.what = fmt::format("{}, {}", row.text("kernel"), row.text("regime"));
  one.quantity = "rate";
  one.unit = row.text("unit");
  one.measured = row.positive("value");
  one.reason = "an 'up to' value without batch, heads and context";
  cases.push_back(std::move(one));
}

void map_training_kernel_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  MeasuredCase one;
  one.group = "DeepSeek-V3 training trace, H800";
  one.what = row.text("kernel").substr(0, 60);
  one.quantity = "mean time";
  one.unit = std::string{"us"};
  one.measured = row.amount("mean_us");
  one.reason = "a kernel of training, without its shapes";
  cases.push_back(std::move(one));
}

/// The figure that rows have in common: the third.
void map_skew_row(const CaseRow& row, std::vector<MeasuredCase>& cases) {
  MeasuredCase one;
  one.group = fmt::format("routing, {}", row.text("model"));
  one.what = row.text("case");
  one.quantity = row.has("m3_name") ? row.text("m3_name") : "skew";
  one.unit = "ratio";
  one.reason = "an input of a simulation (how tokens choose experts), not a result";
  cases.push_back(std::move(one));
}

}  // namespace moesim
