#pragma once
// `moesim routing fit`: everything that a file of measured routing says, layer by layer.

#include <optional>
#include <string>
#include <vector>

#include "models/routing/load_fit.hpp"
#include "models/routing/route_files.hpp"
#include "models/routing/trace_fit.hpp"

namespace moesim {

struct RankFit {
  int ranks = 0;  ///< of equal runs of consecutive experts
  double max_over_mean = 1;
  Interval interval;
  std::optional<double> generated;  ///< traces: mean over replicates of the generator
};

/// What only recorded tokens tell.
struct TokenFit {
  double overlap = 0, chance_overlap = 0, far_overlap = 0;  ///< see TraceNumbers
  Interval overlap_interval;
  double persistence = 0, shrinkage = 0;                      ///< see TraceGenerator
  std::optional<double> next_layer_affinity;                  ///< none for the last layer
  double generated_max_over_mean = 1, generated_overlap = 0;  ///< means over replicates of the generator
};

struct LayerFit {
  int layer = 0;  ///< as in the file
  LoadFit loads;
  Interval max_over_mean;
  std::vector<RankFit> ranks;
  std::optional<TokenFit> tokens;
};

struct NamedPairFit {
  std::string layers;
  PairFit fit;
};

struct RouteFit {
  std::string file;
  RouteFile kind = RouteFile::loads;
  int experts = 0;
  int top_k = 0;                         ///< 0: a file of loads does not tell
  std::size_t tokens = 0, requests = 0;  ///< traces
  std::vector<LayerFit> layers;
  std::vector<NamedPairFit> pairs;  ///< files of pairs have these and no layers
  std::vector<int> layer_ids;
  std::optional<TraceGenerator> generator;  ///< traces
  std::vector<std::string> notes;
};

struct RouteFitOptions {
  ColumnValues where;   ///< loads and pairs
  int experts = 0;      ///< traces; 0: the largest id + 1
  int resamples = 400;  ///< of the bootstrap
  int replicates = 8;   ///< of the generator, whose means are compared with the trace
  std::uint64_t seed = 1;
};

/// Throws InputError as the readers of route_files.hpp do.
RouteFit fit_route_file(const std::string& file, const RouteFitOptions& options);

/// Layers whose generated numbers lie within the bootstrap intervals of the trace, by number, of all layers.
struct Reproduced {
  int max_over_mean = 0, overlap = 0, ranks = 0, all_ranks = 0, layers = 0;
};
Reproduced reproduced(const RouteFit& fit);

/// The `routing:` section of a scenario that generates what was fitted. A trace's mixture needs its shares in a file of
/// its own (generator_csv) at `csv_path`, which is written relative to the scenario; loads give the family that comes
/// nearest on average. Throws InputError for pairs, which are no loads.
std::string routing_yaml(const RouteFit& fit, const std::string& csv_path);
/// domain,layer,expert,count,persistence of the trace's mixture; "" when there is none.
std::string generator_csv(const RouteFit& fit);

}  // namespace moesim
