#pragma once
// The CSV tables of a result folder. Names carry units.

#include <string>

#include "sim/metrics/summary.hpp"

namespace moesim {

std::string steps_csv(const Summary& summary);    ///< step,start_ms,took_ms,tokens
std::string experts_csv(const Summary& summary);  ///< layer,expert,slot,gpu,tokens (gpu "all": a slice on every GPU)
std::string gpus_csv(const Summary& summary);     ///< gpu,tokens,<cause>_ms...,wait_ms,gating_share
std::string links_csv(const Summary& summary);    ///< link,tier,bytes,busy_share,peak_share
std::string requests_csv();                       ///< header only: a batch has no requests

}  // namespace moesim
