#include <algorithm>

#include <fmt/format.h>

#include "models/placement/csv.hpp"
#include "models/placement/placement.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

constexpr std::string_view kHeader = "layer,rank,experts";

/// The experts of every (layer, rank), as read.
struct Rows {
  int layers, ranks;
  std::vector<std::vector<int>> experts;  ///< [layers * ranks]
  std::vector<bool> seen;

  std::size_t at(int layer, int rank) const { return static_cast<std::size_t>(layer) * ranks + rank; }
};

void read_row(const std::string& line, const std::string& where, int experts, Rows& rows) {
  const auto fields = split_fields(line, ',');
  if (fields.size() != 3)
    throw InputError{where, fmt::format("{} fields", fields.size()), fmt::format("3: {}", kHeader)};
  const int layer = parse_index(fields[0], where, "layer", 0, rows.layers - 1);
  const int rank = parse_index(fields[1], where, "rank", 0, rows.ranks - 1);
  const std::size_t row = rows.at(layer, rank);
  if (rows.seen[row]) throw InputError{where, fmt::format("layer {}, rank {} again", layer, rank), "one row for each"};
  rows.seen[row] = true;
  for (std::string_view expert : split_fields(fields[2], ' '))
    if (!expert.empty()) rows.experts[row].push_back(parse_index(expert, where, "expert", 0, experts - 1));
  if (rows.experts[row].size() > static_cast<std::size_t>(experts))
    throw InputError{where, fmt::format("{} experts on one rank", rows.experts[row].size()),
                     fmt::format("at most the model's {}", experts)};
}

Rows read_rows(const std::string& file, int ranks, int layers, int experts) {
  const auto lines = read_lines(file);
  if (lines.empty() || lines[0] != kHeader)
    throw InputError{place_in(file, 1), lines.empty() ? "nothing" : fmt::format("'{}'", lines[0].substr(0, 60)),
                     fmt::format("the header {}", kHeader)};
  const std::size_t count = static_cast<std::size_t>(layers) * ranks;
  Rows rows{layers, ranks, std::vector<std::vector<int>>(count), std::vector<bool>(count, false)};
  for (std::size_t i = 1; i < lines.size(); ++i)
    if (!lines[i].empty()) read_row(lines[i], place_in(file, i + 1), experts, rows);
  return rows;
}

void check_rows_complete(const std::string& file, const Rows& rows) {
  for (int layer = 0; layer < rows.layers; ++layer)
    for (int rank = 0; rank < rows.ranks; ++rank)
      if (!rows.seen[rows.at(layer, rank)])
        throw InputError{file, fmt::format("no row for layer {}, rank {}", layer, rank),
                         fmt::format("{} layers x {} ranks = {} rows", rows.layers, rows.ranks, rows.seen.size())};
}

void check_experts_present(const std::string& file, const Placement& placement) {
  for (int layer = 0; layer < placement.layers; ++layer) {
    const auto copies = placement.replicas(layer);
    const auto missing = std::find(copies.begin(), copies.end(), 0);
    if (missing != copies.end())
      throw InputError{file, fmt::format("no rank holds expert {} in layer {}", missing - copies.begin(), layer),
                       fmt::format("all {} experts in every layer", placement.experts)};
  }
}

}  // namespace

Placement load_placement(const std::string& file, int ranks, int layers, int experts) {
  const Rows rows = read_rows(file, ranks, layers, experts);
  check_rows_complete(file, rows);

  std::size_t slots_per_rank = 0;
  for (const auto& held : rows.experts) slots_per_rank = std::max(slots_per_rank, held.size());
  Placement placement{layers, experts, ranks, static_cast<int>(slots_per_rank), {}};
  placement.expert_of.assign(rows.experts.size() * slots_per_rank, -1);
  for (std::size_t row = 0; row < rows.experts.size(); ++row)
    std::copy(rows.experts[row].begin(), rows.experts[row].end(), placement.expert_of.begin() + row * slots_per_rank);
  check_experts_present(file, placement);
  return placement;
}

}  // namespace moesim
