#include <chrono>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <unistd.h>

#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

}  // namespace

TEST_CASE("Every truncation of a scenario is taken or refused, never a crash", "[scenario]") {
  const std::string text =
      kSmall + "layout:\n  attention: {tp: 1, dp: 8}\nslo: {ttft: \"2 s\"}\nquestion: >\n  Is it?\n";
  REQUIRE(refusal(text) == "");
  for (std::size_t size = 0; size < text.size(); ++size) CHECK_NOTHROW(refusal(text.substr(0, size)));
}

TEST_CASE("A thousand levels are refused before anything recurses", "[scenario]") {
  const std::string expected = "got more than 64 levels of nesting, expected a scenario's few levels";
  CHECK_THAT(refusal(repeated("[", 1000) + repeated("]", 1000)), Contains(expected));
  CHECK_THAT(refusal(repeated("{a: ", 1000) + repeated("}", 1000)), Contains(expected));
  CHECK_THAT(refusal(repeated("- ", 1000)), Contains(expected));
  CHECK_THAT(refusal(repeated("? ", 1000)), Contains("got "));
  CHECK_THAT(refusal(repeated("[", 1 << 20)), Contains("got "));
}

TEST_CASE("An alias bomb costs nothing and is refused", "[scenario]") {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i)
    bomb += fmt::format("a{}: &a{} [*a{}, *a{}, *a{}]\n", i, i, i - 1, i - 1, i - 1);  // 3^59 values if expanded
  CHECK_THAT(refusal(bomb), Contains("s.yaml:1:1: got the unknown key 'a0'"));
  CHECK_THAT(refusal("a: &a [" + repeated("*a, ", 5) + "]\n"), Contains("got an alias inside its own anchor"));
  CHECK_THAT(refusal("x: &x 1\ny: [" + repeated("*x, ", 1001) + "]\n"), Contains("got more than 1000 aliases"));
}

TEST_CASE("More keys, values or bytes than a scenario can have are refused", "[scenario]") {
  std::string keys;
  for (int i = 0; i < 1001; ++i) keys += fmt::format("k{}: 1\n", i);
  CHECK_THAT(refusal(keys), Contains("got more than 1000 keys in one map"));
  CHECK_THAT(refusal("a: [" + repeated("1,", 100001) + "]\n"), Contains("got more than 100000 values"));
  CHECK(refusal(std::string((1 << 20) + 1, ' ')) == "s.yaml: got 1048577 bytes, expected at most 1048576 bytes");
  CHECK_THAT(refusal("question: " + std::string(900000, 'x') + "\n"), Contains("model: got nothing"));
}

TEST_CASE("A megabyte of random bytes and of random YAML characters is refused in bounded time", "[scenario]") {
  const std::string alphabet = "ab01 \n:-{}[],?&*!|>'\"%@`#~.";
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    Random random{seed, Purpose::test, 1, 0};
    std::string bytes(seed % 2 == 0 ? 1 << 20 : 1 << 16, '\0');
    for (char& c : bytes)
      c = seed % 2 == 0 ? static_cast<char>(random.below(256))
                        : alphabet[random.below(static_cast<std::uint32_t>(alphabet.size()))];
    INFO("seed " << seed);
    CHECK_THAT(refusal(bytes), Contains("got "));
  }
}

TEST_CASE("Mutations of a good scenario are taken or refused, never another exception", "[scenario]") {
  const std::string good = kSmall + "routing: {kind: zipf, exponent: 0.6}\nlayout: {attention: {dp: 8}}\n";
  int taken = 0;
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    Random random{seed, Purpose::test, 2, 0};
    std::string text = good;
    for (std::uint32_t edits = 1 + random.below(4); edits > 0; --edits) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      if (random.below(3) == 0)
        text.erase(at, 1 + random.below(5));
      else
        text.insert(at, 1, static_cast<char>(32 + random.below(95)));
    }
    INFO("seed " << seed << "\n" << text);
    std::string message;
    REQUIRE_NOTHROW(message = refusal(text));
    taken += message.empty() ? 1 : 0;
  }
  CHECK(taken < 1000);  // most mutations break something
}

TEST_CASE("What is no file is refused", "[scenario]") {
  CHECK_THROWS_AS(load_scenario("no/such/file.yaml"), InputError);
  CHECK_THROWS_AS(load_scenario(std::filesystem::temp_directory_path()), InputError);
  CHECK_THROWS_AS(load_scenario("/dev/zero"), InputError);  // endless
}
