#include "device/host/host_device.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "device/device_conformance.h"
#include "os/fault.h"
#include "os/mapping.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

INSTANTIATE_TEST_SUITE_P(Host, DeviceConformance, ::testing::Values([](ByteCount memory) {
                           return OpenDevice(DeviceId("host:0"), memory);
                         }));

TEST(HostDevice, AReceiverOfAChunkReadsWhatWasWrittenAndCannotChangeIt) {
  auto device = OpenHostDevice(DeviceId("host:0"), ByteCount(kMiB));
  ASSERT_TRUE(device.ok());
  auto memory = (*device)->Allocate(ByteCount(5000));
  ASSERT_TRUE(memory.ok());
  const std::vector<std::byte> content(5000, std::byte{42});
  ASSERT_TRUE((*memory)->Write(0, content).ok());
  ASSERT_TRUE((*memory)->Publish().ok());
  const auto handles = (*memory)->Export();
  ASSERT_TRUE(handles.ok());
  memory->reset();  // the handle keeps the pages

  const int fd = handles->front().fd.get();
  EXPECT_EQ(os::SealedSize(fd).value_or(0), 8192u);
  EXPECT_FALSE(os::Mapping::Create(fd, 8192, os::Mapping::Kind::kSharedReadWrite).ok());
  const auto mapped = os::Mapping::Create(fd, 8192, os::Mapping::Kind::kSharedReadOnly);
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(std::memcmp(mapped->data(), content.data(), content.size()), 0);
}

TEST(HostDevice, TheErrorNamesWantedFreeAndLimit) {
  auto device = OpenHostDevice(DeviceId("host:0"), ByteCount(10 * kMiB));
  ASSERT_TRUE(device.ok());
  const auto held = (*device)->Allocate(ByteCount(4 * kMiB));
  ASSERT_TRUE(held.ok());
  const Status status = (*device)->Allocate(ByteCount(7 * kMiB)).status();
  for (const char* part : {"7.00 MiB are needed", "6.00 MiB of 10.0 MiB are free"}) {
    EXPECT_NE(Message(status).find(part), std::string_view::npos) << Message(status);
  }
}

TEST(HostDevice, AFailedChunkGivesTheBudgetBack) {
  auto device = OpenHostDevice(DeviceId("host:0"), ByteCount(1 * kGiB));
  ASSERT_TRUE(device.ok());
  os::ArmFault({.call = "memfd_create", .nth = 2, .error_number = EMFILE});
  EXPECT_EQ(CodeOf((*device)->Allocate(ByteCount(600 * kMiB)).status()), ErrorCode::kIoError);
  EXPECT_EQ(os::DisarmFault(), 1);
  EXPECT_EQ((*device)->memory()->used, ByteCount());
}

TEST(HostDevice, IdsAreChecked) {
  EXPECT_TRUE(OpenDevice(DeviceId("host:12"), ByteCount(1)).ok());
  for (const char* id : {"", "host", "host:", "host:x", "host:1x", "host:-1", ":"}) {
    EXPECT_EQ(CodeOf(OpenDevice(DeviceId(id), ByteCount(1)).status()), ErrorCode::kInvalidConfig)
        << id;
  }
  EXPECT_EQ(CodeOf(OpenDevice(DeviceId("abacus:0"), ByteCount(1)).status()),
            ErrorCode::kDeviceNotFound);
}

}  // namespace
}  // namespace warmset
