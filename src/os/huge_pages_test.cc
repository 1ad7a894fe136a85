#include "os/huge_pages.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/memory_file.h"

namespace warmset::os {
namespace {

constexpr uint64_t kBytes = 3 * kHugePageBytes + 5000;

uint64_t AllocatedBytes(const MemoryFile& file) {
  struct stat st{};
  EXPECT_EQ(::fstat(file.fd(), &st), 0);
  return static_cast<uint64_t>(st.st_blocks) * 512;
}

TEST(HugePagesTest, TouchedMemoryIsAllocatedAndKeepsItsContent) {
  auto file = MemoryFile::Create("warmset-test", kBytes);
  ASSERT_TRUE(file.ok());
  std::memcpy(file->writable().data() + kHugePageBytes, "warm", 4);
  TouchMemory(file->writable().span());
  EXPECT_GE(AllocatedBytes(*file), kBytes);
  EXPECT_EQ(std::memcmp(file->writable().data() + kHugePageBytes, "warm", 4), 0);
  EXPECT_EQ(file->writable().data()[0], std::byte{0});
  EXPECT_LE(HugePageBytes(file->writable()), 3 * kHugePageBytes);
}

TEST(HugePagesTest, CountsARangeThatAdviceHasSplit) {
  auto file = MemoryFile::Create("warmset-test", 2 * kHugePageBytes);
  ASSERT_TRUE(file.ok());
  const auto memory = file->writable().span();
  TouchMemory(memory);
  const uint64_t whole = HugePageBytes(file->writable());
  auto again = Mapping::Create(file->fd(), file->size(), Mapping::Kind::kSharedReadWrite);
  ASSERT_TRUE(again.ok());
  TouchMemory(again->span().subspan(kHugePageBytes));  // advises the second half only
  volatile std::byte first = again->data()[0];
  static_cast<void>(first);
  EXPECT_EQ(HugePageBytes(*again), whole);
}

TEST(HugePagesTest, BothWaysOfCountingAgree) {
  auto file = MemoryFile::Create("warmset-test", kBytes);
  ASSERT_TRUE(file.ok());
  TouchMemory(file->writable().span());
  const uint64_t bytes = HugePageBytes(file->writable());
  ArmFault({.call = "pagemap_scan", .nth = 1, .error_number = ENOTTY});
  EXPECT_EQ(HugePageBytes(file->writable()), bytes);
  EXPECT_EQ(DisarmFault(), 1);
}

TEST(HugePagesTest, FallsBackToSmallPages) {
  for (const char* call : {"madvise_huge", "madvise_collapse", "madvise_populate"}) {
    auto file = MemoryFile::Create("warmset-test", kBytes);
    ASSERT_TRUE(file.ok());
    ArmFault({.call = call, .nth = 1, .error_number = EINVAL, .keep_failing = true});
    TouchMemory(file->writable().span());
    EXPECT_GT(DisarmFault(), 0) << call;
    EXPECT_GE(AllocatedBytes(*file), kBytes) << call;
  }
}

TEST(HugePagesTest, AnEmptyMappingHasNone) { EXPECT_EQ(HugePageBytes(Mapping()), 0u); }

}  // namespace
}  // namespace warmset::os
