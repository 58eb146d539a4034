#pragma once
// Counter-based random numbers (Philox4x32-10): the value depends on its key alone, never on event order.

#include <array>
#include <cstdint>

namespace moesim {

/// What a random number is for; two purposes never share numbers.
enum class Purpose : std::uint32_t {
  popularity = 1,  ///< which experts are popular in a layer
  token_routes,    ///< which experts one token takes
  expert_loads,    ///< aggregate loads of a layer
  replica,         ///< which copy of an expert serves a token
  dp_imbalance,    ///< tokens per data-parallel rank
  audit,
  test,
  request_domain,  ///< which kind of request a request is
  persistence,     ///< whether a token repeats the one before it, or follows its layer before
  bootstrap,
};

/// The numbers keyed on (seed, purpose, step, layer, item), in order.
class Random {
public:
  Random(std::uint64_t seed, Purpose purpose, std::uint32_t step, std::uint32_t layer, std::uint32_t item = 0);

  std::uint32_t bits();                  ///< 32 uniform bits
  double uniform();                      ///< in (0, 1), never 0 or 1
  double normal();                       ///< mean 0, variance 1, by the inverse of the distribution function
  double gamma(double shape);            ///< mean = shape, scale 1
  std::uint32_t below(std::uint32_t n);  ///< 0 .. n-1, unbiased

private:
  void refill();
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

/// Inverse of the standard normal distribution function, relative error below 1.2e-9. p in (0, 1).
/// Source: P. J. Acklam's rational approximation with one Halley step left out.
double normal_quantile(double p);

}  // namespace moesim
