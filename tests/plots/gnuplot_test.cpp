#include "plots/gnuplot.hpp"

#include "tests/catch_compat.hpp"

using namespace moesim;
using Catch::Matchers::Contains;

TEST_CASE("A hostile label is a text in a gnuplot script", "[plots]") {
  const Chart chart{"c", "it's `id`", "", "",
                    StackedChart{"ms", {"a'; system('id') #\nplot 1"}, {{"s'", {1.0}}}, ChartLimit{"most", 3}}};
  const auto script = gnuplot_script(chart, PictureFormat::svg, "o'ut.svg");
  REQUIRE(script);
  CHECK_THAT(*script, Contains("set output 'o''ut.svg'\nset title 'it''s `id`'\n"));
  CHECK_THAT(*script, Contains("set ytics ('a''; system(''id'') # plot 1' 0)"));
  CHECK_THAT(*script, Contains("title 's'''"));
  CHECK_THAT(*script, Contains("noenhanced"));
}

TEST_CASE("Bars are stacked end to end", "[plots]") {
  const Chart chart{"c", "", "", "", StackedChart{"ms", {"a", "b"}, {{"x", {1.0, 2.0}}, {"y", {0.5, {}}}}, {}}};
  const auto script = gnuplot_script(chart, PictureFormat::png, "out.png");
  REQUIRE(script);
  CHECK_THAT(*script, Contains("$s0 << EOD\n0 1 0\n0 2 1\nEOD\n"));
  CHECK_THAT(*script, Contains("$s1 << EOD\n1 1.5 0\n2 2 1\nEOD\n"));
}

TEST_CASE("A cell without a value is no number, and long names are cut between characters", "[plots]") {
  const std::string name(60, 'x');
  const Chart chart{"c", "", "", "",
                    HeatmapChart{"x", "row", "column", {"r"}, {name, "\u901f" + name}, {{"v", {1.5, {}}}}, true}};
  const auto script = gnuplot_script(chart, PictureFormat::png, "out.png");
  REQUIRE(script);
  CHECK_THAT(*script, Contains("$m << EOD\n1.5 NaN\nEOD\n"));
  CHECK_THAT(*script, Contains("'" + std::string(41, 'x') + "...' 0"));
}

TEST_CASE("Tables and drawings are not drawn by gnuplot", "[plots]") {
  CHECK(!gnuplot_script({"t", "", "", "", TableChart{}}, PictureFormat::svg, "o"));
  CHECK(!gnuplot_script({"d", "", "", "", DrawingChart{"<svg/>"}}, PictureFormat::svg, "o"));
  CHECK(!gnuplot_script({"e", "", "", "", StackedChart{}}, PictureFormat::svg, "o"));
}
