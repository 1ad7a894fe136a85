#include "inspect/model_config.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ModelConfigTest, NamesAreFoundWhereTheLibrariesPutThem) {
  const auto llm = ParseModelConfig(R"({"architectures":["A","B"],"model_type":"a"})");
  ASSERT_TRUE(llm.ok());
  EXPECT_EQ(llm->class_name, "A");
  EXPECT_EQ(llm->model_type, "a");
  EXPECT_EQ(ParseModelConfig(R"({"_class_name":"AutoencoderKL"})")->class_name, "AutoencoderKL");
  EXPECT_EQ(ParseModelConfig(R"({"architectures":[]})")->class_name, "");
  EXPECT_EQ(ParseModelConfig(R"({"architectures":["a b"],"model_type":7})")->class_name, "");
  for (const char* broken : {"", "[]", "{", R"({"a":)", "\xff"}) {
    EXPECT_EQ(CodeOf(ParseModelConfig(broken).status()), ErrorCode::kCorruptedModel) << broken;
  }
}

TEST(ModelConfigTest, SettingsThatAskForCodeAreFound) {
  const auto settings = [](const std::string& json) {
    return ParseModelConfig(json)->code_settings;
  };
  EXPECT_THAT(settings(R"({"auto_map":{"AutoModel":"modeling.Model"}})"), ElementsAre("auto_map"));
  EXPECT_THAT(settings(R"({"trust_remote_code":true,"auto_map":{"a":"b"}})"),
              ElementsAre("trust_remote_code", "auto_map"));
  EXPECT_THAT(settings(R"({"text_config":{"_attn_implementation_internal":"someone/kernel"}})"),
              ElementsAre("_attn_implementation_internal"));
  EXPECT_THAT(settings(R"({"a":{"auto_map":{"a":"b"}},"b":{"auto_map":{"a":"b"}}})"),
              ElementsAre("auto_map"));
  EXPECT_THAT(settings(R"({"trust_remote_code":false,"auto_map":{},
                           "_attn_implementation_internal":null})"),
              IsEmpty());
  std::string deep = R"({"auto_map":{"a":"b"}})";
  for (int i = 0; i < 500; ++i) deep = R"({"x":)" + deep + "}";
  EXPECT_THAT(settings(deep), IsEmpty());
}

TEST(ModelConfigTest, APipelineMayBringItsOwnCode) {
  const auto index = ParseModelIndex(
      R"({"_class_name":["my_pipeline","MyPipeline"],"unet":["diffusers","UNet2DConditionModel"],
          "image_encoder":[null,null]})");
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->pipeline, "MyPipeline");
  EXPECT_THAT(index->code_settings, ElementsAre("_class_name"));
  EXPECT_EQ(index->components.size(), 1u);
  EXPECT_THAT(ParseModelIndex(R"({"_class_name":"FluxPipeline"})")->code_settings, IsEmpty());
}

}  // namespace
}  // namespace warmset
