#include "device/layout.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/strong.h"
#include "device/device.h"

namespace warmset {
namespace {

TensorEntry Bytes(const char* name, uint64_t offset, uint64_t bytes) {
  return {name, DType::kU8, {bytes}, offset, bytes};
}

StatusOr<DeviceLayout> LayOut(const std::vector<TensorEntry>& tensors, uint64_t data_bytes) {
  const std::string blob = EncodeTensorIndex(tensors, {{"format", "pt"}}, data_bytes);
  ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(blob)));
  return ComputeLayout(index);
}

TEST(Layout, AlignsAndKeepsTheIndexOrder) {
  const auto layout = LayOut({Bytes("b", 300, 10), Bytes("a", 100, 200)}, 1000);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->bytes, 266u);
  ASSERT_EQ(layout->copies.size(), 2u);
  EXPECT_EQ(layout->copies[0].from, 100u);
  EXPECT_EQ(layout->copies[0].to, 0u);
  EXPECT_EQ(layout->copies[0].bytes, 200u);
  EXPECT_EQ(layout->copies[1].from, 300u);
  EXPECT_EQ(layout->copies[1].to, 256u);

  const auto index = TensorIndex::Parse(AsBytes(layout->index));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->tensor(0), Bytes("b", 256, 10));
  EXPECT_EQ(index->tensor(1), Bytes("a", 0, 200));
  EXPECT_EQ(index->data_bytes(), 266u);
  EXPECT_EQ(index->metadata().at("format"), "pt");
}

TEST(Layout, JoinsWhatIsAdjacentInBoth) {
  const auto layout = LayOut({Bytes("a", 0, 512), Bytes("b", 512, 256), Bytes("c", 768, 1)}, 800);
  ASSERT_TRUE(layout.ok());
  ASSERT_EQ(layout->copies.size(), 1u);
  EXPECT_EQ(layout->copies[0].bytes, 769u);
}

TEST(Layout, EqualExtentsStayOne) {
  const auto layout = LayOut({Bytes("a", 0, 512), Bytes("tied", 0, 512)}, 512);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->bytes, 512u);
  EXPECT_EQ(layout->copies.size(), 1u);
}

TEST(Layout, EmptyTensorsTakeNoRoom) {
  const auto layout = LayOut({Bytes("empty", 7, 0)}, 100);
  ASSERT_TRUE(layout.ok());
  EXPECT_TRUE(layout->copies.empty());
  EXPECT_EQ(layout->bytes, 1u);
  EXPECT_TRUE(TensorIndex::Parse(AsBytes(layout->index)).ok());
}

TEST(Layout, OverlapsThatExceed64BitsAreRefused) {
  const uint64_t half = uint64_t{1} << 63;
  EXPECT_EQ(CodeOf(LayOut({Bytes("a", 0, half), Bytes("b", 1, half)}, half + 1).status()),
            ErrorCode::kCorruptedModel);
}

TEST(ChunkBytes, FitTheComponentAndOneMessage) {
  const DeviceCapabilities can{true, 4 * kKiB, 256 * kMiB};
  EXPECT_EQ(ChunkBytesFor(ByteCount(1), can), 4 * kKiB);
  EXPECT_EQ(ChunkBytesFor(ByteCount(256 * kMiB), can), 256 * kMiB);
  EXPECT_EQ(ChunkBytesFor(ByteCount(300 * kMiB), can), 256 * kMiB);
  EXPECT_EQ(ChunkBytesFor(ByteCount(kMaxChunks * 256 * kMiB), can), 256 * kMiB);
  EXPECT_EQ(ChunkBytesFor(ByteCount(kMaxChunks * 256 * kMiB + 1), can), 512 * kMiB);
}

}  // namespace
}  // namespace warmset
