#include "tests/catch_compat.hpp"
