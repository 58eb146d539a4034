#include "tests/scenario/yaml_to_json.hpp"

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <yaml-cpp/yaml.h>

namespace moesim::testing {
namespace {

nlohmann::json convert(const YAML::Node& node) {
  nlohmann::json result;
  if (node.IsMap()) {
    result = nlohmann::json::object();
    for (const auto& entry : node) result[entry.first.as<std::string>()] = convert(entry.second);
  } else if (node.IsSequence()) {
    result = nlohmann::json::array();
    for (const auto& item : node) result.push_back(convert(item));
  } else if (node.IsScalar()) {
    const std::string& text = node.Scalar();
    const bool plain = node.Tag() == "?";
    const bool is_json = plain && nlohmann::json::accept(text);  // numbers, true, false
    result = is_json ? nlohmann::json::parse(text) : nlohmann::json(text);
  }
  return result;
}

}  // namespace

nlohmann::json yaml_to_json(const std::string& text) {
  return convert(YAML::Load(text));
}

std::string schema_complaint(const nlohmann::json& schema, const nlohmann::json& document) {
  valijson::Schema parsed;
  valijson::SchemaParser{valijson::SchemaParser::kDraft7}.populateSchema(
      valijson::adapters::NlohmannJsonAdapter{schema}, parsed);
  valijson::ValidationResults results;
  const valijson::adapters::NlohmannJsonAdapter target{document};
  if (valijson::Validator{}.validate(parsed, target, &results)) return {};
  valijson::ValidationResults::Error error;
  if (!results.popError(error)) return "invalid";
  std::string where;
  for (const std::string& step : error.context) where += step;
  return where + ": " + error.description;
}

}  // namespace moesim::testing
