#include "discover/root_state.h"

#include <filesystem>

#include "discover/tree_for_test.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(RootStateTest, AFolderThatWasMadeAgainIsAnotherOne) {
  TreeForTest tree;
  tree.Add({{"root/a.safetensors", "x"}});
  const std::string root = tree.path() + "/root";
  const RootState first = LookAtRoot(root);
  EXPECT_TRUE(first.there);
  tree.AddFile("root/b.safetensors", "x");
  EXPECT_EQ(LookAtRoot(root), first);  // what is in it is inotify's business
  std::filesystem::rename(root, tree.path() + "/away");
  EXPECT_EQ(LookAtRoot(root), RootState());
  tree.Add({{"root/"}});
  const RootState again = LookAtRoot(root);
  EXPECT_TRUE(again.there);
  EXPECT_NE(again, first);
}

}  // namespace
}  // namespace warmset
