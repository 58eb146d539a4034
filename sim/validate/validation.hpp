#pragma once
// A folder of measured files, predicted row by row and summed up.

#include <filesystem>
#include <string>
#include <vector>

#include "sim/validate/engine_kernels.hpp"
#include "sim/validate/predict.hpp"
#include "sim/validate/statistics.hpp"

namespace moesim {

enum class CaseStatus {
  predicted,      ///< of a clean row
  flagged,        ///< predicted too, but the file itself doubts the row
  not_expressed,  ///< no scenario says what was measured
  failed,         ///< its simulation died
};
std::string_view name_of(CaseStatus status);

struct ValidatedCase {
  MeasuredCase of;
  CaseStatus status = CaseStatus::not_expressed;
  std::string reason{};  ///< of not_expressed and failed
  // of predicted and flagged
  double predicted = 0;
  std::optional<double> decode_alone{};  ///< the same without the prefills between decode steps
  std::string source{};

  bool is_compared() const { return status == CaseStatus::predicted || status == CaseStatus::flagged; }
  PredictedPair pair() const { return {predicted, *of.measured}; }
};

struct ValidatedFile {
  std::string name;
  int rows = 0;
};

struct Validation {
  std::string folder;
  std::vector<ValidatedFile> files{};  ///< read, by name
  std::vector<std::string> ignored{};  ///< other .csv files
  std::vector<ValidatedCase> cases{};
};

/// Every file whose name is known, or whose header is. only : names of files, or parts of names of groups; empty: all.
/// Throws InputError when the folder cannot be read or nothing is left, and as read_measured.
Validation read_validation(const std::filesystem::path& folder, const std::vector<std::string>& only,
                           KernelsOf kernels);

/// What has to be simulated, each once, in the order of the cases.
std::vector<std::string> scenarios_of(const Validation& validation);

/// Fills in what can be said. answers : of all scenarios_of(); a failure of a process is what `failures` has instead
void predict_all(Validation& validation, const StepAnswers& answers,
                 const std::map<std::string, std::string>& failures);

/// Errors of the cases of a file, or of one of its groups. Clean and flagged rows are never mixed.
struct StatisticsLine {
  std::string file, group;  ///< no group: the whole file
  bool flagged = false;
  ErrorStatistics errors;
  std::optional<ErrorStatistics> decode_alone;  ///< where every case has it
};

/// File by file, a line of its own before those of its groups, flagged rows last.
std::vector<StatisticsLine> statistics_lines(const Validation& validation);

/// One document by scenarios/schema/validate.schema.json, indented.
std::string validation_json(const Validation& validation);
/// One line a case, quoted by RFC 4180 where it must be.
std::string validation_csv(const Validation& validation);
/// At most 100 characters wide. rows : every compared case, not only the statistics
std::string validation_text(const Validation& validation, bool rows);

}  // namespace moesim
