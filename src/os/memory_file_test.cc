#include "os/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/digest.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"

namespace warmset::os {
namespace {

TEST(MemoryFileTest, NobodyWritesASealedFile) {
  auto file = MakeSealedFile("warmset-test", AsBytes("warm tensors"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(::pwrite(file->fd(), "x", 1, 0), -1);
  EXPECT_EQ(::ftruncate(file->fd(), 1), -1);
  EXPECT_EQ(::mmap(nullptr, 12, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd(), 0), MAP_FAILED);
}

TEST(MemoryFileTest, PrivateMappingsAreCopyOnWrite) {
  auto file = MakeSealedFile("warmset-test", AsBytes("warm tensors"));
  ASSERT_TRUE(file.ok());
  auto mine = Mapping::Create(file->fd(), file->size(), Mapping::Kind::kPrivateReadWrite);
  auto yours = Mapping::Create(file->fd(), file->size(), Mapping::Kind::kPrivateReadWrite);
  ASSERT_TRUE(mine.ok() && yours.ok());
  mine->data()[0] = std::byte{'W'};
  EXPECT_EQ(std::memcmp(yours->data(), "warm tensors", 12), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(mine->data()) % (2 << 20), 0u);
}

TEST(MemoryFileTest, ReceiversMapSharedReadOnly) {
  auto file = MakeSealedFile("warmset-test", AsBytes("warm tensors"));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(
      Mapping::Create(file->fd(), file->size(), Mapping::Kind::kSharedReadOnly).ok());
}

TEST(MemoryFileTest, OnlyASealedMemoryFileHasASealedSize) {
  auto sealed = MakeSealedFile("warmset-test", AsBytes("warm tensors"));
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(SealedSize(sealed->fd()).value_or(0), 12u);
  auto unsealed = MemoryFile::Create("warmset-test", 12);
  ASSERT_TRUE(unsealed.ok());
  EXPECT_EQ(CodeOf(SealedSize(unsealed->fd()).status()), ErrorCode::kInvalidRequest);
  const auto file = OpenForRead("/proc/self/exe");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(CodeOf(SealedSize(file->get()).status()), ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(SealedSize(-1).status()), ErrorCode::kInvalidRequest);
}

TEST(MemoryFileTest, AFailedSystemCallIsAnError) {
  for (const char* call : {"memfd_create", "ftruncate", "mmap"}) {
    ArmFault({.call = call, .nth = 1, .error_number = ENOMEM});
    EXPECT_EQ(CodeOf(MemoryFile::Create("warmset-test", 4096).status()),
              ErrorCode::kRamLimitExceeded)
        << call;
    EXPECT_EQ(DisarmFault(), 1);
  }
}

}  // namespace
}  // namespace warmset::os
