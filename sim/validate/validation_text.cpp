#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/validate/validation.hpp"

namespace moesim {
namespace {

constexpr std::size_t kWidth = 100, kListedLines = 8;

std::string cut(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 3) + "...";
}

/// Four digits that count, without an exponent where people would not write one.
std::string figure(double value) {
  const double size = std::abs(value);
  if (size >= 1000) return fmt::format("{:.0f}", value);
  return size >= 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

std::string percent(double ratio) {
  return fmt::format("{:+.1f} %", 100 * ratio);
}

constexpr const char* kRow = "  {:>5}{} {:<10} {:<28} {:>8} {:>8} {:<10} {:>8} {}\n";

/// A flagged row has a star behind its line.
std::string row_line(const ValidatedCase& one) {
  return fmt::format(fmt::runtime(kRow), one.of.line, one.status == CaseStatus::flagged ? '*' : ' ',
                     cut(one.of.quantity, 10), cut(one.of.what, 28), figure(one.predicted), figure(*one.of.measured),
                     cut(one.of.unit, 10), percent(one.pair().error()), one.source);
}

std::string rows_text(const Validation& validation, const std::string& file) {
  std::vector<const ValidatedCase*> rows;
  for (const ValidatedCase& one : validation.cases)
    if (one.of.file == file && one.is_compared()) rows.push_back(&one);
  std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->of.group < b->of.group; });
  std::string text, group;
  for (const ValidatedCase* one : rows) {
    if (one->of.group != group) text += fmt::format("  {}\n", cut(group = one->of.group, kWidth - 2));
    text += row_line(*one);
  }
  if (text.empty()) return text;
  return fmt::format(fmt::runtime(kRow), "line", ' ', "figure", "of", "moesim", "measured", "", "error", "source") +
         text;
}

/// Cases of one reason: how many figures, of which quantity, on which lines.
struct Unexpressed {
  int figures = 0;
  std::string quantity;
  std::vector<int> lines;
};

/// "2-16, 20, 31 ..."
std::string line_ranges(const std::vector<int>& lines) {
  std::vector<std::string> ranges;
  for (std::size_t i = 0; i < lines.size();) {
    std::size_t last = i;
    while (last + 1 < lines.size() && lines[last + 1] <= lines[last] + 1) ++last;
    ranges.push_back(lines[last] == lines[i] ? fmt::format("{}", lines[i])
                                             : fmt::format("{}-{}", lines[i], lines[last]));
    i = last + 1;
  }
  const bool more = ranges.size() > kListedLines;
  if (more) ranges.resize(kListedLines);
  return fmt::format("{}{}", fmt::join(ranges, ", "), more ? " ..." : "");
}

/// Words on lines of the terminal's width, all but the first indented.
std::string wrapped(const std::string& words, std::size_t indent) {
  std::string text;
  std::size_t column = kWidth;  // the first word begins a line
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    const std::size_t length = end - at;
    if (column + 1 + length > kWidth) {
      text += fmt::format("{}{}", text.empty() ? "" : "\n", std::string(text.empty() ? 4 : indent, ' '));
      column = text.size() == 4 ? 4 : indent;
    } else {
      text += ' ';
      ++column;
    }
    text += words.substr(at, length);
    column += length;
    at = end + 1;
  }
  return text + "\n";
}

std::string unexpressed_text(const Validation& validation, const std::string& file) {
  std::vector<std::string> order;
  std::map<std::string, Unexpressed> reasons;
  for (const ValidatedCase& one : validation.cases) {
    if (one.of.file != file || one.is_compared()) continue;
    const std::string reason = (one.status == CaseStatus::failed ? "failed: " : "") + one.reason;
    const std::string key = one.of.quantity + "\n" + reason;
    if (!reasons.contains(key)) order.push_back(key);
    Unexpressed& entry = reasons[key];
    ++entry.figures;
    entry.quantity = one.of.quantity;
    entry.lines.push_back(one.of.line);
  }
  std::string text;
  for (const std::string& key : order) {
    const Unexpressed& entry = reasons[key];
    text += wrapped(fmt::format("{} {}: {} (line{} {})", entry.figures, entry.quantity, key.substr(key.find('\n') + 1),
                                entry.lines.size() == 1 ? "" : "s", line_ranges(entry.lines)),
                    6);
  }
  return text.empty() ? text : "  not expressed\n" + text;
}

std::string statistics_line(const std::string& name, const ErrorStatistics& errors) {
  const std::string ordering = errors.ordering ? fmt::format("{:.3f}", *errors.ordering) : "-";
  return fmt::format("{:<54} {:>5} {:>8.1f} % {:>7.1f} % {:>+7.1f} % {:>8}\n", cut(name, 54), errors.n,
                     100 * errors.median, 100 * errors.p90, 100 * errors.bias, ordering);
}

std::string statistics_text(const Validation& validation) {
  std::string text =
      fmt::format("{:<54} {:>5} {:>10} {:>9} {:>9} {:>8}\n", "errors", "n", "median", "p90", "bias", "ranks");
  for (const StatisticsLine& line : statistics_lines(validation)) {
    const std::string doubt = line.flagged ? " (flagged)" : "";
    text += statistics_line(line.group.empty() ? line.file + doubt : "  " + line.group + doubt, line.errors);
    if (line.group.empty() && line.decode_alone)
      text += statistics_line("  decode steps alone, no prefill between" + doubt, *line.decode_alone);
  }
  return text;
}

std::string head_of(const Validation& validation, const ValidatedFile& file) {
  std::map<CaseStatus, int> counts;
  for (const ValidatedCase& one : validation.cases)
    if (one.of.file == file.name) ++counts[one.status];
  std::string text = fmt::format("{}: {} rows; {} predicted", file.name, file.rows, counts[CaseStatus::predicted]);
  for (const CaseStatus status : {CaseStatus::flagged, CaseStatus::not_expressed, CaseStatus::failed})
    if (counts[status] > 0)
      text += fmt::format(", {} {}", counts[status],
                          status == CaseStatus::not_expressed ? "not expressed" : name_of(status));
  return text + "\n";
}

}  // namespace

std::string validation_text(const Validation& validation, bool rows) {
  std::string text;
  for (const ValidatedFile& file : validation.files) {
    text += head_of(validation, file);
    if (rows) text += rows_text(validation, file.name);
    text += unexpressed_text(validation, file.name) + "\n";
  }
  if (!validation.ignored.empty())
    text +=
        wrapped(fmt::format("ignored, no measured files: {}", fmt::join(validation.ignored, ", ")), 4).substr(4) + "\n";
  return text + statistics_text(validation);
}

}  // namespace moesim
