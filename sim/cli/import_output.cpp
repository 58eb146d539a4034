#include "sim/cli/import_output.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/cli/profile_output.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

/// "mine.csv:14", of the only file that was read.
std::string worst_place(const Imported& imported) {
  return fmt::format("{}:{}", imported.files.front().path, imported.flattened->line);
}

Json flattened_json(const Imported& imported) {
  if (!imported.flattened || imported.flattened->points == 0) return {};
  const Flattened& of = *imported.flattened;
  return {{"points", of.points},
          {"most", of.most},
          {"operation", name_of(of.operation)},
          {"place", worst_place(imported)},
          {"measured_us", of.measured},
          {"profile_us", of.told}};
}

std::string flattened_text(const Imported& imported) {
  if (!imported.flattened || imported.flattened->points == 0) return "";
  const Flattened& of = *imported.flattened;
  return fmt::format(
      "  flattened  {} {} with the size, where a curve never does: off by up to {:.0f} % ({}: {} {:g} us, in the "
      "profile {:g} us)\n",
      of.points, of.points == 1 ? "time falls" : "times fall", 100 * of.most, worst_place(imported),
      name_of(of.operation), of.measured, of.told);
}

}  // namespace

std::string import_json(const Imported& imported, const std::string& file, std::size_t bytes) {
  Json json = Json::parse(profile_json(imported.model));
  json["file"] = file;
  json["bytes"] = bytes;
  json["tables_read"] = Json::array();
  for (const ImportedFile& of : imported.files)
    json["tables_read"].push_back({{"path", of.path}, {"rows", of.rows}, {"used", of.used}, {"left_out", of.left_out}});
  json["flattened"] = flattened_json(imported);
  return json.dump(2);
}

std::string import_text(const Imported& imported, const std::string& file, std::size_t bytes) {
  std::string text = profile_text_for_people(imported.model) + "\n";
  for (const ImportedFile& of : imported.files) {
    text += fmt::format("  read       {:<60} {:>7} rows, {:>7} used\n", of.path, of.rows, of.used);
    for (const auto& [why, rows] : of.left_out) text += fmt::format("             {:>7} left out: {}\n", rows, why);
  }
  text += flattened_text(imported);
  return text + fmt::format("  profile    {} ({:.0f} kB)\n", file, static_cast<double>(bytes) / 1e3);
}

}  // namespace moesim
