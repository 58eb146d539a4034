#include <chrono>
#include <filesystem>
#include <fstream>

#include <unistd.h>
#include <zlib.h>

#include "models/routing/layer_numbers.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

/// A file that is gone after the test.
class TemporaryFile {
public:
  explicit TemporaryFile(const std::string& text, const std::string& ending = ".csv")
      : path_{std::filesystem::temp_directory_path() / ("moesim_routing_" + std::to_string(::getpid()) + ending)} {
    if (ending == ".csv.gz") {
      const gzFile file = gzopen(path_.c_str(), "wb");
      gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
      gzclose(file);
    } else {
      std::ofstream{path_} << text;
    }
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string name() const { return path_.string(); }

private:
  std::filesystem::path path_;
};

Architecture tiny() {
  return moe_model("tiny", 3, 1, 4, 2);
}  // MoE layers 1 and 2, top 2 of 4

RoutingSpec histogram(const std::string& file, std::vector<std::pair<std::string, std::string>> where = {}) {
  RoutingSpec spec;
  spec.kind = RoutingKind::histogram;
  spec.file = file;
  spec.where = std::move(where);
  return spec;
}

std::string refusal(const RoutingSpec& spec, const Architecture& model) {
  try {
    if (spec.kind == RoutingKind::trace)
      load_routing_trace(spec.file, model);
    else
      expert_popularity(spec, model, 0);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

/// The message with the file's name as FILE.
std::string histogram_refusal(const std::string& text, std::vector<std::pair<std::string, std::string>> where = {}) {
  const TemporaryFile file{text};
  std::string message = refusal(histogram(file.name(), std::move(where)), tiny());
  for (std::size_t at; (at = message.find(file.name())) != std::string::npos;)
    message.replace(at, file.name().size(), "FILE");
  return message;
}

std::string trace_refusal(const std::string& text) {
  const TemporaryFile file{text};
  RoutingSpec spec;
  spec.kind = RoutingKind::trace;
  spec.file = file.name();
  std::string message = refusal(spec, tiny());
  for (std::size_t at; (at = message.find(file.name())) != std::string::npos;)
    message.replace(at, file.name().size(), "FILE");
  return message;
}

const std::string kCounts =
    "domain,layer,expert,count\n"
    "a,1,0,3\na,1,1,2\na,1,2,2\na,1,3,1\na,2,0,1\na,2,1,1\na,2,2,1\na,2,3,1\n"
    "b,1,0,1\nb,2,3,4\n";

}  // namespace

TEST_CASE("A histogram's rows are added up and scaled to k", "[routing]") {
  const TemporaryFile file{kCounts};
  const auto all = expert_popularity(histogram(file.name()), tiny(), 0);
  // layer 1: 4 2 2 1 of 9, times 2; layer 2: 1 1 1 5 of 8, times 2: 1.25 is capped to 1, 1/3 each for the others
  CHECK(all.layer(0)[0] == Approx(8.0 / 9));
  CHECK(all.layer(0)[3] == Approx(2.0 / 9));
  CHECK(all.layer(1)[3] == 1);
  CHECK(all.layer(1)[0] == Approx(1.0 / 3));
  const auto only_a = expert_popularity(histogram(file.name(), {{"domain", "a"}}), tiny(), 0);
  CHECK(only_a.layer(0)[0] == Approx(0.75));
  CHECK(only_a.layer(1)[3] == Approx(0.5));
}

TEST_CASE("Layers may be numbered as in the model or among MoE layers", "[routing]") {
  const TemporaryFile file{"layer,expert,count\n0,0,1\n0,3,1\n1,2,1\n1,3,1\n"};
  const auto popularity = expert_popularity(histogram(file.name()), tiny(), 0);
  CHECK(popularity.layer(0)[0] == 1);
  CHECK(popularity.layer(1)[2] == 1);
  CHECK(ranges_text({1, 2, 3, 7, 9, 10}) == "1 to 3, 7, 9 to 10");
}

TEST_CASE("A bad histogram is refused with its place", "[routing]") {
  CHECK(histogram_refusal("layer,experts,count\n") ==
        "FILE:1:1: got columns layer, experts, count, expected a column expert; did you mean experts?");
  CHECK(histogram_refusal("") ==
        "FILE:1:1: got no header line, expected the names of the columns, separated by commas");
  CHECK(histogram_refusal("layer,expert,count\n") == "FILE: got no rows, expected rows of layer, expert, count");
  CHECK(histogram_refusal("layer,expert,count\n1,0,1\n1,4,1\n") ==
        "FILE:3:3: got expert \"4\", expected a whole number from 0 to 3");
  CHECK(histogram_refusal("layer,expert,count\n1,0,-1\n") ==
        "FILE:2:5: got count \"-1\", expected a finite number >= 0");
  CHECK(histogram_refusal("layer,expert,count\n1,0,nan\n") ==
        "FILE:2:5: got count \"nan\", expected a finite number >= 0");
  CHECK(histogram_refusal("layer,expert,count\n1,0\n") == "FILE:2:1: got 2 fields, expected 3 fields as in the header");
  CHECK(histogram_refusal("layer,expert,count\n1,0,1\n1,3,1\n") ==
        "FILE: got rows for layers 1, none for 2, expected all 2 MoE layers of tiny: 1 to 2 (or counted without dense "
        "layers: 0 to 1)");
  CHECK(histogram_refusal("layer,expert,count\n1,0,1\n1,1,1\n2,0,1\n2,1,1\n") ==
        "FILE: got experts 0 to 1, expected counts of experts 0 to 3");
  CHECK(histogram_refusal("layer,expert,count\n1,0,1\n1,1,1\n2,3,1\n") ==
        "FILE: got layer 2 with 1 experts that were ever chosen, expected at least top_k = 2");
  CHECK(histogram_refusal(kCounts, {{"domian", "a"}}) ==
        "routing.where: got column \"domian\", expected a column of FILE: domain, layer, expert, count; did you mean "
        "domain?");
  CHECK(histogram_refusal(kCounts, {{"domain", "c"}}) ==
        "routing.where: got domain = c (no such row in FILE), expected values of domain: a, b");
}

TEST_CASE("A trace is read token by token, packed or not", "[routing]") {
  const std::string text = "seq,pos,layer,e0,e1\n0,0,1,3,0\n0,0,2,1,2\n0,1,2,0,1\n0,1,1,2,3\n";
  for (const std::string ending : {".csv", ".csv.gz"}) {
    const TemporaryFile file{text, ending};
    const auto trace = load_routing_trace(file.name(), tiny());
    REQUIRE(trace.tokens == 2);
    REQUIRE(trace.layers == 2);
    CHECK(trace.token(0, 0)[0] == 3);
    CHECK(trace.token(1, 0)[1] == 3);
    CHECK(trace.token(1, 1)[1] == 1);
  }
}

TEST_CASE("A trace is replayed in order, wrapping, every step from another place", "[routing]") {
  std::string text = "pos,layer,e0,e1\n";
  for (int t = 0; t < 10; ++t)
    text += std::to_string(t) + ",0," + (t % 2 ? "0,1" : "2,3") + "\n" + std::to_string(t) + ",1,0," +
            (t < 5 ? "1\n" : "2\n");
  const TemporaryFile file{text};
  RoutingSpec spec;
  spec.kind = RoutingKind::trace;
  spec.file = file.name();
  const auto popularity = expert_popularity(spec, tiny(), 0);
  CHECK(popularity.layer(0)[0] == Approx(0.5));
  CHECK(popularity.layer(1)[0] == 1);
  const auto sampler = make_token_sampler(spec, tiny(), popularity, 0);
  std::vector<int> out(2);
  const auto last_at_layer_1 = [&](std::uint32_t step, std::uint32_t token) {
    sampler->draw(step, 1, token, out);
    return out[1];
  };
  CHECK(last_at_layer_1(0, 4) == 1);
  CHECK(last_at_layer_1(0, 5) == 2);
  CHECK(last_at_layer_1(0, 14) == 1);
  // the second step starts at token floor(0.618 * 10) = 6
  CHECK(last_at_layer_1(1, 0) == 2);
  CHECK(last_at_layer_1(1, 3) == 2);
  CHECK(last_at_layer_1(1, 4) == 1);
}

TEST_CASE("A bad trace is refused with its place", "[routing]") {
  const std::string head = "pos,layer,e0,e1\n";
  CHECK(trace_refusal("pos,layer,e0\n0,1,2\n") ==
        "FILE:1:1: got 1 experts per token (e0 to e0), expected top_k = 2 of tiny");
  CHECK(trace_refusal("pos,e0,e1\n0,1,2\n") == "FILE:1:1: got columns pos, e0, e1, expected a column layer");
  CHECK(trace_refusal(head) == "FILE: got no rows, expected rows of layer, e0, e1, ...");
  CHECK(trace_refusal(head + "0,1,0,4\n") == "FILE:2:7: got expert \"4\", expected a whole number from 0 to 3");
  CHECK(trace_refusal(head + "0,1,0,x\n") == "FILE:2:7: got expert \"x\", expected a whole number from 0 to 3");
  CHECK(trace_refusal(head + "0,1,2,2\n") == "FILE:2:7: got expert 2 a second time, expected 2 distinct experts");
  CHECK(trace_refusal(head + "0,1,2,1\n0,1,2,1\n") ==
        "FILE:3:3: got layer 1 a second time, expected each layer of a token once");
  CHECK(trace_refusal(head + "0,1,2,1\n0,2,2,1\n1,1,2,1\n2,1,2,1\n") ==
        "FILE:4:1: got rows of one token for layers 1, none for 2, expected all 2 MoE layers of tiny: 1 to 2 (or "
        "counted without dense layers: 0 to 1)");
  CHECK(trace_refusal(head + "0,1,2,1\n0,2,2,1\n1,0,2,1\n1,1,2,1\n") ==
        "FILE:4:1: got layers numbered in another way, expected layer 1 to 2 as above");
  CHECK(trace_refusal(head + "0,3,2,1\n") == "FILE:2:3: got layer \"3\", expected a whole number from 0 to 2");
}

TEST_CASE("The DeepSeek-V2-Lite trace gives the popularity of its counts, and the sampler both", "[routing]") {
  const auto counts = shared_file("data/routing/deepseek_v2_lite_esft/expert_counts.csv");
  const auto routes = shared_file("data/routing/deepseek_v2_lite_esft/token_routes_intent.csv.gz");
  if (counts.empty() || routes.empty()) return;
  const auto model = deepseek_v2_lite();
  const auto started = std::chrono::steady_clock::now();
  const auto trace = load_routing_trace(routes, model);
  WARN("213,772 lines in " << std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()
                           << " s");
  REQUIRE(trace.tokens == 8222);  // PROVENANCE.md
  REQUIRE(trace.layers == 26);
  const auto popularity = expert_popularity(histogram(counts, {{"domain", "intent"}}), model, 1);
  // maxmean_avg, _min and _max of routing_stats_summary.csv, computed elsewhere from the same routes
  double sum = 0, least = 1e9, most = 0;
  for (int l = 0; l < 26; ++l) {
    const double peak = imbalance(popularity.layer(l));
    sum += peak;
    least = std::min(least, peak);
    most = std::max(most, peak);
  }
  CHECK(sum / 26 == Approx(3.8145).epsilon(2e-5));
  CHECK(least == Approx(2.9255).epsilon(2e-5));
  CHECK(most == Approx(4.6795).epsilon(2e-5));
  std::vector<double> taken(26 * 64, 0.0);
  for (int t = 0; t < trace.tokens; ++t)
    for (int l = 0; l < 26; ++l)
      for (const auto e : trace.token(t, l)) ++taken[static_cast<std::size_t>(l * 64 + e)];
  for (std::size_t i = 0; i < taken.size(); ++i)
    REQUIRE(popularity.inclusion[i] == Approx(taken[i] / trace.tokens).epsilon(1e-12));

  const auto sampler = make_token_sampler(histogram(counts), model, popularity, 1);
  constexpr int kTokens = 20000;
  std::vector<double> drawn(64, 0.0);
  std::vector<int> experts(6);
  for (std::uint32_t t = 0; t < kTokens; ++t) {
    sampler->draw(0, 13, t, experts);
    for (const int e : experts) ++drawn[static_cast<std::size_t>(e)];
  }
  for (std::size_t e = 0; e < 64; ++e) {
    const double pi = popularity.layer(13)[e];
    CHECK(std::abs(drawn[e] - kTokens * pi) < 4 * std::sqrt(kTokens * pi * (1 - pi)));
  }
}

TEST_CASE("Every other measured routing file loads, or is refused for what it lacks", "[routing]") {
  const auto fiddler = shared_file("data/routing/mixtral_8x7b_fiddler/expert_counts.csv");
  if (!fiddler.empty()) {
    const auto popularity = expert_popularity(histogram(fiddler, {{"model", "mixtral_8x7b_original"}}), mixtral(), 0);
    CHECK(popularity.layers == 32);
    CHECK(expert_popularity(histogram(fiddler, {{"domain", "machine_learning"}}), mixtral(), 0).layers == 32);
  }
  const auto olmoe = shared_file("data/routing/olmoe_mixtral/expert_counts.csv");
  if (!olmoe.empty())
    CHECK_THAT(
        refusal(histogram(olmoe, {{"model", "olmoe"}, {"kind", "expert_counts"}}), moe_model("olmoe", 16, 0, 64, 8)),
        Catch::Matchers::Contains("got rows for layers 0, 7, 15, none for 1 to 6, 8 to 14, expected all 16 MoE "
                                  "layers of olmoe: 0 to 15"));
  const auto gpt_oss_model = moe_model("gpt-oss-20b", 24, 0, 32, 4);
  const auto gpt_oss = shared_file("data/routing/gpt_oss_20b/bench_expert_counts.csv");
  if (!gpt_oss.empty()) {
    const auto popularity =
        expert_popularity(histogram(gpt_oss, {{"bench", "mmlu_test"}, {"phase", "think"}}), gpt_oss_model, 0);
    CHECK(popularity.layers == 24);
    CHECK(imbalance(popularity.layer(5)) > 1.2);
  }
  const auto gpt_oss_routes = shared_file("data/routing/gpt_oss_20b/token_routes_odd_samples.csv.gz");
  if (!gpt_oss_routes.empty()) CHECK(load_routing_trace(gpt_oss_routes, gpt_oss_model).tokens == 7101);  // 170,424 / 24
  const auto summary = shared_file("data/routing/deepseek_v2_lite_esft/token_routes_summary.csv.gz");
  if (!summary.empty()) {
    CHECK(load_routing_trace(summary, deepseek_v2_lite()).tokens == 8479);
    RoutingSpec spec;
    spec.kind = RoutingKind::trace;
    spec.file = summary;
    CHECK_THAT(refusal(spec, mixtral()),
               Catch::Matchers::Contains("got 6 experts per token (e0 to e5), expected top_k = 2"));
  }
}
