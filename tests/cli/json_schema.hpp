#pragma once
// Checks a JSON document against one of the committed schemas.

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace moesim::testing {

/// What the document breaks, one line each, as "<root>[libraries]: Missing required property 'boost'."; "" when it is
/// valid. `name` is the schema's stem in scenarios/schema, as "doctor".
std::string schema_violations(const nlohmann::json& document, const std::string& name);

}  // namespace moesim::testing
