#include "base/byte_reader.h"

#include "base/digest.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(ByteReaderTest, ReadsWhatTheWriterWrote) {
  ByteWriter writer;
  writer.Write<uint16_t>(7);
  writer.WriteString("name");
  writer.Write<int64_t>(-1);
  const std::string data = writer.Take();
  ByteReader reader(AsBytes(data));
  EXPECT_EQ(*reader.Read<uint16_t>(), 7);
  EXPECT_EQ(*reader.ReadString(10), "name");
  EXPECT_EQ(*reader.Read<int64_t>(), -1);
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReaderTest, AFailedReadChangesNothing) {
  ByteWriter writer;
  writer.Write<uint32_t>(1000);  // a string that claims more than there is
  const std::string data = writer.Take();
  ByteReader reader(AsBytes(data));
  EXPECT_FALSE(reader.ReadString(10).ok());
  EXPECT_FALSE(reader.ReadString(100000).ok());
  EXPECT_FALSE(reader.Read<uint64_t>().ok());
  EXPECT_EQ(reader.offset(), 0u);
}

TEST(ByteReaderTest, CheckedArithmeticSaysOverflow) {
  EXPECT_FALSE(CheckedMultiply(uint64_t{1} << 33, uint64_t{1} << 31).has_value());
  EXPECT_EQ(CheckedMultiply(0, ~uint64_t{0}), 0u);
  EXPECT_FALSE(CheckedAdd(~uint64_t{0}, 1).has_value());
}

}  // namespace
}  // namespace warmset
