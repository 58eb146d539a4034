#include <iostream>

#include "models/llm/parameters.hpp"
#include "models/units/resources.hpp"

int main(int, char** arguments) {
  const auto model = moesim::load_architecture(arguments[1]);
  std::cout << moesim::count_parameters(model).total << " from "
            << moesim::resource_folder(moesim::Resource::zoo).string() << '\n';
}
