#pragma once
// Small parts of a kernel model's document. Each throws InputError with the place for what is not as it should be.

#include <map>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "models/hardware/catalogue_json.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

inline constexpr double kMost = 1e12;  ///< of any number in a model

/// The beginning of a value, for messages.
std::string shown(const nlohmann::json& value);

/// The list under `key`, which is there.
const nlohmann::json& list(const nlohmann::json& object, const std::string& key, const std::string& where);

KernelOperation operation(const CatalogueObject& object);
ModelError error_of(const nlohmann::json& part, const std::string& where);
ModelOrigin origin_of(const nlohmann::json& part, const std::string& where);
TileLaw tiles_of(const nlohmann::json& given, const std::string& where);
std::map<KernelOperation, std::string> stand_ins_of(const nlohmann::json& given, const std::string& where);

}  // namespace moesim
