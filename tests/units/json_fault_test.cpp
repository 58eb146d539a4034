// Broken JSON is told by its place and what it should be, without the library's words.

#include "models/units/json_fault.hpp"

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

std::string fault(const std::string& text) {
  try {
    return nlohmann::json::parse(text).is_discarded() ? "discarded" : "accepted";
  } catch (const nlohmann::json::parse_error& error) {
    return broken_json(text, "f", error.byte, error.what()).what();
  }
}

}  // namespace

TEST_CASE("A fault in JSON is told at its token with what should stand there", "[units]") {
  CHECK(fault("") == "f:1:1: got the end of the file, expected a value");
  CHECK(fault("{\"a\": 1, }") == "f:1:10: got }, expected a key in double quotes");
  CHECK(fault("{\"a\": 1\n\"b\": 2}") == "f:2:1: got \"b\", expected ',' or '}'");
  CHECK(fault("[1,\n 2 30]") == "f:2:4: got 30, expected ',' or ']'");
  CHECK(fault("{\"a\" 1}") == "f:1:6: got 1, expected ':'");
  CHECK(fault("{\"a\": }") == "f:1:7: got }, expected a value");
  CHECK(fault("{\"a\": tru}") == "f:1:7: got tru, expected a value: a number, a text in quotes, true, false or null");
  CHECK(fault("[1.]") == "f:1:4: got ], expected a number");
  CHECK(fault("[\"a\nb\"]") == "f:1:4: got ?, expected \\n, \\t or another escape for a control character");
  CHECK(fault("[\"\\q\"]") == "f:1:4: got q, expected an escape that JSON knows");
  CHECK(fault("[1] 2") == "f:1:5: got 2, expected nothing behind the document");
  CHECK(fault("[1, 2") == "f:1:6: got the end of the file, expected ',' or ']'");
}

TEST_CASE("No message about broken JSON has the words of a library", "[units]") {
  const std::string whole = R"({"a": [1, -2.5e3, "x\n\u00e9", true, null], "b": {"c": {}}})";
  for (std::size_t length = 0; length < whole.size(); ++length)
    for (const char* tail : {"", "}", "]", "\"", "\x01", "\xff", "\\", "nul", "-", ":", ",", "/"}) {
      const std::string said = fault(whole.substr(0, length) + tail);
      INFO(length << " bytes and '" << tail << "': " << said);
      CHECK(said.find("json") == std::string::npos);
      CHECK(said.find("parse") == std::string::npos);
      CHECK(said.find("literal") == std::string::npos);
    }
}
