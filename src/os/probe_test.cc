#include "os/probe.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/limits.h"
#include "os/terminal.h"

namespace warmset::os {
namespace {

TEST(Probe, DirectReadNeedsARegularFile) {
  EXPECT_EQ(CodeOf(ProbeDirectRead("/nonexistent")), ErrorCode::kFileNotFound);
  EXPECT_FALSE(ProbeDirectRead("/tmp").ok());
}

TEST(Probe, AnErrorNamesTheCall) {
  // Whether they work depends on the kernel; that they answer does not.
  if (const Status status = ProbeHugePages(); !status.ok()) {
    EXPECT_THAT(std::string(Message(status)), ::testing::HasSubstr("MADV_COLLAPSE"));
  }
  if (const Status status = ProbeIoUring(); !status.ok()) {
    EXPECT_THAT(std::string(Message(status)), ::testing::HasSubstr("io_uring_queue_init"));
  }
}

TEST(Limits, SoftLimitRisesToTheHardOne) {
  ASSERT_TRUE(RaiseSoftLimit(Resource::kOpenFiles).ok());
  const auto limit = GetLimit(Resource::kOpenFiles);
  ASSERT_TRUE(limit.ok());
  EXPECT_EQ(limit->soft, limit->hard);
  EXPECT_GT(limit->hard, 0u);
}

TEST(Terminal, NoDescriptorIsNoTerminal) {
  EXPECT_FALSE(IsTerminal(-1));
  EXPECT_EQ(TerminalColumns(-1), 0u);
}

}  // namespace
}  // namespace warmset::os
