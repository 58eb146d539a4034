#pragma once
// One calibration from the command line: verified, measured, kept in a file, told. Shared by `moesim calibrate` and by
// the program that a machine with nothing but a GPU builds.

#include <filesystem>
#include <string>

#include "models/kernels/calibration.hpp"

namespace moesim {

class SignalWatch;

struct CalibrationSession {
  CalibrationRequest request;
  std::filesystem::path out;  ///< checked by check_writable
  std::string program_version;
  bool json = false, quiet = false;
};

/// Verifies the backend's kernels, measures, and writes the profile now and then and at the end; tells the result on
/// stdout and how far it is on stderr. When a signal came the process ends by it, the profile written.
///
/// Throws InputError for a budget that is too small and RunError for a wrong kernel or a failing device: what was
/// measured until then is in the file, and the error says so.
void run_calibration(const CalibrationSession& session, ExpertBackend& backend, SignalWatch& signals);

}  // namespace moesim
