#include <algorithm>

#include <fmt/format.h>

#include "models/placement/placement.hpp"
#include "models/units/csv_reader.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// The experts of every (layer, rank), as read.
struct Rows {
  int layers, ranks;
  std::vector<std::vector<int>> experts;  ///< [layers * ranks]
  std::vector<bool> seen;

  std::size_t at(int layer, int rank) const { return static_cast<std::size_t>(layer) * ranks + rank; }
};

Rows read_rows(CsvReader& csv, int ranks, int layers, int experts) {
  const int layer_column = csv.require("layer"), rank_column = csv.require("rank"),
            experts_column = csv.require("experts");
  const std::size_t count = static_cast<std::size_t>(layers) * ranks;
  Rows rows{layers, ranks, std::vector<std::vector<int>>(count), std::vector<bool>(count, false)};
  while (csv.next()) {
    const int layer = csv.index(layer_column, 0, layers - 1, "layer");
    const int rank = csv.index(rank_column, 0, ranks - 1, "rank");
    const std::size_t row = rows.at(layer, rank);
    if (rows.seen[row])
      throw InputError{csv.place(rank_column), fmt::format("layer {}, rank {} again", layer, rank), "one row for each"};
    rows.seen[row] = true;
    for (const std::string_view expert : csv.words(experts_column))
      rows.experts[row].push_back(csv.index(expert, 0, experts - 1, "expert"));
    if (rows.experts[row].size() > static_cast<std::size_t>(experts))
      throw InputError{csv.place(experts_column), fmt::format("{} experts on one rank", rows.experts[row].size()),
                       fmt::format("at most the model's {}", experts)};
  }
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
  CsvReader csv{file};
  const Rows rows = read_rows(csv, ranks, layers, experts);
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
