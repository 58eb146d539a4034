// How parts of a summary are called, in its JSON and to people.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/units/text.hpp"
#include "sim/metrics/summary_json.hpp"

namespace moesim {

std::string_view name_of(Cause cause) {
  switch (cause) {
    case Cause::attention:
      return "attention";
    case Cause::tp_collective:
      return "tp_collective";
    case Cause::dispatch:
      return "dispatch";
    case Cause::offload:
      return "offload";
    case Cause::experts:
      return "experts";
    case Cause::combine:
      return "combine";
    case Cause::dense:
      return "dense";
    case Cause::pipeline:
      return "pipeline";
    case Cause::host:
      return "host";
    case Cause::other:
      break;
  }
  return "other";
}

std::string words_of(Cause cause) {
  std::string words{name_of(cause)};
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

double gibibytes(Bytes bytes) {
  constexpr double kGiB = 1073741824.0;
  return bytes.value() / kGiB;
}

double rate_per_gpu(const Summary& summary) {
  return summary.output_tokens_per_s.value_or(summary.total_tokens_per_s) / summary.gpus;
}

CauseShare bound_by(const Summary& summary) {
  const auto& path = summary.critical_path;
  const auto largest = std::max_element(path.begin(), path.end());
  return {static_cast<Cause>(largest - path.begin()), *largest};
}

std::string node_arithmetic(int used, int all, int nodes, std::optional<int> per_node) {
  const std::string gpus = fmt::format("{}{}", used == all ? "" : fmt::format("{} of ", used), all);
  return per_node ? fmt::format("{} = {} node{} x {}", gpus, nodes, nodes == 1 ? "" : "s", *per_node)
                  : fmt::format("{} on {} unequal nodes", gpus, nodes);
}

std::string rate_words(double tokens_per_s) {
  return tokens_per_s < 100 ? fmt::format("{:.3g}", tokens_per_s) : with_commas(std::llround(tokens_per_s));
}

std::string_view name_of(Hotspot::Kind kind) {
  switch (kind) {
    case Hotspot::Kind::expert:
      return "expert";
    case Hotspot::Kind::gpu:
      return "gpu";
    case Hotspot::Kind::link:
      return "link";
    case Hotspot::Kind::tier:
      return "tier";
    case Hotspot::Kind::stage:
      return "stage";
  }
  return "";
}

std::string_view name_of(Hotspot::Cause cause) {
  switch (cause) {
    case Hotspot::Cause::hot_expert:
      return "hot_expert";
    case Hotspot::Cause::hot_experts:
      return "hot_experts";
    case Hotspot::Cause::slow_gpu:
      return "slow_gpu";
    case Hotspot::Cause::uneven_batches:
      return "uneven_batches";
    case Hotspot::Cause::slow_link:
      return "slow_link";
    case Hotspot::Cause::collision:
      return "collision";
    case Hotspot::Cause::busy_link:
      return "busy_link";
    case Hotspot::Cause::oversubscription:
      return "oversubscription";
    case Hotspot::Cause::uneven_stages:
      return "uneven_stages";
    case Hotspot::Cause::uneven_pools:
      return "uneven_pools";
  }
  return "";
}

}  // namespace moesim
