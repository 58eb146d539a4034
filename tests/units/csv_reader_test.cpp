#include "models/units/csv_reader.hpp"

#include <fstream>

#include "tests/catch_compat.hpp"
#include "tests/own_folder.hpp"

using namespace moesim;

namespace {

std::string written(const std::string& text) {
  std::ofstream{"rows.csv"} << text;
  return "rows.csv";
}

using Strings = std::vector<std::string>;

Strings fields(const CsvReader& csv) {
  Strings all;
  for (int column = 0; column < csv.columns(); ++column) all.emplace_back(csv.field(column));
  return all;
}

}  // namespace

TEST_CASE("Rows of a CSV file come in order, without blank lines, line ends and blanks around fields", "[units]") {
  CsvReader csv{written("layer, expert ,count\r\n\n0,\t1 ,\r\n  \n2,3,4")};
  CHECK(csv.header() == Strings{"layer", "expert", "count"});
  CHECK(csv.find("expert") == 1);
  CHECK(csv.find("domain") == -1);
  REQUIRE(csv.next());
  CHECK(csv.line() == 3);
  CHECK(fields(csv) == Strings{"0", "1", ""});
  REQUIRE(csv.next());
  CHECK(csv.line() == 5);
  CHECK(fields(csv) == Strings{"2", "3", "4"});
  CHECK(csv.before(2) == "2,3,");
  CHECK_FALSE(csv.next());
  CHECK_FALSE(csv.next());
}

TEST_CASE("A first line of numbers is a row where no header is required", "[units]") {
  CsvReader numbers{written("1,2.5,-3e9\n4,5,6\n"), CsvReader::Header::unless_numbers};
  CHECK(numbers.header().empty());
  CHECK(numbers.columns() == 3);
  REQUIRE(numbers.next());
  CHECK(numbers.line() == 1);
  CHECK(fields(numbers) == Strings{"1", "2.5", "-3e9"});
  REQUIRE(numbers.next());
  CHECK(fields(numbers) == Strings{"4", "5", "6"});
  CHECK_FALSE(numbers.next());
  const CsvReader named{written("1,2,e3\n4,5,6\n"), CsvReader::Header::unless_numbers};
  CHECK(named.header() == Strings{"1", "2", "e3"});
  const CsvReader required{written("1,2\n")};
  CHECK(required.header() == Strings{"1", "2"});
}

TEST_CASE("A field that is no such number is refused with its column", "[units]") {
  CsvReader csv{written("a,b\n7, 12x\n")};
  REQUIRE(csv.next());
  CHECK(csv.index(0, 0, 7, "layer") == 7);
  CHECK(csv.amount(0, "count") == 7.0);
  CHECK_THROWS_WITH(csv.index(0, 0, 6, "layer"), "rows.csv:2:1: got layer \"7\", expected a whole number from 0 to 6");
  CHECK_THROWS_WITH(csv.index(1, 0, 99, "expert"),
                    "rows.csv:2:4: got expert \"12x\", expected a whole number from 0 to 99");
  CHECK_THROWS_WITH(csv.amount(1, "count"), "rows.csv:2:4: got count \"12x\", expected a finite number >= 0");
  const std::string bad = GENERATE(as<std::string>{}, "", "-1", "nan", "inf", "1e999", "1 2", "0x1");
  CsvReader one{written("count,rest\n" + bad + ",\n")};
  REQUIRE(one.next());
  CHECK_THROWS_WITH(one.amount(0, "count"), "rows.csv:2:1: got count \"" + bad + "\", expected a finite number >= 0");
}

TEST_CASE("A long field is shown by its first 40 letters", "[units]") {
  CsvReader csv{written("a\n" + std::string(41, '9') + "\n")};
  REQUIRE(csv.next());
  CHECK_THROWS_WITH(csv.index(0, 0, 1, "layer"),
                    "rows.csv:2:1: got layer \"" + std::string(40, '9') + "...\", expected a whole number from 0 to 1");
}

TEST_CASE("The words of a field know their columns", "[units]") {
  CsvReader csv{written("rank,experts\n0, 3  17\tx\n1,\n")};
  REQUIRE(csv.next());
  const auto words = csv.words(1);
  REQUIRE(Strings(words.begin(), words.end()) == Strings{"3", "17", "x"});
  CHECK(csv.index(words[1], 0, 31, "expert") == 17);
  CHECK_THROWS_WITH(csv.index(words[2], 0, 31, "expert"),
                    "rows.csv:2:10: got expert \"x\", expected a whole number from 0 to 31");
  REQUIRE(csv.next());
  CHECK(csv.words(1).empty());
  CHECK(csv.place(1) == "rows.csv:3:3");
}

TEST_CASE("A CSV file of the wrong shape is refused with its place", "[units]") {
  const auto reading = [](const std::string& text, CsvReader::Header header) {
    CsvReader csv{written(text), header};
    while (csv.next()) continue;
  };
  constexpr auto kRequired = CsvReader::Header::required, kEither = CsvReader::Header::unless_numbers;
  const std::string none = "rows.csv:1:1: got no header line, expected the names of the columns";
  CHECK_THROWS_WITH(reading("", kRequired), none + ", separated by commas");
  CHECK_THROWS_WITH(reading(" \na,b\n", kRequired), none + ", separated by commas");
  CHECK_THROWS_WITH(reading("", kEither), none + " or numbers, separated by commas");
  CHECK_THROWS_WITH(reading("a,b\n1,2\n1\n", kRequired),
                    "rows.csv:3:1: got 1 fields, expected 2 fields as in the header");
  CHECK_THROWS_WITH(reading("1,2\n1,2,3\n", kEither),
                    "rows.csv:2:1: got 3 fields, expected 2 fields as in the first line");
  CHECK_THROWS_WITH(CsvReader{written("layer,expert\n")}.require("experts"),
                    "rows.csv:1:1: got columns layer, expert, expected a column experts; did you mean expert?");
  CHECK_THROWS_AS(CsvReader{"absent.csv"}, InputError);
  const std::string wide(500'000, 'x');
  CHECK_THROWS_WITH(CsvReader{written(wide)}.require("expert"),
                    "rows.csv:1:1: got columns " + wide.substr(0, 192) + "..., expected a column expert");
}

TEST_CASE("Quotes keep commas together where they are allowed, and are letters where they are not", "[units]") {
  const std::string file = written("name,value\n\"a, \"\"b\"\"\", 3\n\"\",\n");
  CsvReader quoted{file, CsvReader::Header::required, CsvReader::Quotes::allowed};
  REQUIRE(quoted.next());
  CHECK(quoted.field(0) == "a, \"\"b\"\"");
  CHECK(quoted.field(1) == "3");
  REQUIRE(quoted.next());
  CHECK(quoted.field(0).empty());
  CHECK(quoted.field(1).empty());
  CHECK_FALSE(quoted.next());
  CsvReader plain{file};
  REQUIRE_THROWS_WITH(plain.next(), file + ":2:1: got 3 fields, expected 2 fields as in the header");
}

TEST_CASE("A quote without end is refused with its place", "[units]") {
  const std::string file = written("name,value\n1,\"x\"\"y\n");
  CsvReader reader{file, CsvReader::Header::required, CsvReader::Quotes::allowed};
  REQUIRE_THROWS_WITH(reader.next(), file + ":2:3: got a quote without end, expected a second quote in the same line");
}

TEST_CASE("What follows a closed quote is refused with its place", "[units]") {
  const std::string file = written("name,value\n\"x\" ,1\n\"x\" y,1\n");
  CsvReader reader{file, CsvReader::Header::required, CsvReader::Quotes::allowed};
  REQUIRE(reader.next());
  CHECK(reader.field(0) == "x");
  REQUIRE_THROWS_WITH(reader.next(), file + ":3:5: got a closed quote, then \"y\", expected a comma");
}

TEST_CASE("A spreadsheet's byte order mark is no part of the first column", "[units]") {
  CsvReader reader{written("\xEF\xBB\xBFname,value\n1,2\n")};
  CHECK(reader.header() == std::vector<std::string>{"name", "value"});
  CHECK(unquoted("a \"\"b\"\"") == "a \"b\"");
}
