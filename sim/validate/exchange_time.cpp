#include "sim/validate/exchange_time.hpp"

#include "models/collectives/uniform_exchange.hpp"

namespace moesim {
namespace {

CopyRule copy_rule(const RowExchange& exchange) {
  if (exchange.kernel == ExchangeKernel::low_latency) return CopyRule::per_expert;
  const bool across = exchange.kernel == ExchangeKernel::normal && exchange.ranks > exchange.gpus_per_node;
  return across ? CopyRule::per_node : CopyRule::per_rank;
}

const CollectiveParameters& parameters_of(const Gpu& gpu, const RowExchange& exchange) {
  const bool out = exchange.direction == Direction::dispatch;
  switch (exchange.kernel) {
    case ExchangeKernel::normal:
      return out ? gpu.dispatch_normal : gpu.combine_normal;
    case ExchangeKernel::one_sided:
      return out ? gpu.dispatch_one_sided : gpu.combine_one_sided;
    default:
      return out ? gpu.dispatch : gpu.combine;
  }
}

/// "published" of "published: least squares ...", "transferred" of "transferred from h100-sxm ...".
std::string source_of(const CollectiveParameters& parameters) {
  const std::string first = parameters.source.substr(0, parameters.source.find_first_of(" :"));
  return first.empty() ? "catalogue" : first;
}

}  // namespace

double logical_copies(const RowExchange& exchange) {
  const bool one_node = exchange.ranks <= exchange.gpus_per_node;
  const int parts = one_node ? exchange.ranks : (exchange.ranks + exchange.gpus_per_node - 1) / exchange.gpus_per_node;
  return distinct_parts(parts, exchange.experts, exchange.top_k);
}

SourcedTime exchange_time(const RowExchange& exchange) {
  const Gpu gpu = find_gpu(exchange.gpu, "case");
  const CollectiveParameters& parameters = parameters_of(gpu, exchange);
  const UniformTokens tokens{exchange.tokens, exchange.experts, exchange.top_k,
                             vector_bytes_of(exchange.hidden, exchange.payload)};
  return {UniformExchange{gpu, exchange.ranks, exchange.gpus_per_node}.time(copy_rule(exchange), parameters, tokens),
          source_of(parameters)};
}

SourcedTime collective_time(const VendorCollective& collective) {
  const Gpu gpu = find_gpu(collective.gpu, "case");
  const UniformExchange ranks{gpu, collective.ranks, gpu.gpus_per_node};
  switch (collective.operation) {
    case VendorOperation::all_reduce:
      return {ranks.all_reduce(collective.message), source_of(gpu.all_reduce)};
    case VendorOperation::all_gather:
    case VendorOperation::reduce_scatter:  // runs alike, backwards
      return {ranks.all_gather(collective.message), source_of(gpu.all_gather)};
    default:
      return {ranks.pairwise(collective.message), source_of(gpu.all_to_all)};
  }
}

std::optional<VendorOperation> vendor_operation(std::string_view name) {
  if (name == "all_reduce") return VendorOperation::all_reduce;
  if (name == "all_gather") return VendorOperation::all_gather;
  if (name == "reduce_scatter") return VendorOperation::reduce_scatter;
  if (name == "alltoall" || name == "all_to_all") return VendorOperation::all_to_all;
  return std::nullopt;
}

}  // namespace moesim
