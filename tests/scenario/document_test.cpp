#include "sim/scenario/document.hpp"

#include <fmt/format.h>

#include "sim/scenario/text_check.hpp"
#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

std::string broken(const std::string& text) {
  try {
    Document{text, "s.yaml"};
  } catch (const InputError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("A key that stands twice is refused with both places", "[scenario]") {
  CHECK(broken("a: 1\nb: 2\na: 3\n") ==
        "s.yaml:3:1: got the key 'a' again, expected each key once (first at s.yaml:1:1)");
  CHECK(broken("a: {b: 1, \"b\": 2}\n") ==
        "s.yaml:1:11: got the key 'b' again, expected each key once (first at s.yaml:1:5)");
}

TEST_CASE("What is not one map of plain values is refused", "[scenario]") {
  CHECK(refusal("") ==
        "s.yaml: got an empty file, expected a map with keys of question, model, precision, offload, quality_penalty, "
        "extra_ops, cluster, "
        "layout, placement, routing, workload, communication, overlap, kernels, memory_fraction, slo, seed");
  CHECK_THAT(refusal("# only a comment\n"), Contains("s.yaml: got an empty file"));
  CHECK_THAT(refusal("- a\n- b\n"), Contains("s.yaml:1:1: got a list, expected a map with keys of"));
  CHECK_THAT(refusal("mixtral"), Contains("s.yaml:1:1: got the text 'mixtral', expected a map"));
  CHECK(broken("a: 1\n---\nb: 2\n") == "s.yaml:2:1: got a second document, expected one document in a file");
  CHECK(broken("a: !!int 1\n") ==
        "s.yaml:1:4: got the type tag 'tag:yaml.org,2002:int', expected a plain value (the key decides the type)");
  CHECK(broken("? [a]\n: 1\n") == "s.yaml:1:3: got a list or map as a key, expected a name, and every [ and { closed");
  CHECK(broken("{a: 1") == "s.yaml:1:1: got a list or map as a key, expected a name, and every [ and { closed");
  CHECK_THAT(broken("a: *nobody\n"), Contains("s.yaml:1:4: got broken YAML"));
}

TEST_CASE("Bytes that are not text are refused with their place", "[scenario]") {
  CHECK(broken("a: 1\n\tb: 2\n") == "s.yaml:2:1: got a tab in the indentation, expected spaces");
  CHECK(broken("a: \xff\n") == "s.yaml:1:4: got the byte 0xFF, expected text in UTF-8");
  CHECK(broken("\xff\xfe"
               "a\0:\0") == "s.yaml:1:1: got the byte 0xFF, expected text in UTF-8");  // UTF-16
  CHECK(broken(std::string{"a: b\0c\n", 7}) == "s.yaml:1:5: got the control character 0x00, expected text");
  CHECK(broken("\xc0\x80") == "s.yaml:1:1: got the byte 0xC0, expected text in UTF-8");          // overlong NUL
  CHECK(broken("\xed\xa0\x80") == "s.yaml:1:1: got the byte 0xED, expected text in UTF-8");      // a surrogate
  CHECK(broken("\xf4\x90\x80\x80") == "s.yaml:1:1: got the byte 0xF4, expected text in UTF-8");  // beyond U+10FFFF
  CHECK(broken("a: gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 # caf\xc3\xa9\n") == "");
}

TEST_CASE("A UTF-8 byte order mark and Windows line ends are taken", "[scenario]") {
  CHECK(refusal("\xef\xbb\xbf" + kSmall) == "");
  CHECK(refusal("model: mixtral-8x7b\r\ncluster: {gpu: h100-sxm}\r\nworkload: {tokens_per_gpu: 64}\r\n") == "");
}

TEST_CASE("JSON is taken, tabs included", "[scenario]") {
  CHECK(refusal("{\n\t\"question\": \"a \\u20ac \\\"b\\\"\",\n\t\"model\": \"mixtral-8x7b\",\n\t\"cluster\": {\"gpu\": "
                "\"h100-sxm\", \"fabric\": {\"nic\": \"400 Gb/s\"}},\n\t\"workload\": {\"tokens_per_gpu\": 64},\n\t"
                "\"overlap\": {\"shared_experts\": false}\n}\n") == "");
}

TEST_CASE("An error message shows at most 60 bytes of the input and no control characters", "[scenario]") {
  CHECK(shown("a\tb\nc") == "'a b c'");
  CHECK(shown(std::string(61, 'x')) == "'" + std::string(60, 'x') + "...'");
  // 59 bytes, then a two-byte character that would be cut
  CHECK(shown(std::string(59, 'x') + "\xc3\xbcyy") == "'" + std::string(59, 'x') + "...'");
}
