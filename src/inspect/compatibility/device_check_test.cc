#include "inspect/compatibility/device_check.h"

#include "base/strong.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ComponentManifest Component(std::string name, DType dtype, uint64_t bytes) {
  ComponentManifest component;
  component.name = std::move(name);
  component.tensor_count = 1;
  component.tensor_bytes = bytes;
  component.dtype_bytes[std::string(DTypeName(dtype))] = bytes;
  component.id = DigestOf<ComponentId>(AsBytes(component.name));
  return component;
}

std::vector<Finding> Check(std::vector<ComponentManifest> components, std::string_view device,
                           const std::set<ComponentId>& placed = {}) {
  Manifest manifest;
  manifest.components = std::move(components);
  return CheckDevice(manifest, *ParseDeviceProfile(device), placed);
}

auto Is(Verdict verdict, FindingCategory category, const std::string& text) {
  return AllOf(Field(&Finding::verdict, verdict), Field(&Finding::category, category),
               Field(&Finding::message, HasSubstr(text)));
}

TEST(DeviceCheckTest, DTypes) {
  const auto bf16 = Component("model", DType::kBF16, kGiB);
  EXPECT_THAT(Check({bf16}, "nvidia:8.0"), IsEmpty());
  EXPECT_THAT(Check({bf16}, "nvidia:t4"),
              ElementsAre(Is(Verdict::kUnsupported, FindingCategory::kDtypeSupport,
                             "1.00 GiB of its tensors are BF16")));
  EXPECT_THAT(Check({Component("model", DType::kI64, 8)}, "nvidia:5.0"), IsEmpty());
  EXPECT_THAT(Check({Component("model", DType::kQ4_K, 144)}, "nvidia:5.0"),
              ElementsAre(Is(Verdict::kOk, FindingCategory::kDtypeSupport, "Q4_K")));
}

TEST(DeviceCheckTest, Memory) {
  const auto check = [](std::vector<ComponentManifest> components) {
    return Check(std::move(components), "nvidia:8.6,memory=10GiB");
  };
  EXPECT_THAT(check({Component("unet", DType::kF16, 8 * kGiB)}), IsEmpty());
  EXPECT_THAT(check({Component("unet", DType::kF16, 10 * kGiB)}),
              ElementsAre(Is(Verdict::kOk, FindingCategory::kDeviceMemory, "leaves little")));
  EXPECT_THAT(check({Component("unet", DType::kF16, 11 * kGiB)}),
              ElementsAre(Is(Verdict::kUnsupported, FindingCategory::kDeviceMemory,
                             "component 'unet' takes 11.0 GiB")));
  EXPECT_THAT(check({Component("unet", DType::kF16, 8 * kGiB),
                     Component("text_encoder", DType::kF16, 4 * kGiB)}),
              ElementsAre(Is(Verdict::kOk, FindingCategory::kDeviceMemory, "one at a time")));
  // Only one variant is loaded.
  EXPECT_THAT(check({Component("unet", DType::kF32, 8 * kGiB),
                     Component("unet.fp16", DType::kF16, 4 * kGiB)}),
              IsEmpty());
  EXPECT_THAT(check({}), IsEmpty());
}

TEST(DeviceCheckTest, WhatIsPlacedNeedsNoMemory) {
  const auto unet = Component("unet", DType::kF16, 8 * kGiB);
  const auto vae = Component("vae", DType::kF16, 8 * kGiB);
  EXPECT_THAT(Check({unet, vae}, "nvidia:8.6,memory=10GiB", {unet.id}), IsEmpty());
}

}  // namespace
}  // namespace warmset
