#include "tests/cli/json_schema.hpp"

#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace moesim::testing {

std::string schema_violations(const nlohmann::json& document, const std::string& name) {
  const auto file = std::filesystem::path{MOESIM_TEST_SOURCE_DIR} / "scenarios" / "schema" / (name + ".schema.json");
  std::ifstream in{file};
  if (!in) throw std::runtime_error{"no schema " + file.string()};
  const nlohmann::json text = nlohmann::json::parse(in);

  valijson::Schema schema;
  valijson::SchemaParser{valijson::SchemaParser::kDraft7}.populateSchema(valijson::adapters::NlohmannJsonAdapter{text},
                                                                         schema);
  valijson::ValidationResults results;
  const valijson::adapters::NlohmannJsonAdapter target{document};
  if (valijson::Validator{}.validate(schema, target, &results)) return {};
  std::string violations;
  for (const auto& error : results) {
    for (const std::string& step : error.context) violations += step;
    violations += ": " + error.description + "\n";
  }
  return violations;
}

}  // namespace moesim::testing
