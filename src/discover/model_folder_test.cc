#include "discover/model_folder.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "inspect/test_safetensors.h"
#include "os/file.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

class ModelFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "model_folder_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    top_ = fs::canonical(pattern).string();
    folder_ = top_ + "/model";
    Write("model/model.onnx", "graph");
    Write("secret", "outside");
  }
  void TearDown() override { fs::remove_all(top_); }

  void Write(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(top_ + "/" + path).parent_path());
    WriteTestFile(top_ + "/" + path, content);
  }
  // What a file's name for another file leads to: its content, or why not.
  static std::string Other(const std::string& folder, const std::string& path) {
    const auto fd = ModelFolder(folder).OpenOther(path);
    if (!fd.ok()) return std::string(ErrorCodeName(CodeOf(fd.status())));
    return *os::ReadSmallFile(fd->get(), 100);
  }
  std::string Other(const std::string& path) const { return Other(folder_, path); }

  std::string top_;
  std::string folder_;
};

TEST_F(ModelFolderTest, FilesOfTheModelAreOpenedAsTheyWereSighted) {
  fs::create_symlink(top_ + "/secret", folder_ + "/link.onnx");
  ModelFolder folder(folder_);
  EXPECT_TRUE(folder.Open("model.onnx").ok());
  EXPECT_TRUE(folder.Open("link.onnx").ok());  // the user's own link
  EXPECT_EQ(CodeOf(folder.Open("absent").status()), ErrorCode::kFileNotFound);
}

TEST_F(ModelFolderTest, WhatAFileNamesLiesBeneathTheModelsFolder) {
  Write("model/weights/data.bin", "data");
  fs::create_symlink("weights/data.bin", folder_ + "/inside");
  EXPECT_EQ(Other("weights/data.bin"), "data");
  EXPECT_EQ(Other("./weights/data.bin"), "data");
  EXPECT_EQ(Other("inside"), "data");
  EXPECT_EQ(Other("absent"), "incomplete_model");
  EXPECT_EQ(Other("model.onnx/absent"), "incomplete_model");
  EXPECT_EQ(Other(std::string(5000, 'x')), "incomplete_model");
}

TEST_F(ModelFolderTest, WhatLeadsOutIsUnsafe) {
  fs::create_symlink("../secret", folder_ + "/link");
  fs::create_symlink(top_ + "/secret", folder_ + "/absolute_link");
  fs::create_symlink("..", folder_ + "/folder_link");
  fs::create_hard_link(top_ + "/secret", folder_ + "/hard_link");
  for (const std::string& path :
       {std::string("../secret"), std::string("weights/../../secret"), std::string("a/.."),
        top_ + "/secret", std::string("link"), std::string("absolute_link"),
        std::string("folder_link/secret"), std::string("hard_link")}) {
    EXPECT_EQ(Other(path), "unsafe_model") << path;
  }
}

TEST_F(ModelFolderTest, WhatIsNoFileIsCorrupt) {
  fs::create_directory(folder_ + "/folder");
  fs::create_symlink("circle", folder_ + "/circle");
  ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  for (const std::string& path : {std::string(), std::string("."), std::string("folder"),
                                  std::string("circle"), std::string("fifo"),
                                  std::string("a\0b", 3)}) {
    EXPECT_EQ(Other(path), "corrupted_model") << path;
  }
}

TEST_F(ModelFolderTest, InAHubCacheTheWholeRepoIsTheModels) {
  const std::string snapshot = top_ + "/models--org--name/snapshots/0123";
  Write("models--org--name/blobs/aaaa", "in the snapshot");
  Write("models--org--name/blobs/beside.onnx_data", "beside the real model");
  Write("models--other--name/blobs/bbbb", "another repo");
  fs::create_directories(snapshot);
  fs::create_symlink("../../blobs/aaaa", snapshot + "/model.onnx_data");
  fs::create_symlink("../../../models--other--name/blobs/bbbb", snapshot + "/stolen");
  fs::create_hard_link(top_ + "/models--org--name/blobs/aaaa", top_ + "/second_name");
  EXPECT_EQ(Other(snapshot, "model.onnx_data"), "in the snapshot");
  EXPECT_EQ(Other(snapshot, "beside.onnx_data"), "beside the real model");
  EXPECT_EQ(Other(snapshot, "stolen"), "unsafe_model");
  EXPECT_EQ(Other(snapshot, "../0123/model.onnx_data"), "unsafe_model");
  EXPECT_EQ(Other(snapshot, "absent"), "incomplete_model");
}

}  // namespace
}  // namespace warmset
