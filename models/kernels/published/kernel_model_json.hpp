#pragma once
// Parts of a kernel model as JSON texts: in its file, and in what `moesim profile` prints.

#include <string>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

std::string json_text_of(const ModelError& error);
std::string json_text_of(const ModelOrigin& origin);

}  // namespace moesim
