#include <iostream>

#include "sim/engine/clock.hpp"

int main() {
  std::cout << "SimGrid " << moesim::simgrid_version() << '\n';
}
