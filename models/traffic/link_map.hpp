#pragma once
// The linear map from what ranks (or nodes) receive to what links carry: built in full, then compressed.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/traffic/subset_sums.hpp"

namespace moesim {

/// The map in full: a row of coefficients per link.
class FullLinkMap {
public:
  FullLinkMap(std::size_t links, int columns) : columns_{columns}, rows_(links) {}

  /// A share of the column's bytes takes this route.
  void add(std::span<const LinkId> route, int column, double share) {
    for (LinkId link : route) {
      auto& row = rows_[static_cast<std::size_t>(link)];
      if (row.empty()) row.resize(static_cast<std::size_t>(columns_), 0.0);
      row[static_cast<std::size_t>(column)] += share;
    }
  }

  int columns() const { return columns_; }
  std::size_t links() const { return rows_.size(); }
  std::span<const double> row(std::size_t link) const { return rows_[link]; }  ///< empty: carries nothing

private:
  int columns_;
  std::vector<std::vector<double>> rows_;
};

/// The same map as shared sums and few coefficients.
class CompressedLinkMap {
public:
  /// `width` : columns per node (1 when columns are nodes)
  CompressedLinkMap(const FullLinkMap& map, int width);

  /// out [links] (+)= map * x [columns]; `scratch` keeps its memory between calls.
  void apply(std::span<const double> x, std::span<double> out, bool accumulate, std::vector<double>& scratch) const;

  std::size_t terms() const { return terms_; }

private:
  using Terms = std::vector<SumTerm>;

  /// Coefficients of consecutive sums, zeros where a sum is not in the row, a multiple of the lanes.
  struct Run {
    std::uint32_t first_sum, first_coefficient, length;
  };
  /// A row of several terms.
  struct LongRow {
    LinkId link;
    std::uint32_t first_run, last_run;
  };

  void compress(std::span<const double> row, Terms& terms);
  void sort_by_coefficient(std::span<const double> row);
  int laid_out(int sum) const;
  void add_row(LinkId link, Terms& terms);
  void add_run(std::span<const SumTerm> terms);
  double total(const LongRow& row, const double* sums) const;

  SubsetSums sums_;
  int columns_, width_, nodes_;
  std::size_t terms_ = 0;
  std::vector<double> coefficient_;        ///< [links]: the single term of most rows
  std::vector<std::uint32_t> single_sum_;  ///< [links]
  std::vector<LongRow> long_rows_;
  std::vector<Run> runs_;
  std::vector<double> run_coefficient_;
  std::vector<std::pair<double, int>> order_;  ///< scratch of compress
};

}  // namespace moesim
