#include "models/kernels/published/kernel_model_parts.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/error.hpp"

namespace moesim {

using nlohmann::json;

namespace {

constexpr double kLargestSigma = 5;

}  // namespace

std::string shown(const json& value) {
  return value.dump().substr(0, 60);
}

const json& list(const json& object, const std::string& key, const std::string& where) {
  if (!object.at(key).is_array()) throw InputError{where, shown(object.at(key)), "a list"};
  return object.at(key);
}

KernelOperation operation(const CatalogueObject& object) {
  return parse_operation(object.text("operation"), object.where("operation"), "an operation of a kernel model");
}

ModelError error_of(const json& part, const std::string& where) {
  const CatalogueObject object{part,
                               where,
                               {"operation", "regime", "points", "median", "p90", "sigma", "bias", "baseline",
                                "baseline_median", "baseline_p90"}};
  ModelError made;
  made.operation = operation(object);
  made.regime = object.text("regime");
  made.points = object.count("points");
  made.median = object.number("median", 0, kMost);
  made.p90 = object.number("p90", 0, kMost);
  made.sigma = object.number("sigma", 0, kLargestSigma);
  made.bias = object.number("bias", -1, kMost);
  made.baseline = object.text("baseline");
  made.baseline_median = object.number("baseline_median", 0, kMost);
  made.baseline_p90 = object.number("baseline_p90", 0, kMost);
  return made;
}

ModelOrigin origin_of(const json& part, const std::string& where) {
  const CatalogueObject object{part, where, {"source", "name", "revision", "date", "licence", "notes"}};
  ModelOrigin made{KernelSource::published, object.text("name"),    object.text("revision"),
                   object.text("date"),     object.text("licence"), {}};
  const std::string source = object.text("source");
  if (source == name_of(KernelSource::calibrated)) {
    made.kind = KernelSource::calibrated;
  } else if (source != name_of(KernelSource::published)) {
    throw InputError{object.where("source"), source, "published or calibrated"};
  }
  for (const json& note : list(part, "notes", object.where("notes"))) {
    if (!note.is_string()) throw InputError{object.where("notes"), shown(note), "texts"};
    made.notes.push_back(note.get<std::string>());
  }
  return made;
}

TileLaw tiles_of(const json& given, const std::string& where) {
  const CatalogueObject object{given, where, {"rows", "share"}};
  TileLaw made;
  made.tile = object.count("rows");
  const json& shares = list(given, "share", object.where("share"));
  const auto wrong = [](const json& share) { return !share.is_number() || !(share >= 0 && share <= 1); };
  if (shares.size() != made.share.size() || std::any_of(shares.begin(), shares.end(), wrong))
    throw InputError{object.where("share"), shown(shares), fmt::format("{} numbers from 0 to 1", made.share.size())};
  std::transform(shares.begin(), shares.end(), made.share.begin(),
                 [](const json& share) { return share.get<double>(); });
  return made;
}

std::map<KernelOperation, std::string> stand_ins_of(const json& given, const std::string& where) {
  if (!given.is_object()) throw InputError{where, shown(given), "engines by operation"};
  std::map<KernelOperation, std::string> made;
  for (const auto& [name, lender] : given.items()) {
    if (!lender.is_string()) throw InputError{where + "." + name, shown(lender), "the name of an engine"};
    made[parse_operation(name, where, "")] = lender.get<std::string>();
  }
  return made;
}

}  // namespace moesim
