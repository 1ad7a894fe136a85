#include "os/memory_file.h"

#include <array>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stop_token>
#include <string>

#include "base/digest.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/file_names.h"
#include "os/signal_fd.h"

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
  EXPECT_TRUE(Mapping::Create(file->fd(), file->size(), Mapping::Kind::kSharedReadOnly).ok());
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

// Where a test's files on tmpfs lie.
class GuardedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    signals_ = *MakeSignalFd(std::array{SIGIO});
    folder_ = "/dev/shm/warmset-memory-test-XXXXXX";
    if (::mkdtemp(folder_.data()) == nullptr) GTEST_SKIP() << "no /dev/shm to write to";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  StatusOr<MemoryFile> Make(std::string_view content) const {
    ASSIGN_OR_RETURN(MemoryFile file, MemoryFile::CreateOnTmpfs(folder_, content.size(), {}));
    std::memcpy(file.writable().data(), content.data(), content.size());
    return file;
  }

  UniqueFd signals_;
  std::string folder_;
};

TEST_F(GuardedFileTest, ItIsReadAndMappedByNameAndReportsAWriter) {
  auto file = Make("warm tensors");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Seal().ok());
  EXPECT_TRUE(file->guarded());
  EXPECT_FALSE(file->sealed());
  ASSERT_TRUE(file->Seal().ok());  // once more changes nothing
  const std::string path = folder_ + "/model.onnx";
  ASSERT_TRUE(LinkFile(file->fd(), path).ok());
  EXPECT_EQ(ReadSmallFile(path, 100).value_or(""), "warm tensors");
  EXPECT_EQ(ReadOnlySize(file->fd()).value_or(0), 12u);
  EXPECT_TRUE(Mapping::Create(file->fd(), 12, Mapping::Kind::kPrivateReadWrite).ok());
  EXPECT_EQ(::pwrite(file->fd(), "x", 1, 0), -1);

  EXPECT_FALSE(file->lease().broken());
  // Root ignores the mode, and who owns the file may change it.
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), -1);
  EXPECT_TRUE(file->lease().broken());
  EXPECT_EQ(CodeOf(ReadOnlySize(file->fd()).status()), ErrorCode::kInvalidRequest);
}

TEST_F(GuardedFileTest, ThreeHugePagesAndARest) {
  auto file = MemoryFile::CreateOnTmpfs(folder_, (uint64_t{6} << 20) + 5000, {});
  ASSERT_TRUE(file.ok()) << file.status();
  struct stat st{};
  ASSERT_EQ(::fstat(file->fd(), &st), 0);
  EXPECT_GE(static_cast<uint64_t>(st.st_blocks) * 512, file->size());
}

TEST_F(GuardedFileTest, ALaterProcessGuardsItAgain) {
  const std::string path = folder_ + "/model.gguf";
  {
    auto file = Make("warm tensors");
    ASSERT_TRUE(file.ok() && file->Seal().ok() && LinkFile(file->fd(), path).ok());
  }
  auto again = MemoryFile::Guard(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->guarded());
  EXPECT_EQ(again->size(), 12u);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  again = MemoryFile();
  const UniqueFd writer(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(writer.valid());
  EXPECT_EQ(CodeOf(MemoryFile::Guard(path).status()), ErrorCode::kInUse);
}

TEST_F(GuardedFileTest, NoRoomAndNoLeaseAreErrors) {
  for (const char* call : {"open_unnamed", "ftruncate", "mmap", "madvise_populate"}) {
    ArmFault({.call = call, .error_number = ENOSPC});
    EXPECT_EQ(CodeOf(MemoryFile::CreateOnTmpfs(folder_, 4096, {}).status()), ErrorCode::kIoError)
        << call;
    EXPECT_EQ(DisarmFault(), 1) << call;
  }
  for (const char* call : {"fchmod", "open", "fcntl_lease"}) {
    auto file = Make("warm tensors");
    ASSERT_TRUE(file.ok()) << file.status();
    ArmFault({.call = call, .error_number = EIO});
    EXPECT_FALSE(file->Seal().ok()) << call;
    EXPECT_EQ(DisarmFault(), 1) << call;
    EXPECT_FALSE(file->guarded()) << call;
  }
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(CodeOf(MemoryFile::CreateOnTmpfs(folder_, 4 << 20, stop.get_token()).status()),
            ErrorCode::kCancelled);
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
