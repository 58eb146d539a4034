#include "models/units/gzip.hpp"

#include <fstream>

#include "models/units/random.hpp"
#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"
#include "tests/own_folder.hpp"

using namespace moesim;

namespace {

std::vector<std::string> read_back(const std::string& text) {
  std::ofstream{"packed.gz", std::ios::binary} << gzipped(text);
  return read_lines("packed.gz");
}

}  // namespace

TEST_CASE("What is compressed reads back", "[units]") {
  CHECK(read_back("").empty());
  CHECK(read_back("one\ntwo\n") == std::vector<std::string>{"one", "two"});
  std::string noise;  // incompressible: more than a piece of the output
  Random random{1, Purpose::test, 0, 0};
  for (int i = 0; i < 700'000; ++i) noise += static_cast<char>(' ' + random.uniform() * 94);
  CHECK(read_back(noise) == std::vector<std::string>{noise});
}

TEST_CASE("A few bytes of gzip that are one line without end are refused", "[units]") {
  CHECK_THROWS_WITH(read_back("a,b\n" + std::string(std::size_t{4} << 20, '0')),
                    "packed.gz:2: got a line of more than 1048576 bytes, expected shorter lines");
}

TEST_CASE("Equal texts give equal bytes without a date or a name", "[units]") {
  const std::string packed = gzipped("the same");
  CHECK(packed == gzipped("the same"));
  // RFC 1952: 1f 8b, deflate, no flags, then the date.
  CHECK(packed.substr(0, 8) == std::string("\x1f\x8b\x08\0\0\0\0\0", 8));
}
