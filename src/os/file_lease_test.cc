#include "os/file_lease.h"

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/signal_fd.h"

namespace warmset::os {
namespace {

class FileLeaseTest : public testing::Test {
 protected:
  void SetUp() override {
    signals_ = *MakeSignalFd(std::array{SIGIO});
    path_ = testing::TempDir() + "file_lease_XXXXXX";
    UniqueFd made(::mkstemp(path_.data()));
    ASSERT_TRUE(made.valid());
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  UniqueFd signals_;
  std::string path_;
};

TEST_F(FileLeaseTest, AWriterIsReportedAndWaitsUntilTheLeaseYields) {
  const UniqueFd file = *OpenForRead(path_);
  const auto lease = FileLease::Take(file.get());
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_FALSE(lease->broken());
  EXPECT_TRUE(OpenForRead(path_).ok());
  EXPECT_FALSE(lease->broken());

  EXPECT_EQ(::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EWOULDBLOCK);
  EXPECT_TRUE(lease->broken());
  pollfd ready{.fd = signals_.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
  EXPECT_EQ(TakeSignal(signals_.get()), SIGIO);

  lease->Yield();
  const UniqueFd writer(::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_TRUE(writer.valid());
}

TEST_F(FileLeaseTest, AFileThatIsOpenForWritingHasNone) {
  const UniqueFd writer(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(writer.valid());
  EXPECT_EQ(CodeOf(FileLease::Take(writer.get()).status()), ErrorCode::kInUse);
}

TEST_F(FileLeaseTest, AFailedSystemCallIsAnError) {
  const UniqueFd file = *OpenForRead(path_);
  ArmFault({.call = "fcntl_lease", .error_number = ENOLCK});
  EXPECT_EQ(CodeOf(FileLease::Take(file.get()).status()), ErrorCode::kIoError);
  EXPECT_EQ(DisarmFault(), 1);
}

}  // namespace
}  // namespace warmset::os
