#include "device/device_conformance.h"

#include <numeric>
#include <thread>
#include <vector>

namespace warmset {
namespace {

std::vector<std::byte> Pattern(size_t bytes, unsigned salt) {
  std::vector<std::byte> pattern(bytes);
  for (size_t i = 0; i < bytes; ++i) {
    pattern[i] = static_cast<std::byte>((i * 2654435761u + salt) >> 7);
  }
  return pattern;
}

}  // namespace

std::unique_ptr<Device> DeviceConformance::Open(ByteCount memory) {
  auto device = GetParam()(memory);
  EXPECT_TRUE(device.ok()) << device.status();
  return device.ok() ? *std::move(device) : nullptr;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceConformance);

TEST_P(DeviceConformance, SaysWhatItIs) {
  const auto device = Open(ByteCount(16 * kMiB));
  EXPECT_TRUE(device->identity().id.value().starts_with(device->identity().backend + ":"));
  EXPECT_FALSE(device->identity().name.empty());
  EXPECT_NE(device->identity().uuid, DeviceUuid{});
  EXPECT_EQ(device->identity().uuid, Open(ByteCount(kMiB))->identity().uuid);
  const DeviceCapabilities& can = device->capabilities();
  EXPECT_GE(can.max_chunk_bytes, can.chunk_granularity);
  EXPECT_LE(can.max_chunk_bytes, 256 * kMiB);
}

TEST_P(DeviceConformance, CopiesInAndOut) {
  const auto device = Open(ByteCount(64 * kMiB));
  auto memory = device->Allocate(ByteCount(3 * kMiB + 17));
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ((*memory)->bytes(), 3 * kMiB + 17);
  EXPECT_GE((*memory)->allocated_bytes(), (*memory)->bytes());
  const auto written = Pattern(3 * kMiB + 17, 1);
  const std::span<const std::byte> all(written);
  ASSERT_TRUE((*memory)->Write(0, all.first(5)).ok());
  ASSERT_TRUE((*memory)->Write(5, all.subspan(5)).ok());
  std::vector<std::byte> read(1000);
  ASSERT_TRUE((*memory)->Publish().ok());
  ASSERT_TRUE((*memory)->Read(kMiB - 500, read).ok());
  EXPECT_TRUE(std::equal(read.begin(), read.end(), written.begin() + kMiB - 500));
}

TEST_P(DeviceConformance, RefusesWhatLeavesTheMemory) {
  const auto device = Open(ByteCount(16 * kMiB));
  auto memory = device->Allocate(ByteCount(100));
  ASSERT_TRUE(memory.ok()) << memory.status();
  std::vector<std::byte> buffer(10);
  for (const uint64_t offset : {uint64_t{91}, uint64_t{100}, ~uint64_t{0}, ~uint64_t{0} - 5}) {
    EXPECT_EQ(CodeOf((*memory)->Write(offset, buffer)), ErrorCode::kInvalidRequest) << offset;
    EXPECT_EQ(CodeOf((*memory)->Read(offset, buffer)), ErrorCode::kInvalidRequest) << offset;
  }
  EXPECT_TRUE((*memory)->Write(90, buffer).ok());
}

TEST_P(DeviceConformance, KeepsItsBudget) {
  const auto device = Open(ByteCount(32 * kMiB));
  ASSERT_TRUE(device->memory().ok());
  const ByteCount limit = device->memory()->limit;
  auto first = device->Allocate(ByteCount(20 * kMiB));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GE(device->memory()->used, ByteCount(20 * kMiB));

  const auto second = device->Allocate(limit);
  EXPECT_EQ(CodeOf(second.status()), ErrorCode::kInsufficientDeviceMemory);
  EXPECT_EQ(CodeOf(device->Allocate(ByteCount(~uint64_t{0})).status()),
            ErrorCode::kInsufficientDeviceMemory);

  first->reset();
  EXPECT_EQ(device->memory()->used, ByteCount());
  EXPECT_TRUE(device->Allocate(ByteCount(20 * kMiB)).ok());
}

TEST_P(DeviceConformance, ExportsWholeChunksInOrder) {
  const auto device = Open(ByteCount(1 * kGiB));
  const uint64_t bytes = device->capabilities().max_chunk_bytes + 5;
  auto memory = device->Allocate(ByteCount(bytes));
  ASSERT_TRUE(memory.ok()) << memory.status();
  ASSERT_TRUE((*memory)->Publish().ok());
  const auto handles = (*memory)->Export();
  ASSERT_TRUE(handles.ok()) << handles.status();
  ASSERT_EQ(handles->size(), 2u);
  uint64_t payload = 0;
  for (const ChunkHandle& handle : *handles) {
    EXPECT_TRUE(handle.fd.valid());
    EXPECT_EQ(handle.device, device->identity().uuid);
    EXPECT_EQ(handle.payload_bytes % device->capabilities().chunk_granularity, 0u);
    EXPECT_LE(handle.payload_offset + handle.payload_bytes, handle.allocation_bytes);
    EXPECT_NE(handle.generation, Generation());
    payload += handle.payload_bytes;
  }
  EXPECT_EQ(payload, (*memory)->allocated_bytes());
  EXPECT_GE(payload, bytes);
}

TEST_P(DeviceConformance, BudgetHoldsUnderThreads) {
  const auto device = Open(ByteCount(32 * kMiB));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&device] {
      for (int round = 0; round < 50; ++round) {
        auto memory = device->Allocate(ByteCount(12 * kMiB));
        EXPECT_LE(device->memory()->used, device->memory()->limit);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(device->memory()->used, ByteCount());
}

}  // namespace warmset
