#pragma once
// Measured tables of others -> a kernel model: read, held out, fitted, judged.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/kernels/published/flattened.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// What became of one file.
struct ImportedFile {
  std::string path;  ///< below the folder
  int rows = 0, used = 0;
  std::map<std::string, int> left_out;  ///< why, and how many rows
};

struct Imported {
  KernelModel model;
  std::vector<ImportedFile> files;
  /// Of a CSV file, whose lines it names; aiconfigurator's tables are not looked at.
  std::optional<Flattened> flattened{};
};

/// What the tables themselves do not say.
struct ImportRequest {
  std::string gpu = "auto";  ///< an entry of the catalogue; "auto" reads it off the device
  std::string name;          ///< of the model; empty: the GPU's, of a CSV file its own
  std::string source, revision, date, licence;
  std::string device;         ///< where the tables do not name it
  std::string nccl = "auto";  ///< the version whose collectives are taken; auto: the newest
};

/// The catalogue's entry for a device's own name ("NVIDIA H100 80GB HBM3"). Throws InputError for none or several.
std::string gpu_of_device(const std::string& device);

/// Tables of one GPU as aiconfigurator stores them:
/// DIR/{moe,gemm,attention,mla,mla_bmm}/ENGINE/VERSION/*_perf.csv[.gz]. Of every engine the newest version that has
/// experts, dense products and attention; where that has no table of an operation, that of the nearest older version;
/// number formats that it then lacks (gpt-oss's mxfp4 in vLLM 0.19) from the nearest newer version that has them.
/// Collectives inside and across nodes from DIR/comm, where there is one (import_collectives.hpp).
///
/// A fifth of the rows between the ends of their curves are held out by a hash of what they measured and never used for
/// a fit; the model's errors are on those. Skewed rows are never fitted either.
/// Rows faster than the GPU's peaks allow (fastest_time.hpp) are left out and counted.
/// Throws InputError for what is missing, and "FILE:LINE: COLUMN" for damaged rows, for times that are not above zero,
/// and for the same point measured twice with times more than a factor of two apart. What `request` names is looked up
/// before anything is read.
Imported import_aiconfigurator(const std::filesystem::path& folder, const ImportRequest& request);

/// One CSV file (models/kernels/README.md says the columns). Otherwise as import_aiconfigurator, but a row faster than
/// the GPU's peaks allow is refused, and so is a second version of an engine. Without a source the times are the
/// user's own (calibrated), of the file; with one they are published by it.
Imported import_csv(const std::filesystem::path& file, const ImportRequest& request);

}  // namespace moesim
