#pragma once
// Predictions over measurements, and what they say of a model.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// Three significant digits, which is what the file of a kernel model holds.
double three_digits(double value);

/// The sigma to count with: of fewer than ten judged rows not below what as many would tell of the roofline's error,
/// and never below 1 %, which is what a clock tells.
double credible_sigma(const ModelError& error);

/// Predictions by operation and regime.
class Verdicts {
public:
  void add(KernelOperation operation, const std::string& regime, const char* baseline, double predicted, double other,
           double measured);
  std::vector<ModelError> errors() const;

private:
  struct Ratios {
    std::string baseline{};
    std::vector<double> predicted{}, other{};  ///< each over measured
  };
  static ModelError error(KernelOperation operation, const std::string& regime, const Ratios& ratios);

  std::map<std::pair<KernelOperation, std::string>, Ratios> ratios_;
};

}  // namespace moesim
