#include "inspect/stand_in.h"

#include "base/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/access_record.h"

namespace warmset {
namespace {

using testing::HasSubstr;

struct StandIn {
  std::string name;
  std::string content;
  ErrorCode code;
  std::string message;
};
class StandInTest : public testing::TestWithParam<StandIn> {};

TEST_P(StandInTest, IsNamed) {
  const std::string& content = GetParam().content;
  const Status status = CheckNoStandIn(
      {.name = "m.safetensors", .bytes = AsBytes(content), .file_size = content.size()});
  EXPECT_EQ(CodeOf(status), GetParam().code) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Contents, StandInTest,
    testing::Values(
        StandIn{"lfs_pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n",
                ErrorCode::kIncompleteModel, "git lfs pull"},
        StandIn{"gated_as_text",
                "Access to model meta-llama/Llama-2-7b-hf is restricted and you are not in the "
                "authorized list. Visit https://huggingface.co/x to ask for access.",
                ErrorCode::kAccessRestricted, "https://huggingface.co/meta-llama/Llama-2-7b-hf"},
        StandIn{"gated_as_json",
                R"({"error":"Access to model org/name is restricted. Please log in."})",
                ErrorCode::kAccessRestricted, "https://huggingface.co/org/name"},
        StandIn{"wrong_password", "Invalid username or password.", ErrorCode::kAccessRestricted,
                "log in"},
        StandIn{"wrong_password_as_json", "{\n  \"error\": \"Invalid username or password.\"\n}",
                ErrorCode::kAccessRestricted, "private or does not exist"},
        StandIn{"repository_not_found", R"({"error":"Repository not found"})",
                ErrorCode::kAccessRestricted, "private or does not exist"},
        StandIn{"entry_not_found", "Entry not found", ErrorCode::kIncompleteModel, "no such file"},
        StandIn{"invalid_revision", R"({"error":"Invalid rev id: x"})",
                ErrorCode::kIncompleteModel, "no such revision"},
        StandIn{"other_error", R"({"error":"Internal Error - We're working hard"})",
                ErrorCode::kIncompleteModel, "error message"},
        StandIn{"error_object", R"({"error":{"code":500}})", ErrorCode::kIncompleteModel,
                "error message"},
        StandIn{"login_page",
                "<!DOCTYPE html><html><head><title>Hugging Face - Login</title></head></html>",
                ErrorCode::kAccessRestricted, "log in"},
        StandIn{"gated_page",
                "\n<html><title>org/name</title><p>Access to model org/name is restricted</html>",
                ErrorCode::kAccessRestricted, "log in"},
        StandIn{"web_page", "<!doctype html>\n<html><head><title>org/name at main</title>",
                ErrorCode::kIncompleteModel, "web page"},
        StandIn{"title_without_end", "<html><title>Login", ErrorCode::kAccessRestricted, "log in"},
        StandIn{"expired_link",
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
                ErrorCode::kIncompleteModel, "storage server"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(NoStandInTest, OtherFilesPass) {
  for (const std::string& content :
       {std::string(), std::string("GGUF"), std::string("{}"), std::string("PK\3\4"),
        std::string(R"({"errors":"x"})"), std::string(R"({"a":{"error":"x"}})"),
        std::string("\x02\0\0\0\0\0\0\0{}", 10), std::string("once upon a time")}) {
    EXPECT_TRUE(CheckNoStandIn({.name = "m", .bytes = AsBytes(content), .file_size = content.size()})
                    .ok())
        << content;
  }
}

struct AccessCase {
  std::string json;
  ErrorCode code;
  std::string message;
};

TEST(AccessRecordTest, CodesOfTheHub) {
  const std::vector<AccessCase> cases = {
      {R"({"error_code":"GatedRepo","http_status":403,"repo":"org/name"})",
       ErrorCode::kAccessRestricted, "accept its licence at https://huggingface.co/org/name"},
      {R"({"error_code":"GatedRepo"})", ErrorCode::kAccessRestricted, "gated"},
      {R"({"error_code":"RepoNotFound","http_status":401})", ErrorCode::kAccessRestricted,
       "private or does not exist"},
      {R"({"error_code":"RepoNotFound","http_status":404})", ErrorCode::kIncompleteModel,
       "no such repository"},
      {R"({"error_code":"RevisionNotFound","http_status":404})", ErrorCode::kIncompleteModel,
       "no such revision"},
      {R"({"error_code":"EntryNotFound","http_status":404})", ErrorCode::kIncompleteModel,
       "no such file"},
      {R"({"http_status":401})", ErrorCode::kAccessRestricted, "private or does not exist"},
      {R"({"http_status":403})", ErrorCode::kAccessRestricted, "refuses access"},
      {R"({"http_status":500})", ErrorCode::kIncompleteModel, "HTTP status 500"},
      {R"({"error_code":"GatedRepo","repo":"\u001b[31m"})", ErrorCode::kAccessRestricted,
       "the model is gated"},
      {R"({"error_code":7})", ErrorCode::kCorruptedModel, "neither"},
      {R"([])", ErrorCode::kCorruptedModel, "wrong type"},
      {R"({)", ErrorCode::kCorruptedModel, ""},
  };
  for (const AccessCase& test : cases) {
    const Status status = ReadAccessRecord(test.json);
    EXPECT_EQ(CodeOf(status), test.code) << test.json;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(test.message)) << test.json;
  }
}

}  // namespace
}  // namespace warmset
