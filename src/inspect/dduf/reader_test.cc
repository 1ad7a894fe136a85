#include "inspect/dduf/reader.h"

#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/pytorch/test_pickle.h"
#include "inspect/read_for_test.h"
#include "inspect/test_safetensors.h"
#include "inspect/zip/test_zip.h"

namespace warmset {
namespace {

using testing::HasSubstr;
using Entries = std::vector<TestZipEntry>;

constexpr std::string_view kIndex =
    R"({"_class_name":"P","unet":["diffusers","UNet2DConditionModel"],)"
    R"("tokenizer":["transformers","CLIPTokenizer"],"safety_checker":[null,null]})";

Entries PipelineEntries() {
  return {{.name = "model_index.json", .content = std::string(kIndex)},
          {.name = "unet/config.json", .content = "{}"},
          {.name = "unet/diffusion_pytorch_model.safetensors",
           .content = TestSafetensors({{"a", 3}, {"b", 2}})},
          {.name = "tokenizer/tokenizer_config.json", .content = "{}"},
          {.name = "tokenizer/merges.txt", .content = "a b"},
          {.name = "tokenizer/spiece.model", .content = "x"}};
}

StatusOr<FileContents> Parse(const std::string& file) { return ReadForTest(DdufReader(), file); }

TEST(DdufReaderTest, TensorsOfAPipeline) {
  const std::string file = TestZip(PipelineEntries(), {.zip64 = true});
  const auto contents = Parse(file);
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->tensors.size(), 2u);
  EXPECT_EQ(contents->tensors[0].name, "unet/a");
  EXPECT_EQ(contents->tensors[1].name, "unet/b");
  const std::string weights = TestSafetensors({{"a", 3}, {"b", 2}});
  EXPECT_EQ(contents->tensors[1].offset, file.find(weights) + weights.size() - 2);
  EXPECT_EQ(contents->metadata.at("_class_name"), "P");
  EXPECT_EQ(contents->metadata.at("unet"), "UNet2DConditionModel");
}

TEST(DdufReaderTest, ShardsOfAComponent) {
  Entries entries = PipelineEntries();
  entries[2].name = "unet/m-00001-of-00002.safetensors";
  entries.push_back({.name = "unet/m-00002-of-00002.safetensors",
                     .content = TestSafetensors({{"c", 1}})});
  entries.push_back({.name = "unet/m.safetensors.index.json",
                     .content = R"({"weight_map":{"a":"m-00001-of-00002.safetensors",)"
                                R"("c":"m-00002-of-00002.safetensors"}})"});
  const auto contents = Parse(TestZip(entries));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->tensors.size(), 3u);
}

TEST(DdufReaderTest, TwoPrecisionsOfAComponent) {
  Entries entries = PipelineEntries();
  entries.push_back({.name = "unet/diffusion_pytorch_model.fp16.safetensors",
                     .content = TestSafetensors({{"a", 1}})});
  const auto contents = Parse(TestZip(entries));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->tensors.size(), 2u);
  ASSERT_EQ(contents->findings.size(), 1u);
  EXPECT_THAT(contents->findings[0].message, HasSubstr("left out"));
}

struct Broken {
  std::string_view name;
  std::function<void(Entries&)> change;
  std::string_view message;
  ErrorCode code = ErrorCode::kCorruptedModel;
};

class BrokenDduf : public testing::TestWithParam<Broken> {};

TEST_P(BrokenDduf, IsRefusedWithItsReason) {
  Entries entries = PipelineEntries();
  GetParam().change(entries);
  const Status status = Parse(TestZip(entries)).status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorCodeName(CodeOf(status)), ErrorCodeName(GetParam().code)) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(GetParam().message)));
}

std::vector<Broken> BrokenFiles() {
  using test_pickle::Payload;
  using test_pickle::Stream;
  const auto add = [](const std::string& name, const std::string& content) {
    return [=](Entries& e) { e.push_back({.name = name, .content = content}); };
  };
  return {
      {"no_index", [](Entries& e) { e.erase(e.begin()); }, "no model_index.json"},
      {"index_elsewhere", [](Entries& e) { e[0].name = "unet/model_index.json"; },
       "no model_index.json"},
      {"index_is_no_json", [](Entries& e) { e[0].content = "{"; }, "model_index.json"},
      {"index_is_a_list", [](Entries& e) { e[0].content = "[]"; }, "model_index.json"},
      {"compressed_index", [](Entries& e) { e[0].deflate = true; }, "is compressed"},
      {"compressed_weights", [](Entries& e) { e[2].deflate = true; }, "is compressed"},
      {"nested_folder", add("unet/more/config.json", "{}"), "more than one folder"},
      {"unknown_folder", add("vae/config.json", "{}"), "does not name folder 'vae'"},
      {"no_configuration", [](Entries& e) { e[1].name = "unet/other.json"; }, "no configuration"},
      {"python", add("unet/run.py", "x"), "does not allow"},
      {"gguf", add("unet/m.gguf", "GGUF"), "does not allow"},
      {"pickle", add("unet/m.bin", "x"), "does not allow"},
      {"no_ending", add("unet/README", "x"), "does not allow"},
      {"broken_weights", [](Entries& e) { e[2].content.pop_back(); },
       "unet/diffusion_pytorch_model.safetensors: it is cut off", ErrorCode::kIncompleteModel},
      {"bad_crc", [](Entries& e) { e[0].crc = 1; }, "checksum"},
      {"twice", [](Entries& e) { e.push_back(e[1]); }, "two entries"},
      {"local_name", [](Entries& e) { e[1].local_name = "unet/c0nfig.json"; }, "in the name"},
      {"shard_missing",
       add("unet/m.safetensors.index.json", R"({"weight_map":{"a":"m-1.safetensors"}})"),
       "names m-1.safetensors", ErrorCode::kIncompleteModel},
      {"shard_elsewhere",
       add("unet/m.safetensors.index.json", R"({"weight_map":{"a":"../vae/m.safetensors"}})"),
       "m.safetensors.index.json", ErrorCode::kUnsafeModel},
      {"shard_without_tensor",
       add("unet/m.safetensors.index.json",
           R"({"weight_map":{"z":"diffusion_pytorch_model.safetensors"}})"),
       "tensor 'z' is not in"},
      {"no_weights", [](Entries& e) { e.erase(e.begin() + 2); }, "no weights",
       ErrorCode::kIncompleteModel},
      {"leads_out", add("../x.json", "{}"), "outside of its folder", ErrorCode::kUnsafeModel},
      {"payload", add("unet/m.bin", Stream(Payload())), "posix.system", ErrorCode::kUnsafeModel},
      {"payload_in_archive",
       add("unet/m.pt", test_pickle::Archive(Stream(Payload()), {})), "posix.system",
       ErrorCode::kUnsafeModel},
      {"payload_as_data_pkl", add("unet/data.pkl", Stream(Payload())), "posix.system",
       ErrorCode::kUnsafeModel},
  };
}

INSTANTIATE_TEST_SUITE_P(, BrokenDduf, testing::ValuesIn(BrokenFiles()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(DdufReaderTest, IsRecognisedByItsContent) {
  const auto match = [](std::string_view name, const std::string& file) {
    return DdufReader().Recognise(
        {.name = name, .bytes = AsBytes(file), .file_size = file.size()});
  };
  using enum FormatReader::Match;
  Entries entries = PipelineEntries();
  EXPECT_EQ(match("x.zip", TestZip(entries)), kByContent);
  std::rotate(entries.begin(), entries.begin() + 1, entries.end());
  EXPECT_EQ(match("x.dduf", TestZip(entries)), kByContent);
  EXPECT_EQ(match("x.dduf", test_pickle::Archive("", {})), kByName);
  EXPECT_EQ(match("x.pt", test_pickle::Archive("", {})), kNo);
}

TEST(DdufReaderTest, AFileCutOffAtAnyByteIsRefused) {
  const std::string whole = TestZip(PipelineEntries());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(Parse(whole.substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace warmset
