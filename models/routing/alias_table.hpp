#pragma once
// One of n items with given weights from one 32-bit random word (Walker, ACM TOMS 3(3), 1977).

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

class AliasTable {
public:
  AliasTable() = default;
  /// weights : >= 0, any scale; an item of weight 0 is never drawn. Throws std::invalid_argument when all are zero.
  explicit AliasTable(std::span<const double> weights);

  int size() const { return static_cast<int>(cells_.size()); }

  /// Item of a uniform word. Its chance is off by at most size / 2^32.
  int at(std::uint32_t word) const {
    const std::uint64_t product = std::uint64_t{word} * cells_.size();
    const Cell& cell = cells_[static_cast<std::size_t>(product >> 32)];
    return static_cast<std::uint32_t>(product) < cell.threshold ? cell.own : cell.other;
  }

private:
  struct Cell {
    std::uint64_t threshold;  // of 2^32
    std::int32_t own, other;
  };
  std::vector<Cell> cells_;
};

}  // namespace moesim
