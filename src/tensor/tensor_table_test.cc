#include "tensor/tensor_table.h"

#include <array>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

using testing::ElementsAre;

Status Add(TensorTable& table, std::string_view name, uint64_t offset, uint32_t file = 0) {
  const std::array<uint64_t, 2> shape = {2, 3};
  return table.Add({.name = name, .dtype = DType::kF16, .shape = shape, .strides = {},
                    .file = file, .offset = offset, .bytes = 12});
}

TEST(TensorTable, GivesBackWhatWasAdded) {
  TensorTable table;
  const std::array<uint64_t, 2> shape = {4, 5};
  const std::array<int64_t, 2> strides = {1, -4};
  ASSERT_TRUE(table.Add({.name = "t", .dtype = DType::kF32, .shape = shape, .strides = strides,
                         .storage = TensorStorage::kStrided, .file = 3, .offset = 64, .bytes = 80})
                  .ok());
  ASSERT_TRUE(table.Add({.name = "", .dtype = DType::kQ4_K, .shape = {}, .strides = {}}).ok());
  ASSERT_EQ(table.size(), 2u);
  const TensorView t = table[0];
  EXPECT_EQ(t.name, "t");
  EXPECT_EQ(t.dtype, DType::kF32);
  EXPECT_THAT(t.shape, ElementsAre(4, 5));
  EXPECT_THAT(t.strides, ElementsAre(1, -4));
  EXPECT_EQ(t.storage, TensorStorage::kStrided);
  EXPECT_EQ(t.file, 3u);
  EXPECT_EQ(t.offset, 64u);
  EXPECT_EQ(t.bytes, 80u);
  EXPECT_TRUE(table[1].shape.empty());
  EXPECT_TRUE(table[1].strides.empty());
}

TEST(TensorTable, SortsByFileThenOffsetThenName) {
  TensorTable table;
  ASSERT_TRUE(Add(table, "d", 0, 1).ok());
  ASSERT_TRUE(Add(table, "c", 12).ok());
  ASSERT_TRUE(Add(table, "b", 0).ok());
  ASSERT_TRUE(Add(table, "a", 0).ok());
  table.SortByPlace();
  std::string order;
  for (size_t i = 0; i < table.size(); ++i) order += table[i].name;
  EXPECT_EQ(order, "abcd");
}

TEST(TensorTable, ShiftsEveryOffset) {
  TensorTable table;
  ASSERT_TRUE(Add(table, "a", 0).ok());
  ASSERT_TRUE(Add(table, "b", 12).ok());
  table.ShiftOffsets(100);
  EXPECT_EQ(table[0].offset, 100u);
  EXPECT_EQ(table[1].offset, 112u);
}

TEST(TensorTable, FindsANameThatIsThereTwice) {
  TensorTable table;
  ASSERT_TRUE(Add(table, "a", 0).ok());
  ASSERT_TRUE(Add(table, "b", 12).ok());
  EXPECT_EQ(table.FindDuplicateName(), std::nullopt);
  ASSERT_TRUE(Add(table, "a", 24).ok());
  EXPECT_EQ(table.FindDuplicateName(), 2u);
}

TEST(TensorTable, RefusesTooManyDimensions) {
  TensorTable table;
  const std::vector<uint64_t> shape(kMaxTensorRank + 1, 1);
  EXPECT_EQ(CodeOf(table.Add({.name = "t", .dtype = DType::kU8, .shape = shape, .strides = {}})),
            ErrorCode::kUnsupportedFormat);
  EXPECT_TRUE(table.empty());
}

}  // namespace
}  // namespace warmset
