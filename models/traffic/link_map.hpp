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
  FullLinkMap(std::size_t links, int columns)
      : columns_{columns},
        rows_(links),
        of_source_columns_(links, 0),
        signature_(links, 0),
        of_source_(links, 0.0),
        source_squares_(links, 0.0) {}

  /// A share of the column's bytes takes this route.
  void add(std::span<const LinkId> route, int column, double share) {
    for (LinkId link : route) {
      auto& row = rows_[static_cast<std::size_t>(link)];
      if (row.empty()) row.resize(static_cast<std::size_t>(columns_), 0.0);
      row[static_cast<std::size_t>(column)] += share;
      if (share == 0) continue;
      if (of_source_[static_cast<std::size_t>(link)] == 0) touched_.push_back(link);
      of_source_[static_cast<std::size_t>(link)] += share;
      of_source_columns_[static_cast<std::size_t>(link)] += mixed(static_cast<std::uint64_t>(column));
    }
  }

  /// What was added since the last call came from one source with this share of the tokens.
  void end_source(double share) {
    for (LinkId link : touched_) {
      double& sum = of_source_[static_cast<std::size_t>(link)];
      source_squares_[static_cast<std::size_t>(link)] += sum * sum / share;
      sum = 0;
      std::uint64_t& columns = of_source_columns_[static_cast<std::size_t>(link)];
      signature_[static_cast<std::size_t>(link)] += mixed(columns ^ sources_);
      columns = 0;
    }
    touched_.clear();
    ++sources_;
  }

  int columns() const { return columns_; }
  std::size_t links() const { return rows_.size(); }
  std::span<const double> row(std::size_t link) const { return rows_[link]; }  ///< empty: carries nothing
  /// Mean over sources, by share, of (columns that they reach over the link)^2.
  double source_squares(std::size_t link) const { return source_squares_[link]; }
  /// A hash of the sources and columns whose bytes take the link.
  std::uint64_t signature(std::size_t link) const { return signature_[link]; }

private:
  /// The finisher of splitmix64.
  static std::uint64_t mixed(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  }

  int columns_;
  std::vector<std::vector<double>> rows_;
  std::uint64_t sources_ = 0;
  std::vector<std::uint64_t> of_source_columns_, signature_;
  std::vector<LinkId> touched_;
  std::vector<double> of_source_, source_squares_;
};

inline constexpr std::size_t kStripRows = 8;

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

  /// Rows of several terms that read much the same sums: a dense matrix over columns first_sum ... first_sum + columns,
  /// stored in strips of kStripRows rows.
  struct Block {
    std::vector<LinkId> links;
    int first_sum, columns;
    std::vector<double> coefficient;  ///< [strips][columns][kStripRows]
  };

  void compress(std::span<const double> row, Terms& terms);
  void sort_by_coefficient(std::span<const double> row);
  int laid_out(int sum) const;
  void lay_out(std::span<const double> x, std::span<double> by_rail) const;
  void add_blocks(std::vector<LinkId> links, std::vector<Terms>& rows);
  static Block block_of(std::span<const LinkId> links, const std::vector<Terms>& rows);

  SubsetSums sums_;
  int columns_, width_, nodes_;
  std::size_t terms_ = 0;
  std::vector<double> coefficient_;        ///< [links]: the single term of most rows
  std::vector<std::uint32_t> single_sum_;  ///< [links]
  std::vector<Block> blocks_;
  std::vector<std::pair<double, int>> order_;  ///< scratch of compress
};

}  // namespace moesim
