#include "base/json_writer.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace warmset {
namespace {

std::string Document(JsonWriter::Form form) {
  std::string text;
  JsonWriter json(text, form);
  json.BeginObject();
  json.Field("name", "a\"b\xff");
  json.Field("bytes", std::numeric_limits<uint64_t>::max());
  json.Field("pinned", false);
  json.Key("none");
  json.BeginArray();
  json.EndArray();
  json.Key("shape");
  json.BeginArray();
  json.Integer(1);
  json.Number(0.5);
  json.Number(std::nan(""));
  json.EndArray();
  json.EndObject();
  return text;
}

TEST(JsonWriter, OneLine) {
  EXPECT_EQ(Document(JsonWriter::Form::kOneLine),
            "{\"name\":\"a\\\"b\uFFFD\",\"bytes\":18446744073709551615,\"pinned\":false,"
            "\"none\":[],\"shape\":[1,0.5,null]}");
}

TEST(JsonWriter, Indented) {
  EXPECT_EQ(Document(JsonWriter::Form::kIndented),
            "{\n  \"name\": \"a\\\"b\uFFFD\",\n  \"bytes\": 18446744073709551615,\n"
            "  \"pinned\": false,\n  \"none\": [],\n"
            "  \"shape\": [\n    1,\n    0.5,\n    null\n  ]\n}");
}

}  // namespace
}  // namespace warmset
