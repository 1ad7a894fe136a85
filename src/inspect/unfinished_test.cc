#include "inspect/unfinished.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(UnfinishedTest, NamesOfDownloadersThatAreAtWork) {
  for (const std::string_view ending : {".part", ".crdownload", ".!qB", ".download", ".partial",
                                        ".tmp", ".incomplete", ".PART", ".downloadInProgress"}) {
    const std::string name = "a.safetensors" + std::string(ending);
    EXPECT_EQ(UnfinishedNameOf(name), "a.safetensors") << name;
  }
  EXPECT_EQ(UnfinishedNameOf("downloading_f.gguf.part"), "downloading_f.gguf");
  EXPECT_EQ(UnfinishedNameOf("model.onnx_data.part"), "model.onnx_data");
  EXPECT_EQ(UnfinishedNameOf("Unconfirmed 123.crdownload"), "");
  for (const std::string_view other :
       {"notes.part", "movie.mkv.crdownload", "a.safetensors", ".part", "x.tmp", "part"}) {
    EXPECT_EQ(UnfinishedNameOf(other), std::nullopt) << other;
  }
}

TEST(UnfinishedTest, ControlFilesBelongToTheFileBesideThem) {
  EXPECT_EQ(FileOfControlFile("a.gguf.aria2"), "a.gguf");
  EXPECT_EQ(FileOfControlFile("a.safetensors.st"), "a.safetensors");
  EXPECT_EQ(FileOfControlFile("a.iso.aria2"), std::nullopt);
  EXPECT_EQ(FileOfControlFile("a.gguf"), std::nullopt);
}

}  // namespace
}  // namespace warmset
