// Any change to a good file of routing is either read or refused with an InputError; nothing else comes out.

#include <fstream>
#include <iterator>

#include <zlib.h>

#include "models/routing/route_fit.hpp"
#include "models/routing/routing.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/own_folder.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

std::string good(const std::string& name) {
  std::ifstream in{std::string{MOESIM_TEST_SOURCE_DIR} + "/tests/fuzz/corpus_routes/" + name, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// One to four changes: a byte, a cut, a line twice, a field grown, a line's tail lost.
std::string changed(std::string text, Random& random) {
  const auto place = [&] { return random.below(static_cast<std::uint32_t>(text.size())); };
  for (std::uint32_t n = 1 + random.below(4); n > 0 && !text.empty(); --n) {
    const std::size_t at = place();
    constexpr std::string_view kBytes = "0123456789,,\n.-e\"x\x1f";
    switch (random.below(6)) {
      case 0:
        text[at] = kBytes[random.below(static_cast<std::uint32_t>(kBytes.size()))];
        break;
      case 1:
        text.erase(at);
        break;
      case 2:
        text.insert(at, text.substr(place(), 20));
        break;
      case 3:
        text.insert(at, "99999");
        break;
      case 4:
        text.erase(at, 1 + random.below(8));
        break;
      default:
        text[at] = static_cast<char>(random.below(256));
    }
  }
  return text;
}

std::string zipped(const std::string& text) {
  const std::string name = own_folder.path("whole.csv.gz");
  const gzFile file = gzopen(name.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  std::ifstream in{name, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

enum class Outcome { read, refused };

template <class Read>
Outcome outcome_of(Read&& read) {
  try {
    read();
  } catch (const InputError&) {
    return Outcome::refused;
  }
  return Outcome::read;
}

/// Every reader of the file; how many of them took it.
int readers_that_take(const std::string& file) {
  static const Architecture tiny = moe_model("tiny", 3, 1, 4, 2);
  RouteFitOptions quick;
  quick.resamples = 10;
  quick.replicates = 1;
  RoutingSpec spec;
  spec.file = file;
  spec.weights = {{"a", 1}, {"b", 2}};
  int taken = outcome_of([&] { load_routing_trace(file, tiny); }) == Outcome::read;
  taken += outcome_of([&] { fit_route_file(file, quick); }) == Outcome::read;
  for (const RoutingKind kind : {RoutingKind::histogram, RoutingKind::mixture}) {
    spec.kind = kind;
    taken += outcome_of([&] {
               const auto popularity = expert_popularity(spec, tiny, 1);
               make_token_sampler(spec, tiny, popularity, 1);
             }) == Outcome::read;
  }
  return taken;
}

}  // namespace

TEST_CASE("A changed file of routing is read or refused, never anything else", "[routing]") {
  const std::string name = GENERATE("histogram.csv", "trace.csv", "pairs.csv");
  const std::string whole = good(name);
  REQUIRE(whole.size() > 40);
  int taken = 0;
  for (std::uint32_t i = 0; i < 500; ++i) {
    Random random{31, Purpose::test, 0, 0, i};
    const std::string text = i == 0 ? whole : changed(whole, random);
    INFO(name << " change " << i << " seed 31:\n" << text);
    const std::string file = own_folder.write("changed.csv", text);
    REQUIRE_NOTHROW(taken += readers_that_take(file));
  }
  CHECK(taken > 0);
  CHECK(taken < 2000);
}

TEST_CASE("A broken gz stream of routing is refused", "[routing]") {
  const std::string whole = zipped(good("trace.csv"));
  int taken = 0;
  for (std::uint32_t i = 0; i < 250; ++i) {
    Random random{32, Purpose::test, 0, 0, i};
    const std::string file = own_folder.write("changed.csv.gz", i == 0 ? whole : changed(whole, random));
    INFO("change " << i << " seed 32");
    REQUIRE_NOTHROW(taken += readers_that_take(file));
  }
  CHECK(taken >= 2);  // the whole one: as a trace and by the fit
  for (std::size_t length = 0; length < whole.size(); length += 7)
    CHECK(readers_that_take(own_folder.write("cut.csv.gz", whole.substr(0, length))) == 0);
}
