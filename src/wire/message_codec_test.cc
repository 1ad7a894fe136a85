#include "wire/message_codec.h"

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace warmset::wire {
namespace {

using google::protobuf::util::MessageDifferencer;

v1::Response SampleResponse() {
  v1::Response response;
  response.set_id(0xFFFFFFFFFFFFFFFF);
  response.set_more(true);
  v1::AttachedComponent& attached = *response.mutable_attached();
  attached.set_model("stabilityai/sdxl");
  attached.set_component("unet \"ü\"\n");
  attached.set_bytes(uint64_t{1} << 60);
  attached.add_chunks()->set_bytes(12);
  return response;
}

TEST(MessageCodec, ProtobufAndJsonSayTheSame) {
  const v1::Response response = SampleResponse();
  for (const Encoding encoding : {Encoding::kProtobuf, Encoding::kJson}) {
    const auto payload = Serialize(encoding, response);
    ASSERT_TRUE(payload.ok()) << payload.status();
    const auto parsed = ParseResponse(encoding, *payload);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_TRUE(MessageDifferencer::Equals(*parsed, response));
  }
}

TEST(MessageCodec, JsonUsesTheNamesOfTheProtoFiles) {
  const auto request =
      ParseRequest(Encoding::kJson, R"({"id": "3", "get_model_state": {"names": ["a", "b"]}})");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->id(), 3u);
  EXPECT_THAT(request->get_model_state().names(), testing::ElementsAre("a", "b"));
  const auto printed = Serialize(Encoding::kJson, *request);
  ASSERT_TRUE(printed.ok());
  EXPECT_EQ(*printed, R"({"id":"3","get_model_state":{"names":["a","b"]}})");
}

TEST(MessageCodec, FieldsOfANewerPeerAreIgnored) {
  EXPECT_TRUE(ParseRequest(Encoding::kJson, R"({"id": 3, "later": {"x": [1]}})").ok());
  // Field 100, varint 1.
  EXPECT_TRUE(ParseRequest(Encoding::kProtobuf, "\x08\x03\xA0\x06\x01").ok());
}

TEST(MessageCodec, WhatIsNoMessageIsRejected) {
  for (const char* text : {"", "{", "[]", "null", R"({"id": "x"})", R"({"id": -1})",
                           R"({"hello": 1})", R"({"hello": {}, "attach": {}})"}) {
    EXPECT_EQ(CodeOf(ParseRequest(Encoding::kJson, text).status()), ErrorCode::kInvalidRequest)
        << text;
  }
  EXPECT_FALSE(ParseRequest(Encoding::kJson, std::string(1'000'000, '[')).ok());
  EXPECT_FALSE(ParseRequest(Encoding::kProtobuf, "\xFF\xFF\xFF").ok());
  // A string that is not UTF-8: list_models { filter: "\xFF" }.
  EXPECT_FALSE(ParseRequest(Encoding::kProtobuf, "\x22\x03\x0A\x01\xFF").ok());
}

TEST(MessageCodec, ErrorsKeepCodeMessageAndCandidates) {
  const Status error =
      WithCandidates(Error(ErrorCode::kAmbiguousName, "`sd` is ambiguous"), {"sd-1.5", "sdxl"});
  const Status back = FromProto(ToProto(error));
  EXPECT_EQ(CodeOf(back), ErrorCode::kAmbiguousName);
  EXPECT_EQ(Message(back), "`sd` is ambiguous");
  EXPECT_THAT(CandidatesOf(back), testing::ElementsAre("sd-1.5", "sdxl"));
  v1::Error newer;
  newer.set_code("code_of_a_newer_daemon");
  EXPECT_EQ(CodeOf(FromProto(newer)), ErrorCode::kInternal);
}

TEST(MessageCodec, AFailedReadSaysWhere) {
  const Status failed = AtOffset(Error(ErrorCode::kIoError, "read x"), 4096);
  EXPECT_EQ(ToProto(Annotate(failed, "model")).offset(), 4096u);
  EXPECT_FALSE(ToProto(Error(ErrorCode::kIoError, "no descriptors")).has_offset());
  EXPECT_FALSE(ToProto(AtOffset(Error(ErrorCode::kCorruptedModel, "x"), 1)).has_offset());
}

TEST(MessageCodec, StringsInChoicesAreMadeUtf8) {
  v1::Response response;
  v1::AttachedComponent& attached = *response.mutable_attached();
  attached.set_model("\xE4");
  attached.set_component("ä");
  attached.add_chunks()->set_bytes(1);
  MakeUtf8(response);
  EXPECT_EQ(attached.model(), "\uFFFD");
  EXPECT_EQ(attached.component(), "ä");
  EXPECT_EQ(attached.chunks_size(), 1);
  EXPECT_FALSE(response.has_error());

  v1::CacheSettings settings;  // an optional field is a choice of one
  settings.set_keep_seconds(1);
  MakeUtf8(settings);
  EXPECT_FALSE(settings.has_strategy());
  settings.set_strategy("\xE4");
  MakeUtf8(settings);
  EXPECT_EQ(settings.strategy(), "\uFFFD");
}

TEST(MessageCodec, StringsAreMadeUtf8) {
  v1::Response response;
  v1::ModelDetail& detail = *response.mutable_detail();
  detail.set_path("/models/\xE4.safetensors");
  detail.add_findings()->set_message("\xFF");
  (*detail.mutable_metadata())["key"] = "\xFF";
  detail.add_files()->set_path("\xFF");
  MakeUtf8(response);
  EXPECT_EQ(detail.path(), "/models/\uFFFD.safetensors");
  const auto payload = Serialize(Encoding::kProtobuf, response);
  ASSERT_TRUE(payload.ok());
  EXPECT_TRUE(ParseResponse(Encoding::kProtobuf, *payload).ok());
}

}  // namespace
}  // namespace warmset::wire
