#pragma once
// Whose kernel times a deployment runs on, and how well they are known.

#include <optional>
#include <string>
#include <vector>

#include "models/kernels/kernel_times.hpp"
#include "sim/metrics/summary.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

struct Deployment;

/// Every class of ops of one step of the fullest rank, in the order of a layer, and the collectives that a measured
/// curve times (of attention TP groups, and L3's gathering and scattering). Throws InputError for what the profile
/// lacks, so that it shows before a run.
std::vector<KernelUse> kernel_uses(const Scenario& scenario, const Deployment& plan);

/// The sigma of a step: over classes of ops, each with its share of the critical path, as independent errors; inside a
/// class every layer misses alike. Nothing when a class has no sigma. Collectives without a curve are taken as exact.
std::optional<Uncertainty> uncertainty_of(const std::vector<KernelUse>& uses, const Summary& summary);

/// What the network model times although the profile has curves: a line for each collective, with the reason. None for
/// plans without curves.
std::vector<std::string> collectives_without_curve(const Scenario& scenario, const Deployment& plan);

}  // namespace moesim
