#include "os/mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/digest.h"
#include "base/strong.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/memory_file.h"

namespace warmset::os {
namespace {

bool IsMapped(const std::byte* address) {
  unsigned char resident = 0;
  return ::mincore(const_cast<std::byte*>(address), 1, &resident) == 0;
}

TEST(MappingTest, BeginsAtAHugePageBoundaryAndEndsWithTheObject) {
  auto file = MakeSealedFile("warmset-test", AsBytes("warm tensors"));
  ASSERT_TRUE(file.ok());
  const std::byte* address = nullptr;
  {
    auto mapping = Mapping::Create(file->fd(), 12, Mapping::Kind::kSharedReadOnly);
    ASSERT_TRUE(mapping.ok()) << mapping.status();
    address = mapping->data();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(address) % (2 * kMiB), 0u);
    EXPECT_EQ(std::memcmp(address, "warm tensors", 12), 0);
    EXPECT_FALSE(IsMapped(address + 4096));  // nothing of the reserved space is left
  }
  EXPECT_FALSE(IsMapped(address));
}

TEST(MappingTest, MovesWithoutUnmapping) {
  auto file = MakeSealedFile("warmset-test", AsBytes("warm tensors"));
  ASSERT_TRUE(file.ok());
  auto created = Mapping::Create(file->fd(), 12, Mapping::Kind::kPrivateReadWrite);
  ASSERT_TRUE(created.ok());
  Mapping moved = *std::move(created);
  Mapping assigned;
  assigned = std::move(moved);
  assigned.data()[0] = std::byte{'W'};
  EXPECT_EQ(std::memcmp(assigned.data(), "Warm tensors", 12), 0);
  EXPECT_EQ(assigned.size(), 12u);
}

TEST(MappingTest, NothingToMapIsAnEmptyMapping) {
  auto mapping = Mapping::Create(-1, 0, Mapping::Kind::kSharedReadOnly);
  ASSERT_TRUE(mapping.ok());
  EXPECT_EQ(mapping->data(), nullptr);
}

TEST(MappingTest, FailuresAreErrors) {
  EXPECT_EQ(CodeOf(Mapping::Create(-1, 12, Mapping::Kind::kSharedReadOnly).status()),
            ErrorCode::kIoError);
  auto file = MakeSealedFile("warmset-test", AsBytes("warm tensors"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(CodeOf(Mapping::Create(file->fd(), 12, Mapping::Kind::kSharedReadWrite).status()),
            ErrorCode::kPermissionDenied);
  ArmFault({.call = "mmap", .nth = 1, .error_number = ENOMEM});
  EXPECT_EQ(CodeOf(Mapping::Create(file->fd(), 12, Mapping::Kind::kSharedReadOnly).status()),
            ErrorCode::kRamLimitExceeded);
  DisarmFault();
}

}  // namespace
}  // namespace warmset::os
