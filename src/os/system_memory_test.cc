#include "os/system_memory.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strong.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/memory_file.h"

namespace warmset::os {
namespace {

TEST(SystemMemoryTest, AvailableMemoryIsAPartOfAll) {
  const auto total = MeminfoField("MemTotal");
  const auto available = AvailableMemory();
  ASSERT_TRUE(total.ok() && available.ok());
  EXPECT_GT(available->value(), 0u);
  EXPECT_LT(*available, *total);
}

TEST(SystemMemoryTest, AnUnknownFieldIsAnError) {
  EXPECT_EQ(CodeOf(MeminfoField("MemImaginary").status()), ErrorCode::kInternal);
}

// Entries of other tests that run at the same time may count too, so only this
// child's share is looked at.
TEST(SystemMemoryTest, FindsEntriesThatOnlyOtherProcessesMap) {
  constexpr uint64_t kBytes = 64 * kMiB;
  int ready[2];
  int end[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(end), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(end[1]);
    auto file = MemoryFile::Create(EntryMemoryName(), kBytes);
    const char answer = file.ok() ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
    char ignored = 0;
    ::_exit(::read(end[0], &ignored, 1) == 0 ? 0 : 1);  // until the parent closes it
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_GE(ForeignEntryMemory().value(), kBytes);
  for (const int fd : {ready[0], ready[1], end[0], end[1]}) ::close(fd);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(SystemMemoryTest, EntriesOfThisProcessAreNotForeign) {
  // Far more than any other test maps; under TSan the kernel finds no room for much more.
  constexpr uint64_t kBytes = 64 * kGiB;
  auto file = MemoryFile::Create(EntryMemoryName(), kBytes);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_LT(ForeignEntryMemory().value(), kBytes);
}

TEST(WatchMemoryStalls, GivesADescriptorOrSaysWhyNot) {
  const auto stalls = WatchMemoryStalls();
  if (stalls.ok()) {
    pollfd watched{.fd = stalls->get(), .events = POLLPRI, .revents = 0};
    EXPECT_GE(::poll(&watched, 1, 0), 0);
    EXPECT_EQ(watched.revents & POLLERR, 0);
  } else {
    EXPECT_THAT(std::string(Message(stalls.status())), ::testing::HasSubstr("/proc/pressure"));
  }
}

}  // namespace
}  // namespace warmset::os
