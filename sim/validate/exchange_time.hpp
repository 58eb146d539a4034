#pragma once
// Times of collectives as a simulation takes them: the catalogue's parameters, bytes per link, the fluid time.

#include <optional>
#include <string_view>

#include "models/collectives/collectives.hpp"
#include "sim/validate/measured_case.hpp"

namespace moesim {

struct SourcedTime {
  Seconds time;
  std::string source;  ///< published, transferred ...: as the catalogue's parameters say first
};

/// Every rank sends its tokens to uniformly chosen experts. Copies: one per expert (low latency), per rank (normal mode
/// inside a node, one-sided), per node (normal mode across nodes).
SourcedTime exchange_time(const RowExchange& exchange);

SourcedTime collective_time(const VendorCollective& collective);

/// Copies of a token that DeepEP's bandwidths of normal mode count.
double logical_copies(const RowExchange& exchange);

/// "alltoall", "all_gather" ... as NCCL's tests and their tables write it.
std::optional<VendorOperation> vendor_operation(std::string_view name);

}  // namespace moesim
