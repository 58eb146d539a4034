#pragma once
// What an editor's YAML language server sees: the JSON of a YAML text under the core schema.

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace moesim::testing {

nlohmann::json yaml_to_json(const std::string& text);

/// First complaint of a draft-07 schema about a document, "" when it is valid.
std::string schema_complaint(const nlohmann::json& schema, const nlohmann::json& document);

}  // namespace moesim::testing
