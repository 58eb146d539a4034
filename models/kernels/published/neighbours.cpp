#include "models/kernels/published/neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace moesim {
namespace {

std::size_t index_of(const std::vector<double>& places, double place) {
  const auto found = std::lower_bound(places.begin(), places.end(), place);
  if (found == places.end() || *found != place) throw std::out_of_range{"a place that is not on the grid"};
  return static_cast<std::size_t>(found - places.begin());
}

/// |logarithm| of what a point's neighbours of its own kind say over what was measured, outliers capped.
void add_misses(const std::map<double, double>& points, int alignment, double& sum, int& count) {
  for (const bool kind : {false, true}) {
    std::vector<CurvePoint> own;
    for (const auto& [size, microseconds] : points)
      if (microseconds > 0 && is_aligned(size, alignment) == kind) own.push_back({size, microseconds});
    for (std::size_t i = 1; i + 1 < own.size(); ++i) {
      const double share = (own[i].size - own[i - 1].size) / (own[i + 1].size - own[i - 1].size);
      const double told = own[i - 1].microseconds + share * (own[i + 1].microseconds - own[i - 1].microseconds);
      sum += std::min(1.0, std::abs(std::log(told / own[i].microseconds)));
      ++count;
    }
  }
}

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

Neighbours::Neighbours(const MeasuredGrid& points, int alignment) : alignment_{alignment} {
  if (points.empty()) throw std::out_of_range{"no points"};
  const std::size_t axes = points.begin()->first.size();
  places_.resize(axes + 1);
  for (const auto& [at, sizes] : points) {
    for (std::size_t axis = 0; axis < axes; ++axis) places_[axis].push_back(at[axis]);
    for (const auto& [size, microseconds] : sizes) places_[axes].push_back(size);
  }
  std::size_t cells = 1;
  for (auto& places : places_) {
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    cells *= places.size();
  }
  microseconds_.assign(cells, 0);
  for (const auto& [at, sizes] : points)
    for (const auto& [size, microseconds] : sizes) {
      std::size_t cell = 0;
      for (std::size_t axis = 0; axis < axes; ++axis)
        cell = cell * places_[axis].size() + index_of(places_[axis], at[axis]);
      microseconds_[cell * places_[axes].size() + index_of(places_[axes], size)] = microseconds;
    }
}

double Neighbours::at(const Cell& cell) const {
  std::size_t index = 0;
  for (std::size_t axis = 0; axis < places_.size(); ++axis) index = index * places_[axis].size() + cell[axis];
  return microseconds_[index];
}

double Neighbours::moved(Cell cell, std::size_t axis, std::size_t to) const {
  cell[axis] = to;
  return at(cell);
}

Neighbours::Ends Neighbours::around(const Cell& cell, std::size_t axis, bool same_kind) const {
  const auto& places = places_[axis];
  const auto counts = [&](std::size_t place) {
    return moved(cell, axis, place) > 0 &&
           (!same_kind || is_aligned(places[place], alignment_) == is_aligned(places[cell[axis]], alignment_));
  };
  Ends ends{none_, none_};
  for (std::size_t place = cell[axis]; place-- > 0 && ends.below == none_;)
    if (counts(place)) ends.below = place;
  for (std::size_t place = cell[axis] + 1; place < places.size() && ends.above == none_; ++place)
    if (counts(place)) ends.above = place;
  return ends;
}

void Neighbours::add_chord(const Cell& cell, std::size_t axis, std::vector<double>& estimates) const {
  const Ends ends = around(cell, axis, axis + 1 == places_.size());
  if (ends.below == none_ || ends.above == none_) return;
  const auto& places = places_[axis];
  const double share = (places[cell[axis]] - places[ends.below]) / (places[ends.above] - places[ends.below]);
  const double below = moved(cell, axis, ends.below);
  estimates.push_back(below + share * (moved(cell, axis, ends.above) - below));
}

void Neighbours::add_corners(const Cell& cell, std::size_t a, std::size_t b, std::vector<double>& estimates) const {
  const Ends along_a = around(cell, a, false), along_b = around(cell, b, false);
  for (const std::size_t place_a : {along_a.below, along_a.above})
    for (const std::size_t place_b : {along_b.below, along_b.above}) {
      if (place_a == none_ || place_b == none_) continue;
      Cell corner = cell;
      corner[a] = place_a;
      const double opposite = moved(corner, b, place_b);
      if (opposite > 0) estimates.push_back(at(corner) * moved(cell, b, place_b) / opposite);
    }
}

double Neighbours::told(const std::vector<double>& at, double size) const {
  Cell cell;
  for (std::size_t axis = 0; axis < at.size(); ++axis) cell.push_back(index_of(places_[axis], at[axis]));
  cell.push_back(index_of(places_.back(), size));
  std::vector<double> estimates;
  for (std::size_t a = 0; a < cell.size(); ++a) {
    add_chord(cell, a, estimates);
    for (std::size_t b = a + 1; b < cell.size(); ++b) add_corners(cell, a, b, estimates);
  }
  if (estimates.empty())  // a lonely curve: whatever is next to it, of either kind
    for (std::size_t axis = 0; axis < cell.size(); ++axis) {
      const Ends ends = around(cell, axis, false);
      for (const std::size_t place : {ends.below, ends.above})
        if (place != none_) estimates.push_back(moved(cell, axis, place));
    }
  if (estimates.empty()) throw std::out_of_range{"a point without neighbours"};
  return median(estimates);
}

int best_alignment(const MeasuredGrid& points) {
  int best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (const int alignment : {1, 2, 4, 8, 16}) {
    double sum = 0;
    int count = 0;
    for (const auto& [at, sizes] : points) add_misses(sizes, alignment, sum, count);
    if (count == 0 || sum / count >= least) continue;
    least = sum / count;
    best = alignment;
  }
  return best;
}

}  // namespace moesim
