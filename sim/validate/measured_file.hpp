#pragma once
// A CSV file of measured rows whose header is known.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/units/csv_reader.hpp"
#include "sim/validate/measured_case.hpp"

namespace moesim {

/// The row that is being read. Fields by the name of their column.
class CaseRow {
public:
  explicit CaseRow(CsvReader& csv) : csv_{csv} {}

  int line() const { return csv_.line(); }
  std::string text(std::string_view column) const;
  bool has(std::string_view column) const { return !field(column).empty(); }
  /// Throws InputError (file:line:column) for what is no finite number >= 0; `positive` and `count` also for zero.
  double amount(std::string_view column) const;
  double positive(std::string_view column) const;
  /// A whole number from 1.
  int count(std::string_view column) const;
  /// The same where the field may be empty or 0, which stand for `otherwise`.
  int count_or(std::string_view column, int otherwise) const;
  [[noreturn]] void refuse(std::string_view column, const std::string& expected) const;

private:
  std::string_view field(std::string_view column) const { return csv_.field(csv_.require(column)); }

  CsvReader& csv_;
};

/// Adds the cases of a row.
using RowMapping = void (*)(const CaseRow& row, std::vector<MeasuredCase>& cases);

/// A kind of file: its name, its columns in order, and what its rows mean.
struct MeasuredFile {
  std::string_view name;
  std::vector<std::string_view> columns;
  RowMapping mapping;
};

/// All kinds, in the order of their names.
std::span<const MeasuredFile> measured_files();

/// Every row of a file. Throws InputError for another header and for what is no number where one is needed.
std::vector<MeasuredCase> read_measured(const MeasuredFile& kind, const std::string& path);

/// Gives a case its question; what a scenario refuses (a split that leaves a rest, a length that a model does not have)
/// becomes the reason why there is none.
template <class Express>
void express(MeasuredCase& one, Express question) {
  try {
    one.question = question();
  } catch (const InputError& error) {
    one.reason = error.what();
  }
}

// The mappings, each described in README.md.
void map_serving_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_large_scale_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_throughput_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_normal_exchange_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_low_latency_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_one_sided_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_nccl_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_efa_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_gemm_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_expert_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_attention_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_training_kernel_row(const CaseRow& row, std::vector<MeasuredCase>& cases);
void map_skew_row(const CaseRow& row, std::vector<MeasuredCase>& cases);

}  // namespace moesim
