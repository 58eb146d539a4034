// The timeline on facts made by hand: four GPUs of a node, NVLink at 100 GB/s.

#include "plots/timeline.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "models/hardware/cluster.hpp"
#include "tests/catch_compat.hpp"
#include "tests/plots/trace_reading.hpp"

using namespace moesim;
using moesim::testing::ReadSlice;
using moesim::testing::ReadTrace;

namespace {

Topology four_gpus() {
  ClusterSpec cluster;
  cluster.gpu.name = "test";
  cluster.gpu.nvlink = 100.0_GBps;
  cluster.gpus_per_node = 4;
  return Topology{cluster};
}

Seconds us(double microseconds) {
  return Seconds{microseconds * 1e-6};
}

std::string text(const ReadSlice& slice) {
  return fmt::format("{} {} {}..{}", slice.kind, slice.name, slice.begin, slice.end);
}

std::vector<std::string> texts(const std::vector<ReadSlice>& slices) {
  std::vector<std::string> all;
  for (const ReadSlice& slice : slices) all.push_back(text(slice));
  return all;
}

using Texts = std::vector<std::string>;

struct FourGpus {
  explicit FourGpus(TimelineRequest request = {}, int stages = 1)
      : timeline{request,
                 RunShape{.topology = topology, .placement = placement, .ranks = 4 / stages, .stages = stages}} {}

  /// One layer: GPU 2 works 5 us on experts, the others 2 or 3; then a combine of 4 us moves 100 kB from GPU 0 to 1.
  void layer(int layer, double begin, int step = 0) {
    const std::vector<double> attention{1e-6, 1e-6, 1e-6, 1e-6}, experts{2e-6, 3e-6, 5e-6, 3e-6};
    const Turn turn{step, 0};
    timeline(PhaseFinished{us(begin + 1), us(1), Cause::attention, layer, 2, attention, 0, turn, false});
    timeline(PhaseFinished{us(begin + 6), us(5), Cause::experts, layer, 2, experts, 0, turn, true});
    std::vector<double> bytes(topology.links().size(), 0.0);
    for (const LinkId link : topology.route(0, 1)) bytes[static_cast<std::size_t>(link)] = 100e3;
    timeline(BytesMoved{us(begin + 10), Cause::combine, layer, us(4), bytes, topology.route(0, 1)[0], us(3), 0,
                        Pace::together, turn});
    timeline(PhaseFinished{us(begin + 10), us(4), Cause::combine, layer, -1, {}, 0, turn});
  }

  ReadTrace trace() { return ReadTrace{timeline.trace({"1.2.3", "a \"<script>\" 名", "cafe", 7}).json}; }

  const Topology topology = four_gpus();
  const Placement placement{};
  Timeline timeline;
};

}  // namespace

TEST_CASE("A group's time is step over layer over cause and a GPU's is what its streams did", "[timeline]") {
  FourGpus four;
  four.layer(0, 0);
  four.layer(1, 10);
  four.timeline(StepFinished{us(20), us(20), 0, 64});
  const ReadTrace trace = four.trace();
  CHECK(texts(trace.on("all GPUs")) ==
        Texts{"step step 0 0..20000", "layer layer 0 0..10000", "charged attention 0..1000",
              "charged experts 1000..6000", "charged combine 6000..10000", "layer layer 1 10000..20000",
              "charged attention 10000..11000", "charged experts 11000..16000", "charged combine 16000..20000"});
  CHECK(texts(trace.on("n0g1 compute")) == Texts{"work attention 0..1000", "work experts 1000..4000",
                                                 "wait wait 4000..6000", "work attention 10000..11000",
                                                 "work experts 11000..14000", "wait wait 14000..16000"});
  CHECK(texts(trace.on("n0g2 compute")) == Texts{"work attention 0..1000", "work experts 1000..6000",
                                                 "work attention 10000..11000", "work experts 11000..16000"});
  CHECK(texts(trace.on("n0g1 communication")) ==
        Texts{"exchange combine 6000..10000", "exchange combine 16000..20000"});
  CHECK(trace.overlaps().empty());
  const auto wait = trace.on("n0g1 compute")[2].args;
  CHECK(wait["waits_for"] == "n0g2");
  CHECK(wait["cause"] == "experts");
  CHECK(wait["layer"] == 0);
  CHECK(trace.on("n0g1 communication")[1].args["gated_by"] == "n0g0 -> n0 nvswitch");
  CHECK(trace.on("all GPUs")[3].args["gated_by"] == "n0g2");
}

TEST_CASE("A counter is the share of its link's capacity from its exchange's begin to its end", "[timeline]") {
  FourGpus four;
  four.layer(0, 0);
  four.timeline(StepFinished{us(10), us(10), 0, 64});
  const ReadTrace trace = four.trace();
  // 100 kB in 4 us are 25 GB/s of 100.
  const auto& out = trace.counters.at("n0g0 nvlink");
  REQUIRE(out.size() == 3);
  CHECK(out[0].first == 0);
  CHECK(out[0].second["out"] == 0);
  CHECK(out[1].first == 6000);
  CHECK(out[1].second["out"] == 0.25);
  CHECK(out[1].second["in"] == 0);
  CHECK(out[2].first == 10000);
  CHECK(out[2].second["out"] == 0);
  CHECK(trace.counters.at("n0g1 nvlink")[1].second["in"] == 0.25);
  CHECK(trace.counters.size() == 2);  // the others had nothing to do
}

TEST_CASE("Only the asked GPUs have tracks and counters", "[timeline]") {
  FourGpus four{{.window = {}, .gpus = {1, 3}}};
  four.layer(0, 0);
  four.timeline(StepFinished{us(10), us(10), 0, 64});
  const ReadTrace trace = four.trace();
  CHECK(trace.tracks == Texts{"all GPUs", "n0g1 compute", "n0g1 communication", "n0g3 compute", "n0g3 communication"});
  CHECK(trace.counters.count("n0g0 nvlink") == 0);
  CHECK(trace.counters.count("n0g1 nvlink") == 1);
  CHECK_THROWS_AS((FourGpus{{.window = {}, .gpus = {1, 4}}}), std::invalid_argument);
}

TEST_CASE("What crosses the window's ends is cut there", "[timeline]") {
  FourGpus four{{.window = TimelineWindow{us(3), us(8)}, .gpus = {1}}};
  four.layer(0, 0);
  four.layer(1, 10);
  four.timeline(StepFinished{us(20), us(20), 0, 64});
  const ReadTrace trace = four.trace();
  CHECK(texts(trace.slices) == Texts{"step step 0 3000..8000", "layer layer 0 3000..8000", "charged experts 3000..6000",
                                     "work experts 3000..4000", "wait wait 4000..6000", "charged combine 6000..8000",
                                     "exchange combine 6000..8000"});
  CHECK(trace.other["window_us"] == nlohmann::json({3, 8}));
  CHECK(trace.counters.at("n0g1 nvlink").back().first == 8000);
}

TEST_CASE("Without a window a trace ends with its third step", "[timeline]") {
  FourGpus four;
  for (int step = 0; step < 6; ++step) {
    four.layer(0, 10 * step, step);
    four.timeline(StepFinished{us(10 * step + 10), us(10), step, 64});
  }
  CHECK(four.timeline.run_end() == us(60));
  const ReadTrace trace = four.trace();
  CHECK(trace.other["window_us"] == nlohmann::json({0, 30}));
  CHECK(trace.slices.back().end == 30000);
  CHECK(trace.slices.back().args["step"] == 2);
}

TEST_CASE("A full trace says how much it left out and from when", "[timeline]") {
  FourGpus all, capped{{.window = {}, .gpus = {}, .cap = 10}};
  for (FourGpus* four : {&all, &capped}) {
    four->layer(0, 0);
    four->layer(1, 10);
    four->timeline(StepFinished{us(20), us(20), 0, 64});
  }
  const Trace whole = all.timeline.trace({}), part = capped.timeline.trace({});
  CHECK(whole.dropped == 0);
  CHECK(whole.complete_until == whole.end);
  CHECK(part.events == 10);
  CHECK(part.dropped > 0);
  CHECK(part.complete_until < part.end);
  const ReadTrace read{part.json};
  CHECK(read.other["events"] == 10);
  CHECK(read.other["dropped_events"] == part.dropped);
  CHECK(read.slices.size() <= 10);
  // Kept: the two counters' first values and five attentions (group and GPUs) at 0 us, three of the experts at 1 us.
  CHECK(read.other["complete_until_us"] == 1);
}

TEST_CASE("Transfers under way at once have tracks of their own", "[timeline]") {
  FourGpus four{{}, 2};  // two stages of two GPUs
  const std::vector<double> none(four.topology.links().size(), 0.0);
  const auto hand_over = [&](double begin, double end, int microbatch) {
    four.timeline(BytesMoved{
        us(end), Cause::pipeline, -1, us(end - begin), none, -1, {}, 0, Pace::beside, Turn{0, microbatch}, 1});
  };
  hand_over(0, 5, 0);
  hand_over(3, 8, 1);
  hand_over(5, 9, 2);
  four.timeline(PhaseFinished{us(5), us(5), Cause::pipeline, -1, -1, {}, 1, Turn{0, 0}});
  four.timeline(StepFinished{us(10), us(10), 0, 64});
  const ReadTrace trace = four.trace();
  CHECK(trace.overlaps().empty());
  for (const std::string gpu : {"n0g0", "n0g3"}) {  // both ends
    CHECK(texts(trace.on(gpu + " communication")) ==
          Texts{"transfer pipeline 0..5000", "transfer pipeline 5000..9000"});
    CHECK(texts(trace.on(gpu + " communication 2")) == Texts{"transfer pipeline 3000..8000"});
  }
  CHECK(trace.on("n0g0 communication")[0].args["to"] == "stage 1");
  REQUIRE(trace.on("n0g3 compute").size() == 1);
  CHECK(trace.on("n0g3 compute")[0].args["waits_for"] == "stage 0");
  CHECK(texts(trace.on("steps")) == Texts{"step step 0 0..10000"});
}

TEST_CASE("Links that several transfers want at once are shown full and the trace says so", "[timeline]") {
  FourGpus four{{}, 2};
  std::vector<double> bytes(four.topology.links().size(), 0.0);
  bytes[static_cast<std::size_t>(four.topology.route(0, 2)[0])] = 400e3;  // 4 us at full rate
  for (const double begin : {0.0, 2.0})
    four.timeline(BytesMoved{us(begin + 5), Cause::pipeline, -1, us(5), bytes, -1, {}, 0, Pace::beside, Turn{}, 1});
  four.timeline(StepFinished{us(10), us(10), 0, 64});
  const ReadTrace trace = four.trace();
  CHECK(trace.largest_counter() == 1);
  REQUIRE(trace.other["notes"].size() == 1);
  CHECK(
      trace.other["notes"][0] ==
      "exchanges that are under way at once do not share links in the run: they want up to 1.60 of a link's capacity, "
      "shown as 1");
}

TEST_CASE("An exchange of small groups counts when each GPU comes to it", "[timeline]") {
  FourGpus four;
  std::vector<double> bytes(four.topology.links().size(), 0.0);
  for (const int gpu : {0, 2})
    for (const LinkId link : four.topology.route(gpu, gpu + 1)) bytes[static_cast<std::size_t>(link)] = 200e3;
  four.timeline(BytesMoved{us(0), Cause::tp_collective, 0, us(4), bytes, -1, {}, 0, Pace::apart});
  const std::vector<double> attention{1e-6, 1e-6, 3e-6, 3e-6}, exchange{4e-6, 4e-6, 4e-6, 4e-6};
  four.timeline(PhaseFinished{us(3), us(3), Cause::attention, 0, 2, attention, 0, {}, false});
  four.timeline(PhaseFinished{us(7), us(4), Cause::tp_collective, 0, 2, exchange, 0, {}, true});
  four.timeline(StepFinished{us(7), us(7), 0, 64});
  const ReadTrace trace = four.trace();
  // 200 kB in 4 us are half of 100 GB/s: from 1 us on GPU 0, from 3 us on GPU 2.
  const auto& early = trace.counters.at("n0g0 nvlink");
  CHECK(early[1].first == 1000);
  CHECK(early[1].second["out"] == 0.5);
  CHECK(early[2].first == 5000);
  CHECK(trace.counters.at("n0g2 nvlink")[1].first == 3000);
  CHECK(texts(trace.on("n0g0 communication")) == Texts{"exchange tp_collective 1000..5000"});
  CHECK(texts(trace.on("n0g0 compute")) == Texts{"work attention 0..1000", "wait wait 5000..7000"});
}

TEST_CASE("Streams side by side are shown as they ran and not as the phase that sums them", "[timeline]") {
  FourGpus four;
  const auto row = [](double a) { return std::vector<Seconds>(4, us(a)); };
  const auto worked = [&](StreamWorked::Kind kind, Cause cause, double begin, double end, int half) {
    const auto from = row(begin), to = row(end);
    four.timeline(StreamWorked{kind, cause, 3, us(100), from, to, 0, {}, half});
  };
  std::vector<double> bytes(four.topology.links().size(), 0.0);
  worked(StreamWorked::Kind::work, Cause::attention, 0, 2, 0);
  four.timeline(BytesMoved{us(105), Cause::dispatch, 3, us(3), bytes, -1, {}, 0, Pace::beside, Turn{}, -1, 0});
  worked(StreamWorked::Kind::work, Cause::attention, 2, 4, 1);
  worked(StreamWorked::Kind::wait, Cause::dispatch, 4, 5, 0);
  const std::vector<double> attention(4, 4e-6), dispatch(4, 1e-6);
  four.timeline(PhaseFinished{us(104), us(4), Cause::attention, 3, 0, attention, 0, {}, false, true});
  four.timeline(PhaseFinished{us(105), us(1), Cause::dispatch, 3, 0, dispatch, 0, {}, true, true});
  four.timeline(StepFinished{us(105), us(5), 0, 64});
  const ReadTrace trace = four.trace();
  CHECK(texts(trace.on("n0g1 compute")) ==
        Texts{"work attention 100000..102000", "work attention 102000..104000", "wait wait 104000..105000"});
  CHECK(trace.on("n0g1 compute")[2].args["waits_for"] == "dispatch");
  CHECK(trace.on("n0g1 compute")[1].args["half"] == 1);
  CHECK(texts(trace.on("n0g1 communication")) == Texts{"transfer dispatch 102000..105000"});
  CHECK(trace.on("all GPUs")[2].args["summed"] == true);
  CHECK(trace.overlaps().empty());
}

TEST_CASE("Names and provenance are data whatever they hold", "[timeline]") {
  FourGpus four;
  four.timeline(StepFinished{us(1), us(1), 0, 64});
  const ReadTrace trace = four.trace();
  CHECK(trace.other["scenario"] == "a \"<script>\" 名");
  CHECK(trace.other["generator"] == "moesim 1.2.3");
  CHECK(trace.other["seed"] == 7);
  CHECK(trace.other["ranks"] == nlohmann::json({0, 1, 2, 3}));
}
