#include "wire/plain_json.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "warmset/v1/session.pb.h"

namespace warmset::wire {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string OneLine(const google::protobuf::Message& message) {
  std::string text;
  JsonWriter json(text);
  WriteJson(message, json);
  return text;
}

TEST(PlainJson, NumbersOf64BitsAreNumbers) {
  v1::ModelState state;
  state.set_bytes(18446744073709551615u);
  state.set_last_used_unix_ms(-1);
  const std::string text = OneLine(state);
  EXPECT_THAT(text, HasSubstr("\"bytes\":18446744073709551615,"));
  EXPECT_THAT(text, HasSubstr("\"last_used_unix_ms\":-1,"));
}

TEST(PlainJson, EnumsAreSmallLetters) {
  v1::ModelState state;
  EXPECT_THAT(OneLine(state), HasSubstr("\"cache_state\":\"unspecified\""));
  state.set_cache_state(v1::PARTLY_CACHED);
  EXPECT_THAT(OneLine(state), HasSubstr("\"cache_state\":\"partly_cached\""));
}

TEST(PlainJson, EveryFieldIsThere) {
  EXPECT_EQ(OneLine(v1::CacheSettings()),
            R"({"strategy":null,"priority":null,"pinned":null,"keep_seconds":null})");
  const std::string text = OneLine(v1::PlanReply());
  EXPECT_THAT(text, HasSubstr("\"model\":\"\",\"needed_bytes\":0,"));
  EXPECT_THAT(text, HasSubstr("\"steps\":[],\"refused\":null,"));
}

TEST(PlainJson, MapsAreObjectsInOrder) {
  v1::ComponentState state;
  (*state.mutable_dtype_bytes())["F32"] = 4;
  (*state.mutable_dtype_bytes())["BF16"] = 2;
  EXPECT_THAT(OneLine(state), HasSubstr(R"("dtype_bytes":{"BF16":2,"F32":4})"));
}

TEST(PlainJson, OneofsHaveWhatIsSet) {
  v1::ModelStateResult result;
  result.mutable_error()->set_code("model_not_found");
  result.mutable_error()->add_candidates("a\nb");
  EXPECT_EQ(OneLine(result),
            R"({"error":{"code":"model_not_found","message":"","candidates":["a\u000ab"],"offset":null}})");
  EXPECT_THAT(OneLine(v1::Response()), Not(HasSubstr("error")));
}

TEST(PlainJson, ADocumentIsIndented) {
  v1::GetPath call;
  call.set_model("a");
  EXPECT_EQ(ToPlainJson(call), "{\n  \"model\": \"a\",\n  \"file\": false,\n  \"file_path\": \"\"\n}\n");
}

TEST(PlainJson, AnErrorIsADocument) {
  EXPECT_EQ(ErrorDocument(Error(ErrorCode::kInUse, "held")),
            "{\n  \"error\": {\n    \"code\": \"in_use\",\n    \"message\": \"held\",\n"
            "    \"candidates\": [],\n    \"offset\": null\n  }\n}\n");
}

}  // namespace
}  // namespace warmset::wire
