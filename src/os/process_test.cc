#include "os/process.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "gtest/gtest.h"
#include "os/unix_socket.h"

namespace warmset::os {
namespace {

using namespace std::chrono_literals;

TEST(ProcessTest, SaysHowAChildEnded) {
  auto child = Spawn({"/bin/sh", "-c", "exit 3"}, {});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(*WaitForEnd(child->pidfd.get(), 10s));
  EXPECT_EQ(*Reap(*child), "exited with 3");
}

TEST(ProcessTest, AKilledChildIsNamedBySignal) {
  auto child = Spawn({"/bin/sleep", "60"}, {});
  ASSERT_TRUE(child.ok());
  EXPECT_FALSE(Reap(*child).ok());
  EXPECT_FALSE(*WaitForEnd(child->pidfd.get(), 0s));
  ASSERT_TRUE(SendSignal(*child, SIGKILL).ok());
  ASSERT_TRUE(*WaitForEnd(child->pidfd.get(), 10s));
  EXPECT_EQ(*Reap(*child), "was killed by SIGKILL");
}

TEST(ProcessTest, PassesTheDescriptorsItWasGiven) {
  auto ends = MakeSocketPair();
  ASSERT_TRUE(ends.ok());
  auto child = Spawn({"/bin/sh", "-c", "echo hi >&3"}, {{ends->second.get(), 3}});
  ASSERT_TRUE(child.ok());
  char text[3] = {};
  EXPECT_EQ(::read(ends->first.get(), text, 3), 3);
  EXPECT_EQ(std::string_view(text, 3), "hi\n");
  ASSERT_TRUE(*WaitForEnd(child->pidfd.get(), 10s));
  EXPECT_TRUE(Reap(*child).ok());
}

TEST(ProcessTest, ACopyOfThisProcessEndsWithItsResult) {
  const int secret = 5;
  auto child = Fork([&] { return secret + 2; });
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(*WaitForEnd(child->pidfd.get(), 10s));
  EXPECT_EQ(*Reap(*child), "exited with 7");
}

TEST(ProcessTest, AMissingProgramIsAnError) {
  EXPECT_EQ(CodeOf(Spawn({"/nonexistent/program"}, {}).status()), ErrorCode::kFileNotFound);
}

TEST(ProcessTest, ReplacingByAMissingProgramReturns) {
  EXPECT_EQ(CodeOf(ReplaceProcess({"no-such-program-anywhere"})), ErrorCode::kFileNotFound);
  EXPECT_EQ(CodeOf(ReplaceProcess({"/dev/null"})), ErrorCode::kPermissionDenied);
}

TEST(ProcessTest, AFolderOfThePathThatMayNotBeEnteredHidesNoMissingProgram) {
  std::string folder = testing::TempDir() + "process_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ASSERT_EQ(::chmod(folder.c_str(), 0), 0);
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (folder + ":" + path).c_str(), 1);
  EXPECT_EQ(CodeOf(ReplaceProcess({"no-such-program-anywhere"})), ErrorCode::kFileNotFound);
  ::setenv("PATH", path.c_str(), 1);
  ::rmdir(folder.c_str());
}

TEST(ProcessTest, CommandOfSelf) {
  EXPECT_NE(CommandOf(::getpid()).find("os_test"), std::string::npos);
  EXPECT_EQ(CommandOf(1 << 30), "?");
}

TEST(AnswerOf, IsWhatTheFunctionReturns) {
  const auto answer = AnswerOf([] { return std::string("as it is\n"); }, std::chrono::seconds(60));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "as it is\n");
}

TEST(AnswerOf, AFunctionThatNeverReturnsIsLeftBehind) {
  const auto never = [] {
    while (true) ::pause();
    return std::string();
  };
  EXPECT_EQ(CodeOf(AnswerOf(never, std::chrono::milliseconds(1)).status()), ErrorCode::kTimeout);
}

TEST(StateOf, TellsAStoppedProcess) {
  const auto child = Spawn({"/bin/sleep", "60"}, {});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(SendSignal(*child, SIGSTOP).ok());
  while (StateOf(child->pid) != 'T') {
  }
  ASSERT_TRUE(SendSignal(*child, SIGKILL).ok());
  ASSERT_TRUE(*WaitForEnd(child->pidfd.get(), std::chrono::seconds(60)));
  EXPECT_EQ(StateOf(child->pid), 'Z');
  EXPECT_TRUE(Reap(*child).ok());
  EXPECT_EQ(StateOf(-1), '?');
}

}  // namespace
}  // namespace warmset::os