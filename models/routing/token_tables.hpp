#pragma once
// Drawing tokens of a TokenDesign fast: how many experts from each group, then which.

#include <cstdint>
#include <span>
#include <vector>

#include "models/routing/alias_table.hpp"
#include "models/routing/token_design.hpp"

namespace moesim {

class TokenTables {
public:
  explicit TokenTables(const TokenDesign& design);

  int top_k() const { return shape_.top_k; }

  /// Distinct experts of one token. `random.bits()` gives uniform 32-bit words; out has top_k entries.
  template <class Bits>
  void draw(Bits& random, std::span<int> out) const {
    int* next = out.data();
    if (shape_.groups == 1) {
      take_from(groups_[0], shape_.top_k, random, next);
      return;
    }
    int kept = shape_.kept, left = shape_.top_k;
    for (int g = 0; g < shape_.groups && left > 0; ++g) {
      const std::uint64_t* outcome = counts_.data() + state(g, kept, left);
      const std::uint64_t word = random.bits();
      int taken = -1;  // left out
      while (word >= *outcome) ++outcome, ++taken;
      if (taken < 0) continue;
      take_from(groups_[static_cast<std::size_t>(g)], taken, random, next);
      --kept;
      left -= taken;
    }
  }

private:
  /// Experts in falling weight. The heaviest `heads` are decided one by one; the rest is drawn with replacement until
  /// distinct, which seldom repeats once the heavy ones are gone.
  struct Group {
    std::vector<std::int32_t> heads;
    std::vector<std::uint64_t> take;  // [heads][top_k + 1]: chance of 2^32 that a head is taken when r are still wanted
    AliasTable tail;
  };

  template <class Bits>
  void take_from(const Group& group, int wanted, Bits& random, int*& next) const {
    const std::uint64_t* take = group.take.data() + wanted;
    for (const std::int32_t head : group.heads) {
      if (wanted == 0) return;
      if (random.bits() < *take) {
        *next++ = head;
        --wanted;
        --take;
      }
      take += shape_.top_k + 1;
    }
    int* const first = next;
    while (next < first + wanted) {
      const int expert = group.tail.at(random.bits());
      const int* same = first;
      while (same < next && *same != expert) ++same;
      if (same < next)
        next = first;  // a repeat: all over again, else the law would be another
      else
        *next++ = expert;
    }
  }

  std::size_t state(int g, int kept, int left) const {
    const auto degree = static_cast<std::size_t>(shape_.top_k) + 1;
    return ((static_cast<std::size_t>(g) * (static_cast<std::size_t>(shape_.kept) + 1) +
             static_cast<std::size_t>(kept)) *
                degree +
            static_cast<std::size_t>(left)) *
           (degree + 1);
  }
  Group make_group(const TokenDesign& design, int g) const;
  void tabulate_counts(const TokenDesign& design);

  RouterShape shape_;
  std::vector<Group> groups_;
  // [groups][kept + 1][top_k + 1][top_k + 2]: cumulative chances of 2^32 that the group is left out, or kept with
  // 0, 1, ... experts, given how many groups and experts are still wanted.
  std::vector<std::uint64_t> counts_;
};

}  // namespace moesim
