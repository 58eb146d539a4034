#pragma once
// What `moesim routing` prints: a document for programs, a table for people.

#include <string>
#include <vector>

#include "models/routing/bias_control.hpp"
#include "models/routing/route_fit.hpp"

namespace moesim {

std::string routing_fit_json(const RouteFit& fit);
std::string routing_fit_text(const RouteFit& fit);

struct RoutingControl {
  std::string model;
  RoutingSpec routing;
  BiasControlSpec spec;
  std::vector<BiasControlStep> free, controlled;  ///< without and with the bias
};
std::string routing_control_json(const RoutingControl& control);
std::string routing_control_text(const RoutingControl& control);

}  // namespace moesim
