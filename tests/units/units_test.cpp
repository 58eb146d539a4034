#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "models/units/error.hpp"
#include "models/units/quantity.hpp"
#include "models/units/random.hpp"
#include "models/units/resources.hpp"
#include "models/units/text.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("Dividing bytes by a bandwidth gives seconds", "[units]") {
  const Seconds time = 450.0_GB / 450.0_GBps;
  REQUIRE(time.value() == Approx(1.0));
  REQUIRE(1.0_GB / 0.5_GB == Approx(2.0));
}

TEST_CASE("Network gear is read in bits and memory in bytes", "[units]") {
  CHECK(parse_bandwidth("400 Gb/s", "nic").value() == 50e9);
  CHECK(parse_bandwidth("450GB/s", "nvlink").value() == 450e9);
  CHECK(parse_bandwidth("3.35 TB/s", "hbm").value() == 3.35e12);
  CHECK(parse_bytes("80 GiB", "memory").value() == 85899345920.0);
  CHECK(parse_bytes("141 GB", "memory").value() == 141e9);
  CHECK(parse_seconds("1.2 us", "latency").value() == Approx(1.2e-6));
  CHECK(parse_flops_rate("989.5 TFLOP/s", "bf16").value() == 989.5e12);
}

TEST_CASE("A bare number is refused with the fix", "[units]") {
  REQUIRE_THROWS_WITH(parse_bandwidth("400", "cluster.fabric.nic"),
                      "cluster.fabric.nic: got the bare number 400, expected a unit, as '400 GB/s'");
  REQUIRE_THROWS_WITH(parse_seconds("50", "slo.tpot"), "slo.tpot: got the bare number 50, expected a unit, as '50 ms'");
}

TEST_CASE("A wrong unit, a negative value, NaN and infinity are refused", "[units]") {
  REQUIRE_THROWS_WITH(parse_bandwidth("400 Gbps", "nic"),
                      Catch::Matchers::Contains("nic: got unit 'Gbps' in '400 Gbps'"));
  REQUIRE_THROWS_WITH(parse_bandwidth("400 GBs", "nic"), Catch::Matchers::Contains("did you mean GB/s?"));
  REQUIRE_THROWS_WITH(parse_bytes("-1 GB", "memory"), "memory: got '-1 GB', expected a value that is not negative");
  REQUIRE_THROWS_AS(parse_seconds("nan s", "t"), InputError);
  REQUIRE_THROWS_AS(parse_seconds("inf s", "t"), InputError);
  REQUIRE_THROWS_AS(parse_seconds("1e400 s", "t"), InputError);
  REQUIRE_THROWS_AS(parse_seconds("", "t"), InputError);
  REQUIRE_THROWS_AS(parse_bytes("80 GiB extra", "t"), InputError);
}

TEST_CASE("A quantity written as text reads back to the same value", "[units]") {
  Random random{7, Purpose::test, 0, 0};
  for (int i = 0; i < 1000; ++i) {
    const double value = std::exp(60 * random.uniform() - 20);
    CHECK(parse_bytes(to_text(Bytes{value}), "x").value() == value);
    CHECK(parse_bandwidth(to_text(BytesPerSecond{value}), "x").value() == value);
    CHECK(parse_seconds(to_text(Seconds{value}), "x").value() == value);
  }
  CHECK(to_text(BytesPerSecond{450e9}) == "450 GB/s");
  CHECK(to_text(80_GiB) == "80 GiB");
  CHECK(to_text(Seconds{0}) == "0 s");
  CHECK(to_text(50.0_ms) == "50 ms");
}

TEST_CASE("People read four digits in the handiest unit", "[units]") {
  CHECK(human(Seconds{0.0481}) == "48.1 ms");
  CHECK(human(Bytes{76.5e9}) == "71.25 GiB");
  CHECK(with_commas(46702792704) == "46,702,792,704");
  CHECK(with_commas(-1234) == "-1,234");
  CHECK(with_commas(7) == "7");
}

TEST_CASE("The nearest key is named when it is near and none when it is not", "[units]") {
  CHECK(nearest("tokens_per_gpus", {"tokens_per_gpu", "context", "steps"}) == "tokens_per_gpu");
  CHECK(nearest("modle", {"model", "nodes", "layout"}) == "model");  // two letters swapped are one edit
  CHECK(nearest("zzzz", {"tokens_per_gpu", "context", "steps"}).empty());
}

TEST_CASE("A name in the wrong case, or cut short, still finds its name", "[units]") {
  const std::vector<std::string> gpus{"a100-sxm", "h100-sxm", "h200-sxm"};
  CHECK(nearest("H100-SXM", gpus) == "h100-sxm");
  CHECK(nearest("h100", gpus) == "h100-sxm");  // four letters short, which is no small edit
  CHECK(nearest("H200", gpus) == "h200-sxm");
  CHECK(nearest("FP8", {"bf16", "fp8_block", "fp8"}) == "fp8");
  CHECK(nearest("h", gpus).empty());
  // Letters alike, the case decides: bits are not bytes.
  CHECK(nearest("gb/s", {"GB/s", "Gb/s"}) == "Gb/s");
  CHECK(nearest("Gb", {"GB/s", "Gb/s"}) == "Gb/s");
}

TEST_CASE("An input error says where, what was found and what is expected", "[units]") {
  CHECK(std::string{InputError{"layout.experts.ep", "7", "a divisor of 256"}.what()} ==
        "layout.experts.ep: got 7, expected a divisor of 256");
  CHECK(std::string{NotModelledYet{"layout.pp", "pp 4", "pp 1"}.what()} ==
        "layout.pp: pp 4 is not modelled yet; use pp 1");
}

TEST_CASE("Random numbers depend on their key alone", "[units]") {
  Random a{1, Purpose::test, 2, 3, 4}, b{1, Purpose::test, 2, 3, 4}, c{1, Purpose::test, 2, 3, 5},
      d{1, Purpose::audit, 2, 3, 4};
  const std::uint32_t first = a.bits();
  CHECK(b.bits() == first);
  CHECK(c.bits() != first);
  CHECK(d.bits() != first);
}

TEST_CASE("Uniform, normal and gamma numbers have the moments of their law", "[units]") {
  // 200,000 draws: a mean of variance v is within 5 sqrt(v / n).
  constexpr int n = 200000;
  Random random{11, Purpose::test, 0, 0};
  double uniform = 0, normal = 0, squares = 0, gamma_small = 0, gamma_large = 0;
  for (int i = 0; i < n; ++i) {
    uniform += random.uniform();
    const double x = random.normal();
    normal += x;
    squares += x * x;
    gamma_small += random.gamma(0.3);
    gamma_large += random.gamma(5);
  }
  CHECK(std::abs(uniform / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(normal / n) < 5 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(gamma_small / n - 0.3) < 5 * std::sqrt(0.3 / n));
  CHECK(std::abs(gamma_large / n - 5) < 5 * std::sqrt(5.0 / n));
}

TEST_CASE("The normal quantile inverts the distribution function", "[units]") {
  for (const double p : {1e-9, 1e-4, 0.02, 0.3, 0.5, 0.9, 0.999999}) {
    INFO("p " << p);
    CHECK(0.5 * std::erfc(-normal_quantile(p) / std::sqrt(2.0)) == Approx(p).epsilon(1e-7));
  }
}

TEST_CASE("Numbers below n cover all of them evenly", "[units]") {
  Random random{3, Purpose::test, 1, 1};
  std::array<int, 7> seen{};
  for (int i = 0; i < 70000; ++i) ++seen[random.below(7)];
  for (const int count : seen) CHECK(std::abs(count - 10000) < 5 * std::sqrt(10000.0 * 6 / 7));
}

TEST_CASE("Lines are read from plain text, with or without a last line end", "[units]") {
  const auto file = std::filesystem::temp_directory_path() / ("moesim_lines_" + std::to_string(::getpid()));
  std::ofstream{file} << "a,b\r\n1,2\n3,4";
  CHECK(read_lines(file) == std::vector<std::string>{"a,b", "1,2", "3,4"});
  REQUIRE_THROWS_AS(read_lines(file, 4), InputError);
  REQUIRE_THROWS_AS(read_text_file(file, 4), InputError);
  std::filesystem::remove(file);
  REQUIRE_THROWS_WITH(read_lines(file), file.string() + ": got no such file, expected a readable file");
  REQUIRE_THROWS_WITH(read_text_file("/"), "/: got a folder, expected a readable file");
}
