#pragma once
// What `moesim profile import` prints: the profile, and what became of the tables.

#include <string>

#include "models/kernels/published/import.hpp"

namespace moesim {

/// file, bytes : the profile that was written
std::string import_json(const Imported& imported, const std::string& file, std::size_t bytes);
std::string import_text(const Imported& imported, const std::string& file, std::size_t bytes);

}  // namespace moesim
