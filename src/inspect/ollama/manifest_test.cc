#include "inspect/ollama/manifest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/shard_index.h"

namespace warmset {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

const std::string kDigits(64, 'a');

std::string Layer(const std::string& type, const std::string& digest, const std::string& size) {
  return R"({"mediaType":"application/vnd.ollama.image.)" + type + R"(","digest":")" + digest +
         R"(","size":)" + size + "}";
}
std::string Manifest(const std::string& layers) {
  return R"({"schemaVersion":2,"layers":[)" + layers + "]}";
}

TEST(OllamaManifestTest, LayersAndTheConfig) {
  const auto layers = ParseOllamaManifest(
      R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.container.image.v1+json",
          "digest":"sha256:)" +
      kDigits + R"(","size":7},"layers":[)" + Layer("model", "sha256:" + kDigits, "12") + "," +
      Layer("template", "sha256-" + kDigits, "3") + "]}");
  ASSERT_TRUE(layers.ok()) << layers.status();
  ASSERT_THAT(*layers, SizeIs(3));
  EXPECT_EQ((*layers)[0].blob, "sha256-" + kDigits);
  EXPECT_EQ((*layers)[0].component(), "model");
  EXPECT_EQ((*layers)[0].size, 12u);
  EXPECT_EQ((*layers)[1].component(), "");
  EXPECT_EQ((*layers)[2].component(), "");
}

struct BrokenManifest {
  std::string name;
  std::string json;
  ErrorCode code;
  std::string message;
};
class BrokenManifestTest : public testing::TestWithParam<BrokenManifest> {};

TEST_P(BrokenManifestTest, IsRefused) {
  const Status status = ParseOllamaManifest(GetParam().json).status();
  EXPECT_EQ(CodeOf(status), GetParam().code) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Manifests, BrokenManifestTest,
    testing::Values(
        BrokenManifest{"no_json", "{", ErrorCode::kCorruptedModel, "Ollama manifest"},
        BrokenManifest{"empty", "", ErrorCode::kCorruptedModel, "Ollama manifest"},
        BrokenManifest{"an_array", "[]", ErrorCode::kCorruptedModel, "no layers"},
        BrokenManifest{"layers_are_no_array", R"({"layers":{}})", ErrorCode::kCorruptedModel,
                       "no layers"},
        BrokenManifest{"a_layer_is_a_number", Manifest("3"), ErrorCode::kCorruptedModel,
                       "no mediaType"},
        BrokenManifest{"digest_leads_up",
                       Manifest(Layer("model", "sha256:../../../../etc/passwd", "1")),
                       ErrorCode::kUnsafeModel, "leads out"},
        BrokenManifest{"digest_is_a_path", Manifest(Layer("model", "/etc/passwd", "1")),
                       ErrorCode::kUnsafeModel, "leads out"},
        BrokenManifest{"digest_of_the_right_length_leads_up",
                       Manifest(Layer("model", "sha256:" + ("../" + kDigits).substr(0, 64), "1")),
                       ErrorCode::kUnsafeModel, "leads out"},
        BrokenManifest{"digest_is_short", Manifest(Layer("model", "sha256:aa", "1")),
                       ErrorCode::kCorruptedModel, "64 hexadecimal"},
        BrokenManifest{"digest_in_capitals",
                       Manifest(Layer("model", "sha256:" + std::string(64, 'A'), "1")),
                       ErrorCode::kCorruptedModel, "64 hexadecimal"},
        BrokenManifest{"other_algorithm", Manifest(Layer("model", "sha512:" + kDigits, "1")),
                       ErrorCode::kCorruptedModel, "64 hexadecimal"},
        BrokenManifest{"size_is_negative", Manifest(Layer("model", "sha256:" + kDigits, "-1")),
                       ErrorCode::kCorruptedModel, "no size"},
        BrokenManifest{"size_is_a_fraction", Manifest(Layer("model", "sha256:" + kDigits, "1.5")),
                       ErrorCode::kCorruptedModel, "no size"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(OllamaManifestTest, TooManyLayersAreRefused) {
  std::string layers = Layer("model", "sha256:" + kDigits, "1");
  std::string many = layers;
  for (int i = 0; i < 1000; ++i) many += "," + layers;
  EXPECT_EQ(CodeOf(ParseOllamaManifest(Manifest(many)).status()), ErrorCode::kCorruptedModel);
}

}  // namespace
}  // namespace warmset
