#include "codec/cpu.h"

#include <cstring>
#include <vector>

#include "codec/layered/kernels.h"
#include "gtest/gtest.h"

namespace warmset::codec {
namespace {

TEST(InstructionSet, AWishIsKeptOrRefused) {
  for (const InstructionSet set :
       {InstructionSet::kScalar, InstructionSet::kAvx2, InstructionSet::kAvx512}) {
    const auto chosen = ChooseInstructionSet(InstructionSetName(set));
    if (CanRun(set)) {
      ASSERT_TRUE(chosen.ok()) << chosen.status();
      EXPECT_EQ(*chosen, set);
    } else {
      EXPECT_EQ(CodeOf(chosen.status()), ErrorCode::kInvalidConfig);
    }
  }
  EXPECT_TRUE(CanRun(InstructionSet::kScalar));
  EXPECT_EQ(CodeOf(ChooseInstructionSet("sse9").status()), ErrorCode::kInvalidConfig);
}

TEST(InstructionSet, WithoutAWishTheBestIsChosen) {
  const auto chosen = ChooseInstructionSet("");
  ASSERT_TRUE(chosen.ok());
  for (const InstructionSet better : {InstructionSet::kAvx2, InstructionSet::kAvx512}) {
    if (better > *chosen) {
      EXPECT_FALSE(CanRun(better));
    }
  }
}

TEST(Kernels, AllMakeTheSameChecksum) {
  std::vector<uint8_t> data(64 * 37);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * i >> 3);
  ChecksumState expected;
  kScalarKernels.checksum(data.data(), data.size(), expected);
  for (const InstructionSet set : {InstructionSet::kAvx2, InstructionSet::kAvx512}) {
    if (!CanRun(set)) continue;
    ChecksumState state;
    KernelsFor(set).checksum(data.data(), data.size(), state);
    EXPECT_EQ(std::memcmp(&state, &expected, sizeof state), 0) << InstructionSetName(set);
  }
}

}  // namespace
}  // namespace warmset::codec
