#include "base/shared_text.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(SharedTextTest, IsUsedAsAString) {
  const SharedText text = "sdxl";
  const std::string& as_string = text;
  EXPECT_EQ(as_string, "sdxl");
  EXPECT_EQ(text, std::string("sdxl"));
  EXPECT_EQ(text + "-turbo", "sdxl-turbo");
  EXPECT_EQ("a/" + text, "a/sdxl");
  EXPECT_EQ(fmt::format("{}", text), "sdxl");
  EXPECT_LT(SharedText("a"), SharedText("b"));
  EXPECT_TRUE(SharedText().empty());
  EXPECT_TRUE(SharedText("").empty());
  EXPECT_EQ(SharedText().str(), "");
}

TEST(SharedTextTest, EqualTextsOfAPoolAreOne) {
  TextPool pool;
  const SharedText a = pool.Get("safetensors");
  EXPECT_EQ(&a.str(), &pool.Get(std::string("safetensors")).str());
  EXPECT_NE(&a.str(), &pool.Get("gguf").str());
}

}  // namespace
}  // namespace warmset
