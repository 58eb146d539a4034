#include "sim/cli/compare_plan.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/metrics/shell_word.hpp"
#include "sim/scenario/settings.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kAskBefore = 10'000;  // hours of work, and as many folders
constexpr std::size_t kMost = 1'000'000;

struct Varied {
  std::string key;
  std::vector<std::string> values;
};

/// Cuts at commas that are not inside brackets or quotes: a value may be a map.
std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values{""};
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (c == ',' && depth == 0 && quote == 0) {
      values.emplace_back();
      continue;
    }
    if (quote != 0 && c == quote)
      quote = 0;
    else if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
    else if (quote == 0)
      depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    values.back() += c;
  }
  return values;
}

/// The scenario's own table of keys decides; it words its refusal for --set.
void check_key(const std::string& key) {
  Document nothing{"{}", "--vary"};
  try {
    apply_overrides(nothing, {{key, "1"}});
  } catch (const InputError& error) {
    throw InputError{"--vary", error.found(), error.expected(), error.hint()};
  }
}

Varied parse_varied(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw InputError{"--vary", "'" + text + "'", "key=value,value, as --vary layout.experts.ep=8,16"};
  Varied varied{text.substr(0, equals), split_values(text.substr(equals + 1))};
  check_key(varied.key);
  if (varied.values.size() == 1 && varied.values[0].empty())
    throw InputError{"--vary", "no values of " + varied.key, "key=value,value, as --vary " + varied.key + "=A,B"};
  if (std::find(varied.values.begin(), varied.values.end(), "") != varied.values.end())
    throw InputError{"--vary", "'" + text + "'", "a value on both sides of every comma"};
  return varied;
}

std::vector<Varied> parse_all(const CompareRequest& request, const std::vector<Override>& set) {
  std::vector<Varied> all;
  for (const std::string& text : request.vary) {
    Varied varied = parse_varied(text);
    const auto same = [&](const auto& key) { return key == varied.key; };
    if (std::any_of(all.begin(), all.end(), [&](const Varied& other) { return same(other.key); }))
      throw InputError{"--vary", varied.key + " twice", "all its values in one --vary"};
    if (std::any_of(set.begin(), set.end(), [&](const Override& fixed) { return same(fixed.first); }))
      throw InputError{"--vary", varied.key + ", which --set fixes", "another key, or no --set of it"};
    all.push_back(std::move(varied));
  }
  return all;
}

void check_zip(const std::vector<Varied>& all) {
  if (all.size() < 2) throw InputError{"--zip", fmt::format("{} --vary", all.size()), "two or more to pair"};
  for (const Varied& varied : all)
    if (varied.values.size() != all[0].values.size())
      throw InputError{"--zip",
                       fmt::format("{} values of {} and {} of {}", all[0].values.size(), all[0].key,
                                   varied.values.size(), varied.key),
                       "as many of each"};
}

void check_files(const CompareRequest& request) {
  if (request.files.size() < 2 && request.vary.empty())
    throw InputError{"compare", "one scenario", "two or more, or --vary key=value,value"};
  for (const std::string& file : request.files) {
    std::error_code failure;
    if (!fs::exists(file, failure)) throw InputError{file, "no such file", "a scenario (YAML or JSON)"};
  }
}

/// Combinations of one file; kMost + 1 where there are more.
std::size_t combinations(const std::vector<Varied>& all, bool zip) {
  if (zip) return all[0].values.size();
  std::size_t count = 1;
  for (const Varied& varied : all) count = std::min(count * varied.values.size(), kMost + 1);
  return count;
}

void check_count(std::size_t files, std::size_t each, bool yes) {
  const std::size_t count = files * each;
  if (count > kMost) throw InputError{"compare", "more than " + with_commas(kMost) + " runs", "fewer values of --vary"};
  if (count >= kAskBefore && !yes)
    throw InputError{"compare", with_commas(static_cast<long long>(count)) + " runs",
                     "fewer than " + with_commas(kAskBefore) + ", or --yes"};
}

std::vector<Override> combination(const std::vector<Varied>& all, std::size_t number, bool zip) {
  std::vector<Override> chosen;
  for (auto varied = all.rbegin(); varied != all.rend(); ++varied) {
    const std::size_t values = varied->values.size();
    chosen.emplace_back(varied->key, varied->values[zip ? number : number % values]);
    if (!zip) number /= values;
  }
  std::reverse(chosen.begin(), chosen.end());
  return chosen;
}

std::string command_of(const CompareRequest& request) {
  std::string command = "moesim compare";
  for (const std::string& file : request.files) command += " " + shell_word(file);
  for (const std::string& vary : request.vary) command += " --vary " + shell_word(vary);
  if (request.zip) command += " --zip";
  for (const std::string& set : request.set) command += " --set " + shell_word(set);
  return command + (request.yes ? " --yes" : "");
}

}  // namespace

ComparePlan plan_comparison(const CompareRequest& request) {
  check_files(request);
  ComparePlan plan{.set = parse_overrides(request.set), .keys = {}, .command = command_of(request), .runs = {}};
  const std::vector<Varied> all = parse_all(request, plan.set);
  if (request.zip) check_zip(all);
  for (const Varied& varied : all) plan.keys.push_back(varied.key);

  const std::size_t each = combinations(all, request.zip);
  check_count(request.files.size(), each, request.yes);
  const std::size_t digits = std::max<std::size_t>(2, std::to_string(request.files.size() * each).size());
  for (const std::string& file : request.files)
    for (std::size_t i = 0; i < each; ++i)
      plan.runs.push_back({file, combination(all, i, request.zip),
                           fmt::format("{:0{}}-{}", plan.runs.size() + 1, digits, fs::path{file}.stem().string())});
  return plan;
}

std::vector<Override> overrides_of(const ComparePlan& plan, const PlannedRun& run) {
  std::vector<Override> all = plan.set;
  all.insert(all.end(), run.varied.begin(), run.varied.end());
  return all;
}

std::string name_of(const PlannedRun& run) {
  std::string name = run.file;
  for (const auto& [key, value] : run.varied) name += fmt::format(" {}={}", key, value);
  return name;
}

}  // namespace moesim
