#include "client/attached_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace warmset::inline client_v1::client_internal {
namespace {

constexpr uint64_t kHugePage = 2 * 1024 * 1024;

// Sealed memory with its first and last byte set.
OwnedFd Sealed(uint64_t bytes, char mark) {
  OwnedFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(::pwrite(fd.get(), &mark, 1, 0), 1);
  EXPECT_EQ(::pwrite(fd.get(), &mark, 1, static_cast<off_t>(bytes) - 1), 1);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
  return fd;
}

// An empty range when it can't be mapped.
MappedRange Map(const OwnedFd& fd, uint64_t bytes) {
  const MappedRange::Part part{fd.get(), bytes};
  auto range = MappedRange::Create({&part, 1}, /*writable=*/true);
  return range ? *std::move(range) : MappedRange();
}

bool Holds(const MappedRange& range, uint64_t bytes, char mark) {
  return range.size() == bytes && reinterpret_cast<uintptr_t>(range.data()) % kHugePage == 0 &&
         range.data()[0] == std::byte(mark) && range.data()[bytes - 1] == std::byte(mark);
}

TEST(MappedRange, MayLieWhereAnotherLay) {
  const OwnedFd a = Sealed(3 * kHugePage + 5, 'a');
  const OwnedFd b = Sealed(kHugePage, 'b');
  for (int round = 0; round < 3; ++round) {
    std::byte* place = nullptr;
    {
      const MappedRange range = Map(a, 3 * kHugePage + 5);
      ASSERT_TRUE(Holds(range, 3 * kHugePage + 5, 'a'));
      place = range.data();
      range.data()[0] = std::byte('x');  // its own copy
    }
    const MappedRange range = Map(b, kHugePage);
    ASSERT_TRUE(Holds(range, kHugePage, 'b'));
    EXPECT_EQ(range.data(), place);
  }
}

TEST(MappedRange, LeavesAloneWhatLiesThereByNow) {
  const OwnedFd small = Sealed(kHugePage, 's');
  const OwnedFd large = Sealed(8 * kHugePage, 'l');
  std::byte* const place = Map(small, kHugePage).data();
  void* const other = ::mmap(place + kHugePage / 2, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  ASSERT_EQ(other, place + kHugePage / 2);
  *static_cast<char*>(other) = 'o';
  const MappedRange first = Map(large, 8 * kHugePage);
  const MappedRange second = Map(small, kHugePage);
  EXPECT_TRUE(Holds(first, 8 * kHugePage, 'l'));
  EXPECT_TRUE(Holds(second, kHugePage, 's'));
  EXPECT_EQ(*static_cast<char*>(other), 'o');
  ::munmap(other, 4096);
}

TEST(MappedRange, ThreadsDoNotShareAPlace) {
  std::vector<std::thread> threads;
  for (const char mark : {'1', '2', '3', '4'}) {
    threads.emplace_back([mark] {
      const OwnedFd fd = Sealed(kHugePage + 1, mark);
      for (int round = 0; round < 500; ++round) {
        ASSERT_TRUE(Holds(Map(fd, kHugePage + 1), kHugePage + 1, mark));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace warmset::inline client_v1::client_internal
