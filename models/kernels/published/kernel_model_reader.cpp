#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "models/hardware/catalogue_json.hpp"
#include "models/kernels/profile.hpp"
#include "models/kernels/published/curve_scale.hpp"
#include "models/kernels/published/curve_text.hpp"
#include "models/kernels/published/kernel_model.hpp"
#include "models/kernels/published/kernel_model_check.hpp"
#include "models/kernels/published/kernel_model_parts.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "moesim kernel model";
constexpr const char* kPerToken = "per_token_us";
constexpr const char* kTiles = "tiles";

std::vector<double> numbers(const json& list, std::size_t count, const std::string& where) {
  if (!list.is_array() || list.empty() || (count > 0 && list.size() != count))
    throw InputError{where, shown(list), count > 0 ? fmt::format("a list of {} numbers", count) : "a list of numbers"};
  std::vector<double> values;
  values.reserve(list.size());
  for (const json& value : list) {
    if (!value.is_number() || !(value.get<double>() >= 0) || value.get<double>() > kMost)
      throw InputError{where, shown(value), "a number from 0 to 1e12"};
    values.push_back(value.get<double>());
  }
  return values;
}

int tile_of(const json& value, const char* what, const std::string& where) {
  constexpr int kLargestTile = 4096;
  if (!value.is_number_integer() || value < 1 || value > kLargestTile)
    throw InputError{where, shown(value), fmt::format("{} from 1 to {}", what, kLargestTile)};
  return value.get<int>();
}

Curve curve(const json& triple, std::size_t axes, const std::string& where) {
  if (!triple.is_array() || triple.size() < 3 || triple.size() > 4)
    throw InputError{where, shown(triple), "[[place], [sizes], [us]], and a tile where there is one"};
  if (axes == 0 && !triple[0].empty()) throw InputError{where, shown(triple[0]), "no axes"};
  Curve made;
  if (axes > 0) made.at = numbers(triple[0], axes, where + ", place");
  made.size = numbers(triple[1], 0, where + ", sizes");
  if (triple.size() == 4) made.tile = tile_of(triple[3], "a tile", where + ", tile");
  made.microseconds = numbers(triple[2], made.size.size(), where + ", microseconds");
  for (std::size_t i = 0; i < made.size.size(); ++i) {
    if (made.microseconds[i] <= 0)
      throw InputError{where, fmt::format("{:g} us", made.microseconds[i]), "times above 0"};
    if (i > 0 && made.size[i] <= made.size[i - 1])
      throw InputError{where, fmt::format("size {:g} after {:g}", made.size[i], made.size[i - 1]),
                       "sizes that rise, each once"};
    if (i > 0 && made.microseconds[i] < made.microseconds[i - 1])
      throw InputError{where, fmt::format("{:g} us after {:g} us", made.microseconds[i], made.microseconds[i - 1]),
                       "times that do not fall"};
  }
  return made;
}

std::vector<std::string> keys_of(const std::vector<std::string_view>& names) {
  return {names.begin(), names.end()};
}

void check_layout(const json& part, const OperationLayout& layout, const std::string& where) {
  if (part.at("axes") != json(layout.axes))
    throw InputError{where + ".axes", shown(part.at("axes")), json(layout.axes).dump()};
  if (part.at("size") != json(layout.size))
    throw InputError{where + ".size", shown(part.at("size")), std::string{layout.size}};
}

std::vector<Curve> listed_curves_of(const json& value, std::size_t axes, const std::string& where) {
  if (!value.is_array()) throw InputError{where, shown(value), "a list"};
  std::vector<Curve> made;
  for (const json& triple : value) made.push_back(curve(triple, axes, fmt::format("{}[{}]", where, made.size())));
  if (made.empty()) throw InputError{where, "[]", "at least one curve"};
  return made;
}

/// A list of numbers that rise; an empty one: that of the group before.
void take_numbers(const json& value, std::vector<double>& into, const std::string& where) {
  if (value.is_array() && value.empty() && !into.empty()) return;
  into = numbers(value, 0, where);
  if (std::adjacent_find(into.begin(), into.end(), std::greater_equal<>{}) != into.end())
    throw InputError{where, shown(value), "numbers that rise, each once"};
}

/// Groups `[[places], [sizes], [last places], ["times" ...]]`, a text for each last place (curve_scale.hpp).
std::vector<Curve> packed_curves_of(const json& value, int alignment, std::size_t axes, const std::string& where) {
  if (!value.is_array() || value.empty()) throw InputError{where, shown(value), "a list of at least one group"};
  std::vector<Curve> made;
  std::vector<double> sizes, last;
  for (const json& group : value) {
    const std::string place = fmt::format("{}, curve {}", where, made.size());
    if (axes == 0 || !group.is_array() || group.size() != 4 || !group[3].is_array())
      throw InputError{place, shown(group), "[[places], [sizes], [last places], [times]] in a table with an alignment"};
    std::vector<double> at;
    if (axes > 1) at = numbers(group[0], axes - 1, place + ", places");
    take_numbers(group[1], sizes, place + ", sizes");
    take_numbers(group[2], last, place + ", last places");
    if (group[3].size() != last.size())
      throw InputError{place, fmt::format("{} times", group[3].size()), fmt::format("{}, one a place", last.size())};
    for (std::size_t i = 0; i < last.size(); ++i) {
      auto curve = group[3][i].is_string() ? unpacked(group[3][i].get_ref<const std::string&>(), sizes, alignment)
                                           : std::nullopt;
      if (!curve) throw InputError{place, shown(group[3][i]), fmt::format("times of {} sizes", sizes.size())};
      (curve->at = at).push_back(last[i]);
      made.push_back(std::move(*curve));
    }
  }
  return made;
}

/// Out of the document, or out of what was cut from it.
std::vector<Curve> curves_of(const json& part, std::size_t axes, CurvesApart& apart, const CatalogueObject& object) {
  const json& value = part.at("curves");
  const std::string where = object.where("curves");
  const auto from = [&](const json& list) {
    if (!part.contains("alignment")) return listed_curves_of(list, axes, where);
    const int alignment = tile_of(part.at("alignment"), "an alignment", object.where("alignment"));
    return packed_curves_of(list, alignment, axes, where);
  };
  const auto marked = value.is_string() ? marked_curves(value.get_ref<const std::string&>()) : std::nullopt;
  if (!marked || *marked >= apart.curves.size()) return from(value);
  CurveText& cut = apart.curves[*marked];
  const bool fits =
      std::all_of(cut.curves.begin(), cut.curves.end(), [&](const Curve& curve) { return curve.at.size() == axes; });
  return fits ? std::move(cut.curves) : from(json::parse(cut.text));
}

void check_places(const std::vector<Curve>& curves, const std::string& where) {
  if (std::ranges::adjacent_find(curves, std::greater_equal<>{}, &Curve::at) == curves.end()) return;  // as written
  std::set<std::vector<double>> places;
  for (const Curve& curve : curves)
    if (!places.insert(curve.at).second)
      throw InputError{where, fmt::format("two curves at [{:g}]", fmt::join(curve.at, ",")), "one at each place"};
}

KernelTable table(const json& part, CurvesApart& apart, const std::string& where) {
  std::vector<std::string> keys{"operation", "kernel", "format", "dimensions", "axes", "size", "curves"};
  for (const char* key : {kPerToken, kTiles, "points", "doubtful", "alignment"})  // of some tables
    if (part.is_object() && part.contains(key)) keys.emplace_back(key);
  const CatalogueObject object{part, where, keys};
  KernelTable made;
  made.operation = operation(object);
  const OperationLayout& layout = layout_of(made.operation);
  check_layout(part, layout, where);
  made.kernel = object.text("kernel");
  made.format = parse_number_format(object.text("format"), object.where("format"));
  const CatalogueObject dimensions = object.object("dimensions", keys_of(layout.dimensions));
  for (const std::string_view name : layout.dimensions)
    made.dimensions.push_back(static_cast<int>(dimensions.number(std::string{name}, 0, 1e9)));
  for (const char* key : {kPerToken, kTiles})
    if (part.contains(key) && !is_experts(made.operation))
      throw InputError{object.where(key), shown(part.at(key)), "no such key but for experts"};
  if (part.contains(kPerToken)) made.per_token = Seconds{object.number(kPerToken, 0, kMost) * 1e-6};
  if (part.contains(kTiles)) made.tiles = tiles_of(part.at(kTiles), object.where(kTiles));
  made.curves = curves_of(part, layout.axes.size(), apart, object);
  check_places(made.curves, object.where("curves"));
  if (part.contains("points")) made.points = object.count("points");
  if (const auto doubtful = part.find("doubtful"); doubtful != part.end()) {
    if (!doubtful->is_boolean()) throw InputError{object.where("doubtful"), shown(*doubtful), "true or false"};
    made.doubtful = doubtful->get<bool>();
  }
  return made;
}

/// `key` names it: "engine", whose tables are of one GPU, or "library", whose tables are collectives.
EngineModel engine(const json& part, const std::string& key, const Gpu& gpu, CurvesApart& apart,
                   const std::string& where) {
  std::vector<std::string> keys{key, "version", "errors", "tables"};
  const bool lent = part.is_object() && part.contains("stand_ins");
  if (lent) keys.emplace_back("stand_ins");
  const CatalogueObject object{part, where, keys};
  EngineModel made{object.text(key), object.text("version"), {}, {}};
  if (lent) made.stand_ins = stand_ins_of(part.at("stand_ins"), object.where("stand_ins"));
  for (const json& item : list(part, "tables", object.where("tables"))) {
    const std::string place = fmt::format("{}[{}]", object.where("tables"), made.tables.size());
    made.tables.push_back(table(item, apart, place));
    const KernelOperation of = made.tables.back().operation;
    if (is_collective(of) != (key == "library"))
      throw InputError{place + ".operation", std::string{name_of(of)},
                       is_collective(of) ? "an operation of one GPU: this one belongs into collectives"
                                         : "a collective: this one belongs into engines"};
    check_table(made.tables.back(), gpu, place);
  }
  check_each_once(made.tables, object.where("tables"));
  for (const json& item : list(part, "errors", object.where("errors")))
    made.errors.push_back(error_of(item, fmt::format("{}[{}]", object.where("errors"), made.errors.size())));
  return made;
}

/// The list under `list_key`, with one of each name: scenarios choose by it.
std::vector<EngineModel> engines(const json& document, const std::string& list_key, const std::string& key,
                                 const Gpu& gpu, CurvesApart& apart, const std::string& where) {
  std::vector<EngineModel> made;
  for (const json& part : list(document, list_key, where)) {
    const std::string place = fmt::format("{}[{}]", where, made.size());
    made.push_back(engine(part, key, gpu, apart, place));
    const auto same = std::find_if(made.begin(), made.end() - 1,
                                   [&](const EngineModel& other) { return other.name == made.back().name; });
    if (same != made.end() - 1)
      throw InputError{fmt::format("{}.{}", place, key), made.back().name,
                       fmt::format("another name than that of {}[{}]", list_key, same - made.begin())};
  }
  return made;
}

Gpu gpu_of(const CatalogueObject& file) {
  const std::string name = file.text("gpu");
  const std::vector<std::string> names = gpu_names();
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw InputError{file.where("gpu"), name, "a name of `moesim list gpus`", nearest(name, names)};
  return find_gpu(name, file.where("gpu"));
}

/// What is no JSON is told of the whole text.
json parsed(const std::string& rest, const std::string& text, const std::string& origin) {
  json document = json::parse(rest, nullptr, false);
  if (document.is_discarded()) return parse_catalogue_json(text, origin);
  refuse_repeated_keys(rest, origin);
  return document;
}

bool is_kernel_model(const json& document) {
  return document.is_object() && document.contains("format") && document["format"] == kFormat;
}

void check_format(const json& document, const std::string& origin) {
  if (!is_kernel_model(document))
    throw InputError{origin, fmt::format("no \"format\": \"{}\"", kFormat), "a kernel model of moesim profile import"};
  if (!document.contains("version") ||
      (document["version"] != kKernelModelVersion && document["version"] != kOldestKernelModel))
    throw InputError{origin + ": version", document.contains("version") ? document["version"].dump() : "none",
                     fmt::format("{} or {} (import again with this moesim)", kOldestKernelModel, kKernelModelVersion)};
}

}  // namespace

KernelModel parse_kernel_model(const std::string& text, const std::string& origin) {
  CurvesApart apart = cut_curves(text);
  const json document = parsed(apart.rest, text, origin);
  check_format(document, origin);
  const CatalogueObject file{
      document, origin + ": ", {"format", "version", "name", "gpu", "device", "origin", "engines", "collectives"}};
  const Gpu gpu = gpu_of(file);
  KernelModel model{file.text("name"), gpu.name, file.text("device"), {}, {}, {}};
  model.origin = origin_of(document.at("origin"), file.where("origin"));
  model.engines = engines(document, "engines", "engine", gpu, apart, file.where("engines"));
  if (model.engines.empty()) throw InputError{file.where("engines"), "[]", "at least one engine"};
  for (const EngineModel& engine : model.engines)
    for (const auto& [operation, lender] : engine.stand_ins) {
      const std::string where =
          fmt::format("{} of {}.stand_ins.{}", file.where("engines"), engine.name, name_of(operation));
      const auto& tables = find_engine(model, lender, where).tables;
      if (lender == engine.name ||
          std::none_of(tables.begin(), tables.end(),
                       [of = operation](const KernelTable& table) { return table.operation == of; }))
        throw InputError{where, lender, "another engine of the profile with tables of that operation"};
    }
  model.collectives = engines(document, "collectives", "library", gpu, apart, file.where("collectives"));
  return model;
}

}  // namespace moesim
