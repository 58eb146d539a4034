#include "models/kernels/published/judged_ratios.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/kernels/profile_interpolation.hpp"

namespace moesim {

double three_digits(double value) {
  return std::stod(fmt::format("{:.3g}", value));
}

double credible_sigma(const ModelError& error) {
  constexpr int kEnough = 10;
  constexpr double kOfRoofline = 0.4, kLeast = 0.01;
  const double of_few = error.points < kEnough ? kOfRoofline / std::sqrt(std::max(1, error.points)) : 0;
  return std::max({error.sigma, of_few, kLeast});
}

ModelError Verdicts::error(KernelOperation operation, const std::string& regime, const Ratios& ratios) {
  std::vector<double> absolute, logarithms, signed_errors, others;
  for (const double ratio : ratios.predicted) {
    absolute.push_back(std::abs(ratio - 1));
    logarithms.push_back(std::abs(std::log(ratio)));
    signed_errors.push_back(ratio - 1);
  }
  for (const double ratio : ratios.other) others.push_back(std::abs(ratio - 1));
  return {operation,
          regime,
          static_cast<int>(ratios.predicted.size()),
          three_digits(quantile(absolute, 0.5)),
          three_digits(quantile(absolute, 0.9)),
          three_digits(quantile(logarithms, 0.68)),
          three_digits(quantile(signed_errors, 0.5)),
          ratios.baseline,
          three_digits(quantile(others, 0.5)),
          three_digits(quantile(others, 0.9))};
}

void Verdicts::add(KernelOperation operation, const std::string& regime, const char* baseline, double predicted,
                   double other, double measured) {
  Ratios& judged = ratios_[{operation, regime}];
  judged.baseline = baseline;
  judged.predicted.push_back(predicted / measured);
  judged.other.push_back(other / measured);
}

std::vector<ModelError> Verdicts::errors() const {
  std::vector<ModelError> made;
  for (const auto& [of, judged] : ratios_) made.push_back(error(of.first, of.second, judged));
  return made;
}

}  // namespace moesim
