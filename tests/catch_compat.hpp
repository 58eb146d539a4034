#pragma once
// Catch2 2.13 (Debian 12) and 3.x (Debian 13, Ubuntu 24.04). Stay inside what both have.
#ifdef MOESIM_CATCH2_V2
#include <catch2/catch.hpp>
#else
#include <catch2/catch_approx.hpp>
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_predicate.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
using Catch::Approx;

namespace Catch::Matchers {
/// Version 2's name for it; version 3's own Contains is for ranges, so its header must stay out.
inline StringContainsMatcher Contains(const std::string& text) {
  return ContainsSubstring(text);
}
}  // namespace Catch::Matchers
#endif
