#include "models/kernels/published/tile_fit.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "models/kernels/published/expert_curves.hpp"

namespace moesim {
namespace {

constexpr std::size_t kShares = TileLaw::kRows.size();
constexpr int kTiles[] = {16, 32, 64, 128, 1 << 20};  // the last: an expert is one tile, whatever its rows

/// What curves say of one measured time, which is linear in the shares.
struct Told {
  double measured = 0, by_rows = 0;
  std::array<double, kShares> more{};  ///< with that share 1

  double error(const TileLaw& law) const {
    constexpr double kMost = 0.5;
    double told = by_rows;
    for (std::size_t i = 0; i < kShares; ++i) told += law.share[i] * more[i];
    return told > 0 ? std::min(kMost, std::abs(std::log(told / measured))) : kMost;
  }
};

/// Of a table's curves for so many slots: by rows alone, and with each share 1.
struct Curves {
  ExpertCurves by_rows;
  std::vector<ExpertCurves> by_tiles;

  Curves(KernelTable table, const Gpu& gpu, int slots, int tile) : by_rows{table, gpu, slots} {
    for (std::size_t i = 0; i < kShares; ++i) {
      table.tiles = {tile, {}};
      table.tiles.share[i] = 1;
      by_tiles.emplace_back(table, gpu, slots);
    }
  }
};

void add_told(const TableOfKernel& of, int tile, const Gpu& gpu, PowerLawBatches& batches, std::vector<Told>& all) {
  const KernelTable& table = of.fitted->table;
  std::map<int, Curves> curves_of;
  for (const MeasuredPoint* point : of.points->skewed_fitted) {
    if (!of.points->fitted.contains(point->at)) continue;
    const int slots = static_cast<int>(point->at[0]);
    const Curves& curves = curves_of.try_emplace(slots, table, gpu, slots, tile).first->second;
    const auto& drawn = batches.of(routing_of(table.dimensions, *point), point->skew, of.fitted->habits);
    Told told{point->microseconds, mean_microseconds(curves.by_rows, drawn), {}};
    for (std::size_t i = 0; i < kShares; ++i)
      told.more[i] = mean_microseconds(curves.by_tiles[i], drawn) - told.by_rows;
    all.push_back(told);
  }
}

double mean_error(const std::vector<Told>& all, const TileLaw& law) {
  double sum = 0;
  for (const Told& told : all) sum += told.error(law);
  return sum / static_cast<double>(all.size());
}

/// One share after the other, twice: they hardly depend on each other.
double fit_shares(const std::vector<Told>& all, TileLaw& law) {
  constexpr int kRounds = 2, kSteps = 4;
  double least = mean_error(all, law);
  for (int round = 0; round < kRounds; ++round)
    for (double& share : law.share) {
      double best = share;
      for (int step = 0; step <= kSteps; ++step) {
        share = static_cast<double>(step) / kSteps;
        const double error = mean_error(all, law);
        if (error >= least) continue;
        least = error;
        best = share;
      }
      share = best;
    }
  return least;
}

}  // namespace

TileLaw fit_tiles(const std::vector<TableOfKernel>& tables, const Gpu& gpu, PowerLawBatches& batches) {
  constexpr std::size_t kEnough = 30;
  TileLaw best;
  double least = 0;
  for (const int tile : kTiles) {
    std::vector<Told> all;
    for (const TableOfKernel& table : tables) add_told(table, tile, gpu, batches, all);
    if (all.size() < kEnough) return {};
    TileLaw law{tile, {}};
    if (best.tile == 0) least = mean_error(all, law);
    const double error = fit_shares(all, law);
    if (error >= least) continue;
    least = error;
    best = law;
  }
  return best;
}

}  // namespace moesim
