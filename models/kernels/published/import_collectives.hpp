#pragma once
// Tables of collectives as aiconfigurator stores them: DIR/comm/{nccl,ENGINE}/VERSION/*_perf.csv[.gz].

#include <utility>

#include "models/kernels/published/import.hpp"
#include "models/kernels/published/measured_points.hpp"

namespace moesim {

struct CollectiveRequest {
  std::string gpu;                                           ///< entry of the catalogue that every row must be of
  std::string device;                                        ///< and a name of it that the kernels' tables have
  std::string nccl = "auto";                                 ///< a version, or the newest
  std::vector<std::pair<std::string, std::string>> engines;  ///< with their versions
};

/// Throws InputError for a version of NCCL ("auto": any) that is not below the folder, with those that are.
void check_nccl(const std::filesystem::path& folder, const std::string& version);

/// "nccl": one version; under an engine's name its own all-reduce in CUDA graphs, of the engine's version or the
/// nearest older one; "deepep": of each mode, ranks and shape the newest version that measured it. Files that were read
/// are added to `files`. Throws InputError as import_aiconfigurator does, and for an NCCL version that is not there.
std::vector<EngineModel> import_collectives(const std::filesystem::path& folder, const CollectiveRequest& request,
                                            std::vector<ImportedFile>& files);

/// Curves of each table's points, judged by leaving out one size after the other (none at the ends): errors by
/// operation and number of ranks. The baseline is one line of latency and bandwidth through the same points.
void fit_collectives(const MeasuredPoints& points, EngineModel& library);

}  // namespace moesim
