#include "catalog/compress.h"

#include "base/digest.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(CompressTest, GivesBackWhatWentIn) {
  std::string content;
  for (int i = 0; i < 10'000; ++i) content += "model.layers." + std::to_string(i) + ".weight";
  for (const std::string& text : {std::string(), std::string("a"), content}) {
    const auto back = Decompress(AsBytes(Compress(text)));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, text);
  }
  EXPECT_LT(Compress(content).size() * 5, content.size());
}

TEST(CompressTest, DamageIsAnError) {
  const std::string frame = Compress(std::string(5000, 'x') + "tail");
  for (size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(Decompress(AsBytes(frame.substr(0, size))).ok()) << size;
  }
  EXPECT_EQ(CodeOf(Decompress(AsBytes("no frame at all")).status()), ErrorCode::kCorruptedModel);
  // A frame header that claims 2^60 bytes.
  const std::string bomb("\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x10\x01\0\0", 16);
  EXPECT_FALSE(Decompress(AsBytes(bomb)).ok());
}

}  // namespace
}  // namespace warmset
