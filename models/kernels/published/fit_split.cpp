#include "models/kernels/published/fit_split.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace moesim {

std::uint64_t hash_of(const TableKey& key, const std::vector<double>& at, double size) {
  std::string text = fmt::format("{} {} {}", name_of(key.operation), key.kernel, name_of(key.format));
  for (const int dimension : key.dimensions) text += fmt::format(" {}", dimension);
  for (const double place : at) text += fmt::format(" {:g}", place);
  text += fmt::format(" {:g}", size);
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash ^ (hash >> 29);
}

std::size_t SplitPoints::count() const {
  std::size_t made = held_out.size();
  for (const auto& [at, points] : fitted) made += points.size();
  return made;
}

std::vector<CurvePoint> curve_points(const std::vector<const MeasuredPoint*>& points) {
  std::vector<CurvePoint> made;
  for (const MeasuredPoint* point : points) made.push_back({point->size, point->microseconds});
  return made;
}

SplitPoints split_points(const TableKey& key, const std::vector<MeasuredPoint>& points) {
  std::map<std::vector<double>, std::pair<double, double>> ends;
  for (const MeasuredPoint& point : points) {
    if (point.skew > 0) continue;
    auto& [least, most] = ends.try_emplace(point.at, point.size, point.size).first->second;
    least = std::min(least, point.size);
    most = std::max(most, point.size);
  }
  SplitPoints made;
  for (const MeasuredPoint& point : points) {
    if (point.skew > 0) {
      const bool fitted = hash_of(key, point.at, point.tokens + point.skew) % 5 == 0;
      (fitted ? made.skewed_fitted : made.skewed).push_back(&point);
      continue;
    }
    const auto& [least, most] = ends.at(point.at);
    if (point.size > least && point.size < most && hash_of(key, point.at, point.size) % 5 == 0) {
      made.held_out.push_back(&point);
    } else {
      made.fitted[point.at].push_back(&point);
    }
  }
  return made;
}

}  // namespace moesim
