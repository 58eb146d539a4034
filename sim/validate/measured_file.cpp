#include "sim/validate/measured_file.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moesim {
namespace {

void check_header(const CsvReader& csv, const MeasuredFile& kind) {
  const std::vector<std::string> found = csv.header();
  if (std::equal(found.begin(), found.end(), kind.columns.begin(), kind.columns.end())) return;
  throw InputError{csv.file() + ":1:1", fmt::format("columns {}", fmt::join(found, ",")),
                   fmt::format("{}", fmt::join(kind.columns, ","))};
}

}  // namespace

std::string CaseRow::text(std::string_view column) const {
  return unquoted(field(column));
}

double CaseRow::amount(std::string_view column) const {
  return csv_.amount(csv_.require(column), column);
}

double CaseRow::positive(std::string_view column) const {
  const double value = amount(column);
  if (value <= 0) refuse(column, "a finite number > 0");
  return value;
}

int CaseRow::count(std::string_view column) const {
  return csv_.index(csv_.require(column), 1, std::numeric_limits<int>::max(), column);
}

int CaseRow::count_or(std::string_view column, int otherwise) const {
  if (!has(column)) return otherwise;
  const int value = csv_.index(csv_.require(column), 0, std::numeric_limits<int>::max(), column);
  return value == 0 ? otherwise : value;
}

void CaseRow::refuse(std::string_view column, const std::string& expected) const {
  throw InputError{csv_.place(csv_.require(column)), fmt::format("{} \"{}\"", column, field(column)), expected};
}

std::vector<MeasuredCase> read_measured(const MeasuredFile& kind, const std::string& path) {
  CsvReader csv{path, CsvReader::Header::required, CsvReader::Quotes::allowed};
  check_header(csv, kind);
  std::vector<MeasuredCase> cases;
  while (csv.next()) {
    const std::size_t first = cases.size();
    kind.mapping(CaseRow{csv}, cases);
    for (std::size_t i = first; i < cases.size(); ++i) {
      cases[i].file = std::filesystem::path{path}.filename().string();
      cases[i].line = csv.line();
    }
  }
  return cases;
}

}  // namespace moesim
