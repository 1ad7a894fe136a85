#include "inspect/compatibility/device_profile.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Known {
  std::string_view device;
  std::string_view title;
  std::vector<DType> computes;
  std::vector<DType> lacks;
};

class KnownDevice : public testing::TestWithParam<Known> {};

TEST_P(KnownDevice, SaysWhatItComputesWith) {
  const auto profile = ParseDeviceProfile(GetParam().device);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->title, GetParam().title);
  EXPECT_TRUE(profile->floats.Contains(DType::kF32));
  for (const DType dtype : GetParam().computes) {
    EXPECT_TRUE(profile->floats.Contains(dtype)) << DTypeName(dtype);
  }
  for (const DType dtype : GetParam().lacks) {
    EXPECT_FALSE(profile->floats.Contains(dtype)) << DTypeName(dtype);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , KnownDevice,
    testing::Values(
        Known{"cpu", "the processor", {DType::kF16, DType::kBF16, DType::kF64}, {DType::kF8E4M3}},
        Known{"host:0", "the processor", {DType::kBF16}, {}},
        Known{"nvidia:5.2", "NVIDIA, compute capability 5.2", {DType::kF64}, {DType::kF16}},
        Known{"nvidia:7.5", "NVIDIA, compute capability 7.5", {DType::kF16}, {DType::kBF16}},
        Known{"NVIDIA:sm_86", "NVIDIA, compute capability 8.6", {DType::kBF16}, {DType::kF8E4M3}},
        Known{"nvidia:rtx4090",
              "NVIDIA, compute capability 8.9",
              {DType::kF8E4M3, DType::kF8E5M2},
              {DType::kF4, DType::kF8E4M3FNUZ}},
        Known{"nvidia:h100", "NVIDIA, compute capability 9.0", {DType::kF8E4M3}, {DType::kF4}},
        Known{"nvidia:12.0", "NVIDIA, compute capability 12.0", {DType::kF4, DType::kF6E2M3}, {}},
        Known{"amd:gfx906", "AMD, gfx906", {DType::kF16}, {DType::kBF16}},
        Known{"amd:gfx90a", "AMD, gfx90a", {DType::kBF16}, {DType::kF8E4M3FNUZ}},
        Known{"amd:mi300x", "AMD, gfx942", {DType::kF8E4M3FNUZ}, {DType::kF8E4M3}},
        Known{"amd:gfx1100", "AMD, gfx1100", {DType::kBF16}, {DType::kF8E4M3}},
        Known{"amd:gfx1201", "AMD, gfx1201", {DType::kF8E4M3}, {DType::kF4}},
        Known{"intel:arc", "Intel, xe-hpg", {DType::kBF16}, {DType::kF64}},
        Known{"intel:b580", "Intel, xe2", {DType::kF64}, {DType::kF8E4M3}}));

TEST(DeviceProfileTest, Memory) {
  EXPECT_EQ(ParseDeviceProfile("cpu")->memory, std::nullopt);
  EXPECT_EQ(ParseDeviceProfile("nvidia:8.6")->memory, std::nullopt);
  EXPECT_EQ(ParseDeviceProfile("nvidia:rtx4090")->memory, ByteCount(24 * kGiB));
  EXPECT_EQ(ParseDeviceProfile("nvidia:rtx4090,memory=20GiB")->memory, ByteCount(20 * kGiB));
  EXPECT_EQ(ParseDeviceProfile("cpu,memory=1GiB")->memory, ByteCount(kGiB));
}

TEST(DeviceProfileTest, UnknownOnesAreRefused) {
  for (const char* const text :
       {"", "abacus", "nvidia", "nvidia:", "nvidia:2.0", "nvidia:8", "nvidia:8.", "nvidia:sm_",
        "nvidia:8.66", "nvidia:4294967296.1", "nvidia:gfx1100", "nvidia:arc", "amd:gfx", "amd:8.6",
        "host:", "host:x", "cpu,", "cpu,memory=", "cpu,memory=lots", "cpu,speed=9",
        "cpu,memory=1GiB,memory=2GiB"}) {
    const auto profile = ParseDeviceProfile(text);
    ASSERT_FALSE(profile.ok()) << text;
    EXPECT_EQ(CodeOf(profile.status()), ErrorCode::kInvalidRequest) << text;
  }
  EXPECT_THAT(std::string(Message(ParseDeviceProfile("abacus").status())),
              AllOf(HasSubstr("'abacus'"), HasSubstr("nvidia:rtx4090")));
}

}  // namespace
}  // namespace warmset
