// Curves read straight out of a file's text, listed and packed.

#include "models/kernels/published/curve_text.hpp"

#include <cmath>

#include "models/kernels/published/curve_scale.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernel_model_testing.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

TEST_CASE("Packed curves read back as they were written and damaged ones are refused", "[kernels]") {
  KernelModel model = small_kernel_model();
  // e^0 us is the digits 10 and 90 behind '~', and e^0.02 two steps more; the second group has the sizes of the first
  const double two_up = on_scale(std::exp(0.02));
  model.engines[0].tables[1].curves = {{{256, 256}, {1, 64}, {1, two_up}, 1, 4},
                                       {{512, 256}, {1, 64}, {1, two_up}, 1, 4}};
  const std::string text = kernel_model_text(model);
  CHECK_THAT(text,
             Contains("\"alignment\":4,\"curves\":[\n[[256],[1,64],[256],[\"~,}8\"]],\n[[512],[],[],[\"~,}8\"]]]"));
  CHECK(parse_kernel_model(text, "m.json") == model);
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& says) {
    CHECK_THROWS_WITH(parse_kernel_model(with(text, from, to), "m.json"), "m.json: engines[0].tables[1]." + says);
  };
  refused("\"alignment\":4", "\"alignment\":0", "alignment: got 0, expected an alignment from 1 to 4096");
  refused("[[256],[1,64]", "[[256],[64,1]",
          "curves, curve 0, sizes: got [64,1], expected numbers that rise, each once");
  refused("[[256],[1,64]", "[[256],[]", "curves, curve 0, sizes: got [], expected a list of numbers");
  refused("~,}8\"]]]", "~,}8888\"]]]", "curves, curve 1: got \"~,}8888\", expected times of 2 sizes");
  refused("[[512],[],[]", "[[512],[],[1,2]", "curves, curve 1: got 1 times, expected 2, one a place");
  refused("[[512],[],[]", "[[256],[],[]", "curves: got two curves at [256,256], expected one at each place");
  refused("[[512],[],[]", "[[512],[]",
          "curves, curve 1: got [[512],[],[\"~,}8\"]], expected [[places], [sizes], [last places], [times]] in a table "
          "with an alignment");
  model.engines[0].tables[1].curves[0].microseconds[0] = 0.999;
  CHECK_THROWS_AS(kernel_model_text(model), std::invalid_argument);  // not on the scale
}

TEST_CASE("Curves that are as they should be are cut out of a document and others stay", "[kernels]") {
  const std::string good = "[ [[4, 64],[1,2.5],[3,7e0]],\n[[8,64],[1],[3],16] ]";
  const std::string text =
      R"({"a": {"curves": )" + good + R"(}, "note": "\"curves\": [[[],[1],[2]]]", "curves" : [[[],[1],[-2]]]})";
  const CurvesApart cut = cut_curves(text);
  REQUIRE(cut.curves.size() == 1);
  CHECK(cut.curves[0].text == good);
  CHECK(cut.curves[0].curves == std::vector<Curve>{{{4, 64}, {1, 2.5}, {3, 7}}, {{8, 64}, {1}, {3}, 16}});
  CHECK(cut.rest ==
        R"({"a": {"curves": "\u0001curves 0"}, "note": "\"curves\": [[[],[1],[2]]]", "curves" : [[[],[1],[-2]]]})");
  CHECK(marked_curves("\1curves 12") == std::size_t{12});
  CHECK_FALSE(marked_curves("curves 12"));
  CHECK_FALSE(marked_curves("\1curves x"));
  for (const char* bad : {"[]", "[[[],[1],[]]]", "[[[],[1],[0]]]", "[[[],[2,1],[3,4]]]", "[[[],[1,2],[4,3]]]",
                          "[[[],[1],[2],0]]", "[[[],[1],[2],1.5]]", "[[[],[01],[2]]]", "[[[],[1.],[2]]]",
                          "[[[],[1],[2e13]]]", "[[[],[1],[nan]]]", "[[[],[1],[2]]", "[[[],[1],[2],4097]]"}) {
    INFO(bad);
    CHECK(cut_curves(std::string{"{\"curves\":"} + bad + "}").curves.empty());
  }
}

TEST_CASE("Packed curves are cut out of a document behind their alignment", "[kernels]") {
  const auto curves_in = [](const std::string& text) {
    const CurvesApart cut = cut_curves(text);
    return cut.curves.empty() ? std::vector<Curve>{} : cut.curves[0].curves;
  };
  const std::string groups = R"([[[8],[1,4],[2,3],["~,}8","~,} "]], [[9],[],[],[" ~,}", "~,}8"]]])";
  const double up = on_scale(std::exp(0.02));
  const std::vector<Curve> expected{{{8, 2}, {1, 4}, {1, up}, 1, 4},
                                    {{8, 3}, {1}, {1}, 1, 4},
                                    {{9, 2}, {4}, {1}, 1, 4},
                                    {{9, 3}, {1, 4}, {1, up}, 1, 4}};
  CHECK(curves_in("{\"alignment\":4,\"curves\":" + groups + "}") == expected);
  for (const char* before :
       {"", "\"alignment\":0,", "\"alignment\":4097,", "\"alignment\":4, \"x\":1,", "\"alignment\":"})
    CHECK(curves_in(std::string{"{"} + before + "\"curves\":" + groups + "}").empty());
  for (const char* bad :
       {R"([[[8],[1,4],[2],["~,}8","~,}"]]])", R"([[[8],[1,4],[2,3],["~,}8"]]])", R"([[[8],[],[2],["~,}"]]])",
        R"([[[8],[4,1],[2],["~,}"]]])", R"([[[8],[1],[2],["~,}8"]]])", R"([[[8],[1,4],[2,3],["~,}8","~,}"]]])",
        R"([[[8],[1],[2],["~,}]]])", R"([[[8],[1],[2],[7]]])", R"([[[8],[1],[2]]])"}) {
    INFO(bad);
    CHECK(curves_in(std::string{"{\"alignment\":4,\"curves\":"} + bad + "}").empty());
  }
}
