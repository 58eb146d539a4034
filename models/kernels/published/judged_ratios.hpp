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

/// Predicted against measured, and what the baseline says, of one operation and regime.
struct JudgedRatios {
  std::string baseline{};
  std::vector<double> predicted{}, other{};  ///< each over measured

  /// Requires a prediction.
  ModelError error(KernelOperation operation, const std::string& regime) const;
};

/// By operation and regime.
class Verdicts {
public:
  void add(KernelOperation operation, const std::string& regime, const char* baseline, double predicted, double other,
           double measured);
  std::vector<ModelError> errors() const;

private:
  std::map<std::pair<KernelOperation, std::string>, JudgedRatios> ratios_;
};

}  // namespace moesim
