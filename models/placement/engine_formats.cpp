#include "models/placement/engine_formats.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Engines give every rank the same number of slots.
void check_full(const Placement& placement, const char* engine) {
  if (std::find(placement.expert_of.begin(), placement.expert_of.end(), -1) != placement.expert_of.end())
    throw InputError{"placement", "ranks that hold different numbers of experts",
                     fmt::format("{} on every rank for {}", placement.slots_per_rank, engine)};
}

void check_consecutive(std::span<const int> layer_ids, const char* engine) {
  for (std::size_t i = 1; i < layer_ids.size(); ++i)
    if (layer_ids[i] != layer_ids[i - 1] + 1)
      throw InputError{"loads", fmt::format("layer {} after layer {}", layer_ids[i], layer_ids[i - 1]),
                       fmt::format("consecutive layers: {} numbers its rows by position", engine)};
}

std::string row_text(std::span<const int> row) {
  return fmt::format("[{}]", fmt::join(row, ", "));
}

/// Rows one below the other, as people diff them.
std::string rows_text(const std::vector<std::string>& rows) {
  return fmt::format("[\n    {}\n  ]", fmt::join(rows, ",\n    "));
}

std::vector<std::string> slot_rows(const Placement& placement) {
  std::vector<std::string> rows;
  for (int layer = 0; layer < placement.layers; ++layer) rows.push_back(row_text(placement.layer(layer)));
  return rows;
}

std::string trivial_row(const Placement& placement) {
  std::vector<int> row(placement.slots());
  for (int slot = 0; slot < placement.slots(); ++slot) row[slot] = slot % placement.experts;
  return row_text(row);
}

}  // namespace

std::string to_sglang(const Placement& placement, std::span<const int> layer_ids) {
  check_full(placement, "SGLang");
  check_consecutive(layer_ids, "SGLang");
  std::vector<std::string> rows(layer_ids.front(), trivial_row(placement));
  for (std::string& row : slot_rows(placement)) rows.push_back(std::move(row));
  return fmt::format("{{\n  \"physical_to_logical_map\": {}\n}}\n", rows_text(rows));
}

std::string to_vllm(const Placement& placement, std::span<const int> layer_ids) {
  check_full(placement, "vLLM");
  check_consecutive(layer_ids, "vLLM");
  std::vector<std::string> counts;
  for (int layer = 0; layer < placement.layers; ++layer) counts.push_back(row_text(placement.replicas(layer)));
  return fmt::format("{{\n  \"physical_to_logical_map\": {},\n  \"logical_replica_count\": {}\n}}\n",
                     rows_text(slot_rows(placement)), rows_text(counts));
}

std::string to_trtllm(const Placement& placement, std::span<const int> layer_ids) {
  check_full(placement, "TensorRT-LLM");
  std::string text = fmt::format("num_slots: {}\ninitial_global_assignments:\n", placement.slots());
  const auto rows = slot_rows(placement);
  for (std::size_t i = 0; i < rows.size(); ++i) text += fmt::format("  {}: {}\n", layer_ids[i], rows[i]);
  return text + "layer_updates_per_iter: 0\n";
}

}  // namespace moesim
