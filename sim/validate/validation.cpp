#include "sim/validate/validation.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/csv_reader.hpp"
#include "models/units/error.hpp"
#include "sim/validate/measured_file.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

std::vector<fs::path> csv_files(const fs::path& folder) {
  std::error_code failure;
  if (!fs::is_directory(folder, failure))
    throw InputError{folder.string(), fs::exists(folder, failure) ? "a file" : "no such folder",
                     "a folder of measured .csv files"};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator{folder, failure})
    if (entry.is_regular_file() && entry.path().extension() == ".csv") files.push_back(entry.path());
  if (failure) throw InputError{folder.string(), failure.message(), "a folder of measured .csv files"};
  std::sort(files.begin(), files.end());
  return files;
}

bool has_columns(const fs::path& file, const MeasuredFile& kind) {
  try {
    const auto header = CsvReader{file.string(), CsvReader::Header::required, CsvReader::Quotes::allowed}.header();
    return std::equal(header.begin(), header.end(), kind.columns.begin(), kind.columns.end());
  } catch (const InputError&) {
    return false;  // it is no measured file, whatever else it is
  }
}

/// By name, else by header. nullptr: neither.
const MeasuredFile* kind_of(const fs::path& file) {
  for (const MeasuredFile& kind : measured_files())
    if (file.filename() == kind.name) return &kind;
  for (const MeasuredFile& kind : measured_files())
    if (has_columns(file, kind)) return &kind;
  return nullptr;
}

bool names_file(const std::string& wanted, const std::string& file) {
  return wanted == file || wanted + ".csv" == file;
}

/// Measured files with what they are; what is none goes to `ignored`. Where all that is wanted are files, the others
/// need not be read.
std::vector<std::pair<fs::path, const MeasuredFile*>> files_to_read(const std::vector<fs::path>& files,
                                                                    const std::vector<std::string>& only,
                                                                    std::vector<std::string>& ignored) {
  std::vector<std::pair<fs::path, const MeasuredFile*>> known;
  for (const fs::path& file : files)
    if (const MeasuredFile* kind = kind_of(file))
      known.emplace_back(file, kind);
    else
      ignored.push_back(file.filename().string());
  const auto names = [&](const std::string& name, const auto& file) {
    return names_file(name, file.first.filename().string());
  };
  const auto is_file = [&](const std::string& name) {
    return std::any_of(known.begin(), known.end(), [&](const auto& file) { return names(name, file); });
  };
  if (only.empty() || !std::all_of(only.begin(), only.end(), is_file)) return known;
  std::erase_if(known, [&](const auto& file) {
    return std::none_of(only.begin(), only.end(), [&](const std::string& name) { return names(name, file); });
  });
  return known;
}

/// A file where it names one, else a part of a group's name.
bool is_wanted(const MeasuredCase& one, const std::string& wanted, const std::vector<ValidatedFile>& files) {
  if (std::any_of(files.begin(), files.end(), [&](const ValidatedFile& file) { return names_file(wanted, file.name); }))
    return names_file(wanted, one.file);
  return lowered(one.group).find(lowered(wanted)) != std::string::npos;
}

void check_wanted(const Validation& validation, const std::string& wanted) {
  for (const ValidatedCase& one : validation.cases)
    if (is_wanted(one.of, wanted, validation.files)) return;
  std::vector<std::string> names;
  for (const ValidatedFile& file : validation.files) names.push_back(file.name);
  throw InputError{"--only", wanted, fmt::format("a file ({}) or a part of a group's name", fmt::join(names, ", ")),
                   nearest(wanted, names)};
}

void select(Validation& validation, const std::vector<std::string>& only) {
  for (const std::string& wanted : only) check_wanted(validation, wanted);
  if (only.empty()) return;
  std::erase_if(validation.cases, [&](const ValidatedCase& one) {
    return std::none_of(only.begin(), only.end(),
                        [&](const std::string& wanted) { return is_wanted(one.of, wanted, validation.files); });
  });
  std::erase_if(validation.files, [&](const ValidatedFile& file) {
    return std::none_of(validation.cases.begin(), validation.cases.end(),
                        [&](const ValidatedCase& one) { return one.of.file == file.name; });
  });
}

[[noreturn]] void refuse_folder(const std::string& folder) {
  std::vector<std::string_view> names;
  for (const MeasuredFile& kind : measured_files()) names.push_back(kind.name);
  throw InputError{folder, "no measured file", fmt::format("one of {}", fmt::join(names, ", "))};
}

std::vector<std::string> scenarios_of(const MeasuredCase& one) {
  std::vector<std::string> scenarios;
  if (one.question)
    if (const auto* steps = std::get_if<WeightedSteps>(&*one.question))
      for (const auto& part : steps->parts) scenarios.push_back(part.scenario);
  return scenarios;
}

void fill_in(ValidatedCase& one, const Prediction& prediction) {
  if (!prediction.refusal.empty()) {
    one.reason = prediction.refusal;
    return;
  }
  one.status = one.of.flags.empty() ? CaseStatus::predicted : CaseStatus::flagged;
  one.predicted = one.of.reading(prediction.time);
  one.source = prediction.source;
  if (one.of.quantity == "tpot") one.decode_alone = one.of.reading(prediction.first);
}

}  // namespace

std::string_view name_of(CaseStatus status) {
  constexpr std::array<std::string_view, 4> kNames{"predicted", "flagged", "not_expressed", "failed"};
  return kNames.at(static_cast<std::size_t>(status));
}

Validation read_validation(const fs::path& folder, const std::vector<std::string>& only, KernelsOf kernels) {
  Validation validation{.folder = folder.string()};
  for (const auto& [file, kind] : files_to_read(csv_files(folder), only, validation.ignored)) {
    std::set<int> lines;
    for (MeasuredCase& one : read_measured(*kind, file.string())) {
      lines.insert(one.line);
      const std::string reason = one.reason;
      validation.cases.push_back({.of = std::move(one), .reason = reason});
    }
    validation.files.push_back({file.filename().string(), static_cast<int>(lines.size())});
  }
  if (validation.files.empty()) refuse_folder(validation.folder);
  select(validation, only);
  const EngineKernels engine_kernels{kernels};
  for (ValidatedCase& one : validation.cases)
    if (one.of.question)
      if (auto* steps = std::get_if<WeightedSteps>(&*one.of.question)) engine_kernels.add_to(*steps);
  return validation;
}

std::vector<std::string> scenarios_of(const Validation& validation) {
  std::vector<std::string> all;
  std::set<std::string> seen;
  for (const ValidatedCase& one : validation.cases)
    for (const std::string& scenario : scenarios_of(one.of))
      if (seen.insert(scenario).second) all.push_back(scenario);
  return all;
}

void predict_all(Validation& validation, const StepAnswers& answers,
                 const std::map<std::string, std::string>& failures) {
  for (ValidatedCase& one : validation.cases) {
    if (!one.of.question) continue;
    const auto scenarios = scenarios_of(one.of);
    const auto failed = std::find_if(scenarios.begin(), scenarios.end(),
                                     [&](const std::string& scenario) { return failures.contains(scenario); });
    if (failed == scenarios.end()) {
      fill_in(one, predict(*one.of.question, answers));
      continue;
    }
    one.status = CaseStatus::failed;
    one.reason = failures.at(*failed);
  }
}

}  // namespace moesim
