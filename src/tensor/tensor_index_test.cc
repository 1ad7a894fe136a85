#include "tensor/tensor_index.h"

#include "base/digest.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

std::vector<TensorEntry> SomeTensors() {
  return {{"encoder.weight", DType::kBF16, {2, 3}, 64, 12},
          {"scale", DType::kF32, {}, 0, 4},
          {"packed", DType::kF4, {4}, 8, 2},
          {"empty", DType::kI64, {0, 7}, 80, 0},
          {"huge and empty", DType::kQ4_0, {uint64_t{1} << 63, 64, 0}, 80, 0}};
}

std::string SomeBlob() { return EncodeTensorIndex(SomeTensors(), {{"format", "pt"}}, 80); }

TEST(TensorIndexTest, RoundTrip) {
  const std::string blob = SomeBlob();
  const auto index = TensorIndex::Parse(AsBytes(blob));
  ASSERT_TRUE(index.ok()) << index.status();
  ASSERT_EQ(index->tensor_count(), SomeTensors().size());
  for (uint64_t i = 0; i < index->tensor_count(); ++i) {
    EXPECT_EQ(index->tensor(i), SomeTensors()[i]);
  }
  EXPECT_EQ(index->data_bytes(), 80u);
  EXPECT_EQ(index->metadata().at("format"), "pt");
  EXPECT_EQ(index->dtype_bytes().at("BF16"), 12u);
}

TEST(TensorIndexTest, EmptyIndex) {
  const std::string blob = EncodeTensorIndex({}, {}, 0);
  EXPECT_TRUE(TensorIndex::Parse(AsBytes(blob)).ok());
}

TEST(TensorIndexTest, TruncatedAnywhereIsNeverReadOutside) {
  const std::string blob = SomeBlob();
  for (size_t length = 0; length < blob.size(); ++length) {
    const std::string cut = blob.substr(0, length);
    // The strings end with the blob, so every cut loses part of a string.
    EXPECT_FALSE(TensorIndex::Parse(AsBytes(cut)).ok()) << length;
  }
}

TEST(TensorIndexTest, RejectsATensorOutsideTheMemory) {
  const std::string blob = EncodeTensorIndex(SomeTensors(), {}, 75);
  EXPECT_EQ(CodeOf(TensorIndex::Parse(AsBytes(blob)).status()), ErrorCode::kCorruptedModel);
}

TEST(TensorIndexTest, RejectsSizesThatOverflow) {
  const uint64_t half = uint64_t{1} << 32;
  const std::vector<TensorEntry> lying = {{"w", DType::kU8, {half, half}, 0, 0}};
  const std::string blob = EncodeTensorIndex(lying, {}, 80);
  EXPECT_FALSE(TensorIndex::Parse(AsBytes(blob)).ok());
}

TEST(TensorIndexTest, SaysWhichVersionItDoesNotKnow) {
  std::string blob = SomeBlob();
  blob[4] = 9;
  EXPECT_EQ(CodeOf(TensorIndex::Parse(AsBytes(blob)).status()), ErrorCode::kVersionMismatch);
}

}  // namespace
}  // namespace warmset
