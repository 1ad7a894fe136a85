#include "daemon/path_links.h"

#include <unistd.h>

#include <filesystem>

#include "gtest/gtest.h"
#include "os/file.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

class PathLinksTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "path_links_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern + "/links";
  }
  void TearDown() override { fs::remove_all(fs::path(folder_).parent_path()); }

  std::string folder_;
  const ModelId model_ = DigestOf<ModelId>(AsBytes("model"));
};

TEST_F(PathLinksTest, ALinkOpensAsTheMemory) {
  auto links = PathLinks::Create(folder_);
  ASSERT_TRUE(links.ok()) << links.status();
  auto memory = os::MakeSealedFile("warmset-test", AsBytes("warm"));
  ASSERT_TRUE(memory.ok());
  const auto folder = links->Replace(model_, {{"vae/model.safetensors", {memory->fd(), ""}}});
  ASSERT_TRUE(folder.ok()) << folder.status();
  const auto content = os::ReadSmallFile(*folder + "/vae/model.safetensors", 100);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(*content, "warm");
}

TEST_F(PathLinksTest, NothingIsLeftBehind) {
  fs::create_directories(folder_ + "/left-by-a-crash");
  {
    auto links = PathLinks::Create(folder_);
    ASSERT_TRUE(links.ok());
    EXPECT_TRUE(fs::is_empty(folder_));
    ASSERT_TRUE(links->Replace(model_, {{"config.json", {-1, "/etc/hostname"}}}).ok());
    links->Remove(model_);
    EXPECT_TRUE(fs::is_empty(folder_));
  }
  EXPECT_FALSE(fs::exists(folder_));
}

}  // namespace
}  // namespace warmset
