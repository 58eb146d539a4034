#include "sim/cli/replay_run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>

namespace moesim {
namespace {

Seconds median(const std::vector<Seconds>& times) {
  std::vector<double> values;
  for (const Seconds time : times) values.push_back(time.value());
  return Seconds{quantile(values, 0.5)};
}

ReplayErrors summed_up(std::string name, std::int64_t seen, const std::vector<const ReplayedHistogram*>& replayed) {
  ReplayErrors result;
  result.name = std::move(name);
  result.seen = seen;
  result.replayed = static_cast<int>(replayed.size());
  std::vector<double> errors, sizes;
  for (const ReplayedHistogram* one : replayed) {
    result.predicted += one->predicted / static_cast<double>(replayed.size());
    result.measured += one->measured / static_cast<double>(replayed.size());
    errors.push_back(one->error());
    sizes.push_back(std::abs(one->error()));
  }
  result.median = quantile(sizes, 0.5);
  result.p90 = quantile(sizes, 0.9);
  result.worst = quantile(sizes, 1);
  result.bias = quantile(errors, 0.5);
  return result;
}

}  // namespace

std::vector<ReplayedHistogram> replay(ExpertBackend& backend, const KernelShape& shape,
                                      const ProfileInterpolation& model, const std::vector<RankHistogram>& histograms,
                                      Seconds budget, const std::function<void(std::size_t)>& progress) {
  constexpr Seconds kPerHistogram{0.25};
  constexpr int kMostCalls = 5;
  const auto start = std::chrono::steady_clock::now();
  const auto left = [&] {
    return budget - Seconds{std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
  };
  backend.prepare(shape);
  std::vector<ReplayedHistogram> result;
  for (const RankHistogram& histogram : histograms) {
    const Seconds predicted = *model.time(shape, histogram.rows);
    if (!result.empty() && 2 * predicted > left()) continue;  // a cheaper one may fit
    try {
      const Seconds first = backend.run(histogram.rows, 1, Caches::cold).times.front();
      const int calls = std::clamp(static_cast<int>(std::min(kPerHistogram, left()) / first), 1, kMostCalls);
      result.push_back({histogram, class_of(histogram.rows), calls, predicted,
                        median(backend.run(histogram.rows, calls, Caches::cold).times)});
      progress(result.size());
    } catch (const std::bad_alloc&) {
      continue;  // a smaller one may fit
    } catch (const KernelMissing&) {
      continue;
    }
  }
  return result;
}

std::vector<ReplayedHistogram> compare_with_profile(const ExpertTimes& simulator, const KernelShape& shape,
                                                    const ProfileInterpolation& model,
                                                    const std::vector<RankHistogram>& histograms) {
  std::vector<ReplayedHistogram> result;
  for (const RankHistogram& histogram : histograms)
    result.push_back(
        {histogram, class_of(histogram.rows), 0, simulator(histogram.rows), *model.time(shape, histogram.rows)});
  return result;
}

std::vector<ReplayErrors> errors_at_points(const ExpertTimes& simulator, const KernelShape& shape,
                                           const Profile& profile) {
  std::map<HistogramKind, std::vector<ReplayedHistogram>> kinds;
  std::vector<const ReplayedHistogram*> all;
  for (const ProfilePoint& point : profile.points) {
    KernelShape same = point.shape;
    same.experts = shape.experts;
    if (same != shape) continue;
    ReplayedHistogram& one = kinds[point.histogram.kind].emplace_back();
    one.histogram.rows = point.histogram.rows;
    one.predicted = simulator(point.histogram.rows);
    one.measured = point.median;
  }
  std::vector<ReplayErrors> result;
  for (const auto& [kind, points] : kinds) {
    std::vector<const ReplayedHistogram*> of;
    for (const ReplayedHistogram& one : points) of.push_back(&one);
    all.insert(all.end(), of.begin(), of.end());
    result.push_back(summed_up(std::string{name_of(kind)}, static_cast<std::int64_t>(of.size()), of));
  }
  if (!all.empty()) result.insert(result.begin(), summed_up("all", static_cast<std::int64_t>(all.size()), all));
  return result;
}

std::vector<ReplayErrors> replay_errors(const std::vector<ReplayedHistogram>& replayed, const ReplaySample& sample) {
  std::map<std::string, std::vector<const ReplayedHistogram*>> classes;
  std::vector<const ReplayedHistogram*> all;
  for (const ReplayedHistogram& one : replayed) {
    classes[one.name].push_back(&one);
    all.push_back(&one);
  }
  std::vector<ReplayErrors> result;
  for (const auto& [name, of] : classes) result.push_back(summed_up(name, sample.seen(name), of));
  std::stable_sort(result.begin(), result.end(),
                   [](const ReplayErrors& a, const ReplayErrors& b) { return a.seen > b.seen; });
  result.insert(result.begin(), summed_up("all", sample.seen(), all));
  return result;
}

}  // namespace moesim
