#include "tests/catch_compat.hpp"
#include "tests/llm/config_text.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

TEST_CASE("Broken JSON is refused at its line and column", "[llm]") {
  CHECK(refusal("") == "c.json:1:1: got the end of the file, expected a value");
  CHECK(refusal("{\n  \"hidden_size\": 64,\n") ==
        "c.json:3:1: got the end of the file, expected a key in double quotes");
  CHECK(refusal("{\n  \"hidden_size\": NaN}") ==
        "c.json:2:18: got NaN, expected a value: a number, a text in quotes, true, false or null");
  CHECK(refusal("{\"a\": 1e999}") == "c.json:1:7: got 1e999, expected a number that a double can hold");
  CHECK(refusal("{\"a\": 1} x") == "c.json:1:10: got x, expected nothing behind the document");
  CHECK(refusal("{\"a\": \"\xff\"}") == "c.json:1:8: got ?, expected UTF-8");
  CHECK(refusal("not json") ==
        "c.json:1:1: got not, expected a value: a number, a text in quotes, true, false or null");
  CHECK(refusal("{\"a\": \"x") == "c.json:1:9: got the end of the file, expected a closing quote");
}

TEST_CASE("A config that is no object is refused by its kind", "[llm]") {
  CHECK(refusal("[1, 2]") == "c.json:1:1: got array, expected an object, as in a Hugging Face config.json");
  CHECK(refusal("7") == "c.json:1:1: got number, expected an object, as in a Hugging Face config.json");
}

TEST_CASE("A key that stands twice is refused at its second place", "[llm]") {
  CHECK(refusal("{\"a\": 1,\n   \"b\": {\"c\": 1},\n  \"a\": 2}") ==
        "c.json:3:3: got the key a twice, expected every key once");
  CHECK(refusal("{\"b\": {\"c\": 1, \"c\": 1}}") == "c.json:1:16: got the key c twice, expected every key once");
  CHECK_THAT(refusal("{\"b\": {\"c\": 1}, \"d\": {\"c\": 1}}"), Contains("model_type"));  // not one object
}

TEST_CASE("Nesting is bounded, not followed", "[llm]") {
  const std::string deep = "{\"a\": " + std::string(1000, '[') + std::string(1000, ']') + "}";
  CHECK(refusal(deep) == "c.json:1:70: got deeper nesting, expected at most 64 levels");
  CHECK_THAT(refusal(std::string(1'000'000, '[')), Contains("at most 64 levels"));
}

TEST_CASE("A hostile file makes a short message", "[llm]") {
  CHECK(refusal("{\"" + std::string(100'000, 'k') + "\": 1, \"model_type\": \"llama\"}").size() < 200);
  CHECK(refusal("{\"model_type\": \"" + std::string(100'000, 'k') + "\"}").size() < 500);
  CHECK(refusal("{\"model_type\": " + std::string(100'000, 'k')).size() < 500);
}

TEST_CASE("No prefix of a config crashes or is accepted", "[llm]") {
  const std::string whole = kDeepseekV3.substr(0, kDeepseekV3.rfind('}') + 1);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    INFO("first " << length << " bytes");
    CHECK_THAT(refusal(whole.substr(0, length)), Contains("c.json:"));
  }
  CHECK(refusal(whole) == "accepted");
}

TEST_CASE("A model that is neither in the zoo nor a file is refused with the nearest name", "[llm]") {
  CHECK_THROWS_WITH(load_architecture("mixtral-8x7"),
                    Contains("model: got mixtral-8x7, expected a path to a config.json, or one of") &&
                        Contains("did you mean mixtral-8x7b?"));
  CHECK_THROWS_WITH(load_architecture("no/such.json"), "no/such.json: got no such file, expected a readable file");
  CHECK_THROWS_AS(load_architecture("/"), InputError);
  CHECK_THROWS_AS(load_architecture(""), InputError);
  CHECK_THROWS_WITH(load_architecture("/dev/zero"), "/dev/zero: got more than 4194304 bytes, expected a smaller file");
}

TEST_CASE("A model is named after its file, or after the folder of a config.json", "[llm]") {
  CHECK(parse_architecture(kLlama, "some/Tiny-1.5.json").name == "Tiny-1.5");
  CHECK(parse_architecture(kLlama, "some/Tiny-1.5/config.json").name == "Tiny-1.5");
  CHECK(parse_architecture(kLlama, "config.json").name == "config");
  CHECK(parse_architecture(kLlama, "tiny").name == "tiny");
  CHECK(load_architecture("qwen3-8b").name == "qwen3-8b");
}
