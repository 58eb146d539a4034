#include <algorithm>

#include "sim/validate/validation.hpp"

namespace moesim {
namespace {

/// Cases of one line, in order.
struct Bucket {
  std::string file, group;
  bool flagged = false;
  std::vector<const ValidatedCase*> cases;
};

Bucket& bucket_of(std::vector<Bucket>& buckets, const ValidatedCase& one, const std::string& group) {
  const bool flagged = one.status == CaseStatus::flagged;
  for (Bucket& bucket : buckets)
    if (bucket.file == one.of.file && bucket.group == group && bucket.flagged == flagged) return bucket;
  return buckets.emplace_back(Bucket{one.of.file, group, flagged, {}});
}

std::vector<std::string> file_order(const Validation& validation) {
  std::vector<std::string> order;
  for (const ValidatedFile& file : validation.files) order.push_back(file.name);
  return order;
}

StatisticsLine line_of(const Bucket& bucket) {
  std::vector<PredictedPair> pairs, alone;
  for (const ValidatedCase* one : bucket.cases) {
    pairs.push_back(one->pair());
    if (one->decode_alone) alone.push_back({*one->decode_alone, *one->of.measured});
  }
  StatisticsLine line{bucket.file, bucket.group, bucket.flagged, error_statistics(pairs), std::nullopt};
  if (alone.size() == pairs.size()) line.decode_alone = error_statistics(alone);
  return line;
}

}  // namespace

std::vector<StatisticsLine> statistics_lines(const Validation& validation) {
  std::vector<Bucket> files, groups;
  for (const ValidatedCase& one : validation.cases) {
    if (!one.is_compared()) continue;
    bucket_of(files, one, "").cases.push_back(&one);
    bucket_of(groups, one, one.of.group).cases.push_back(&one);
  }
  std::stable_sort(groups.begin(), groups.end(), [](const Bucket& a, const Bucket& b) { return a.group < b.group; });
  std::vector<StatisticsLine> lines;
  for (const std::string& name : file_order(validation))
    for (const bool flagged : {false, true})
      for (const auto* buckets : {&files, &groups})
        for (const Bucket& bucket : *buckets)
          if (bucket.file == name && bucket.flagged == flagged) lines.push_back(line_of(bucket));
  return lines;
}

}  // namespace moesim
