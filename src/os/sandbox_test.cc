#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/strong.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "os/directory.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/system_memory.h"
#include "os/unix_socket.h"

namespace warmset::os {
namespace {

constexpr const char* kKilled = "killed by SIGSYS";

// What becomes of a child that enters the sandbox and then does something: "0" or
// an errno in words for what attempt() returns, or the signal that ended it.
std::string InSandbox(const SandboxOptions& options, const std::function<int()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!EnterSandbox(options).ok()) ::_exit(255);
    ::_exit(attempt());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return fmt::format("killed by SIG{}", ::sigabbrev_np(WTERMSIG(status)));
  const int code = WEXITSTATUS(status);
  if (code == 255) return "no sandbox";
  return code == 0 ? "0" : ::strerrorname_np(code);
}

// errno, or 0, of a call as the system returns it.
int Result(long returned) { return returned < 0 ? errno : 0; }

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer's own system calls end a filtered process";
    std::string pattern = testing::TempDir() + "sandbox_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    file_ = folder_ + "/model";
    std::ofstream(file_) << "weights";
    descriptor_ = UniqueFd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(descriptor_.valid());
  }
  void TearDown() override {
    DisarmFault();
    std::filesystem::remove_all(folder_);
  }

  std::string folder_;
  std::string file_;
  UniqueFd descriptor_;
};

TEST_F(SandboxTest, AParserReadsWhatItWasGiven) {
  EXPECT_EQ(InSandbox({}, [&] {
              char text[7] = {};
              const bool read = ::pread(descriptor_.get(), text, sizeof text, 0) == sizeof text;
              const auto identity = Identify(descriptor_.get());
              const auto copy = Duplicate(descriptor_.get());
              const bool checked = CheckReadableFile(descriptor_.get()).ok();
              return read && checked && copy.ok() && identity.ok() && identity->size == 7 ? 0 : 1;
            }),
            "0");
}

TEST_F(SandboxTest, AParserTakesAndSendsOnItsSocket) {
  auto ends = MakeSocketPair();
  ASSERT_TRUE(ends.ok());
  const std::byte byte{7};
  const int passed = descriptor_.get();
  ASSERT_TRUE(SendWithFds(ends->first.get(), {&byte, 1}, {&passed, 1}).ok());
  EXPECT_EQ(InSandbox({}, [&] {
              std::byte got{};
              std::vector<UniqueFd> fds;
              const auto received = ReceiveWithFds(ends->second.get(), {&got, 1}, fds);
              if (!received.ok() || fds.size() != 1) return 1;
              if (!ReadSmallFile(fds[0].get(), 100).ok()) return 2;
              return SendWithFds(ends->second.get(), {&got, 1}, {}).ok() ? 0 : 3;
            }),
            "0");
}

TEST_F(SandboxTest, AParserTakesMemory) {
  EXPECT_EQ(InSandbox({.memory_bytes = 256 * kMiB}, [] {
              std::vector<std::string> blocks;
              for (int i = 0; i < 100; ++i) blocks.emplace_back(kMiB, 'x');
              return 0;
            }),
            "0");
}

TEST_F(SandboxTest, AParserEndsItselfInWords) {
  EXPECT_EQ(InSandbox({}, []() -> int { ::abort(); }), "killed by SIGABRT");
}

struct Refusal {
  const char* name;
  std::function<int(const std::string& file, int fd)> attempt;
  std::string outcome;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class ParserSandboxTest : public SandboxTest, public testing::WithParamInterface<Refusal> {};

TEST_P(ParserSandboxTest, Refuses) {
  const Refusal& refusal = GetParam();
  EXPECT_EQ(InSandbox({}, [&] { return refusal.attempt(file_, descriptor_.get()); }),
            refusal.outcome);
}

const Refusal kParserRefusals[] = {
    {"open", [](auto& file, int) { return Result(::open(file.c_str(), O_RDONLY)); }, "EACCES"},
    {"stat", [](auto& file, int) {
       struct stat st;
       return Result(::stat(file.c_str(), &st));
     }, "EACCES"},
    {"write", [](auto&, int fd) { return Result(::write(fd, "x", 1)); }, "EACCES"},
    {"write_to_standard_error", [](auto&, int) { return Result(::write(2, "x", 1)); }, "EACCES"},
    {"truncate", [](auto&, int fd) { return Result(::ftruncate(fd, 0)); }, kKilled},
    {"chmod", [](auto&, int fd) { return Result(::fchmod(fd, 0777)); }, kKilled},
    {"unlink", [](auto& file, int) { return Result(::unlink(file.c_str())); }, kKilled},
    {"rename", [](auto& file, int) { return Result(::rename(file.c_str(), "/tmp/x")); }, kKilled},
    {"socket", [](auto&, int) { return Result(::socket(AF_UNIX, SOCK_STREAM, 0)); }, kKilled},
    {"connect", [](auto&, int fd) { return Result(::connect(fd, nullptr, 0)); }, kKilled},
    {"exec", [](auto&, int) { return Result(::execl("/bin/true", "true", nullptr)); }, kKilled},
    {"fork", [](auto&, int) { return Result(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }, kKilled},
    {"clone3", [](auto&, int) { return Result(::syscall(SYS_clone3, nullptr, 0)); }, kKilled},
    {"kill", [](auto&, int) { return Result(::kill(::getppid(), 0)); }, kKilled},
    {"signal_of_another", [](auto&, int) {
       return Result(::syscall(SYS_tgkill, 1, 1, 0));
     }, kKilled},
    {"ptrace", [](auto&, int) { return Result(::syscall(SYS_ptrace, 0, 0, 0, 0)); }, kKilled},
    {"executable_mapping", [](auto&, int) {
       void* map = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       return map == MAP_FAILED ? errno : 0;
     }, kKilled},
    {"mprotect_executable", [](auto&, int) {
       void* map = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       return Result(::mprotect(map, 4096, PROT_READ | PROT_EXEC));
     }, kKilled},
    {"memfd", [](auto&, int) { return Result(::memfd_create("x", 0)); }, kKilled},
    {"io_uring", [](auto&, int) { return Result(::syscall(SYS_io_uring_setup, 1, nullptr)); },
     kKilled},
    {"own_the_descriptor", [](auto&, int fd) { return Result(::fcntl(fd, F_SETOWN, 1)); },
     "EACCES"},
    {"ioctl", [](auto&, int fd) { return Result(::ioctl(fd, TIOCSTI, "x")); }, "EACCES"},
#if defined(__x86_64__)
    {"x32_open", [](auto& file, int) {
       return Result(::syscall(0x40000000 + SYS_open, file.c_str(), O_RDONLY));
     }, kKilled},
#endif
};
INSTANTIATE_TEST_SUITE_P(All, ParserSandboxTest, testing::ValuesIn(kParserRefusals),
                         [](const auto& refusal) { return std::string(refusal.param.name); });

TEST_F(SandboxTest, LimitsHold) {
  const SandboxOptions options = {.memory_bytes = 256 * kMiB, .open_files = 20};
  EXPECT_EQ(InSandbox(options, [&] {
              std::vector<UniqueFd> copies(30);
              for (UniqueFd& copy : copies) {
                copy.Reset(::fcntl(descriptor_.get(), F_DUPFD_CLOEXEC, 0));
                if (!copy.valid()) return errno;
              }
              return 0;
            }),
            "EMFILE");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_EQ(InSandbox(options, [] {
              const size_t more = 512 * kMiB;
              void* map = ::mmap(nullptr, more, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return map == MAP_FAILED ? errno : 0;
            }),
            "ENOMEM");
#endif
}

TEST_F(SandboxTest, ACommandReadsWhatItNamed) {
  const std::string other = testing::TempDir() + "sandbox_other";
  std::ofstream(other) << "secret";
  std::filesystem::create_symlink(other, folder_ + "/link");
  const SandboxOptions options = {.profile = SandboxProfile::kReadOnlyCommand,
                                  .readable_paths = {folder_}};
  EXPECT_EQ(InSandbox(options, [&] {
              auto folder = OpenDirectory(folder_);
              if (!folder.ok() || ListDirectory(folder->get())->size() != 2) return 1;
              if (!OpenBeneath(folder->get(), "model").ok()) return 2;
              if (!ReadSmallFile(file_, 100).ok()) return 3;
              return std::filesystem::exists(file_) && IdentifyPath(file_).ok() ? 0 : 4;
            }),
            "0");
  EXPECT_EQ(InSandbox(options, [&] { return Result(::write(1, "", 0)); }), "0");
  if (ProbeLandlock().ok()) {
    EXPECT_EQ(InSandbox(options, [&] { return Result(::open(other.c_str(), O_RDONLY)); }),
              "EACCES");
    const std::string link = folder_ + "/link";
    EXPECT_EQ(InSandbox(options, [&] { return Result(::open(link.c_str(), O_RDONLY)); }),
              "EACCES");
    EXPECT_EQ(InSandbox(options, [&] {
                open_how how{};
                how.flags = O_RDWR;
                return Result(::syscall(SYS_openat2, AT_FDCWD, file_.c_str(), &how, sizeof how));
              }),
              "EACCES");
  }
  std::filesystem::remove(other);
}

TEST_F(SandboxTest, ACommandChangesNothing) {
  const SandboxOptions options = {.profile = SandboxProfile::kReadOnlyCommand,
                                  .readable_paths = {folder_}};
  const auto open = [&](int flags) {
    return InSandbox(options, [&] { return Result(::open(file_.c_str(), flags, 0600)); });
  };
  EXPECT_EQ(open(O_RDONLY), "0");
  EXPECT_EQ(open(O_WRONLY), "EACCES");
  EXPECT_EQ(open(O_RDWR), "EACCES");
  EXPECT_EQ(open(O_RDONLY | O_CREAT), "EACCES");
  EXPECT_EQ(open(O_RDONLY | O_TRUNC), "EACCES");
  EXPECT_EQ(InSandbox(options, [&] { return Result(::unlink(file_.c_str())); }), kKilled);
  EXPECT_EQ(InSandbox(options, [] { return Result(::socket(AF_INET, SOCK_STREAM, 0)); }), kKilled);
  EXPECT_EQ(InSandbox(options, [] { return Result(::execl("/bin/true", "true", nullptr)); }),
            kKilled);
  EXPECT_EQ(InSandbox(options, [] { return Result(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }),
            kKilled);
}

TEST_F(SandboxTest, AnyFenceThatCantBePutUpIsAnError) {
  for (const char* call : {"setrlimit", "landlock_restrict_self", "seccomp"}) {
    ArmFault({.call = call, .nth = 1, .error_number = EPERM});
    EXPECT_EQ(InSandbox({}, [] { return 0; }), "no sandbox") << call;
    DisarmFault();
  }
}

TEST_F(SandboxTest, AKernelWithoutLandlockIsReportedAndTheRestHolds) {
  ArmFault({.call = "landlock_create_ruleset", .nth = 1, .error_number = ENOSYS,
            .keep_failing = true});
  EXPECT_FALSE(ProbeLandlock().ok());
  const pid_t child = ::fork();
  if (child == 0) {
    const auto report = EnterSandbox({});
    const bool refused = ::open(file_.c_str(), O_RDONLY) < 0;
    ::_exit(report.ok() && report->landlock_abi == 0 && refused ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(SandboxTest, ThisKernelHasSeccomp) { EXPECT_TRUE(ProbeSeccomp().ok()); }

TEST_F(SandboxTest, ItsPeakOfMemoryIsReadBehindTheFences) {
  const PeakMemory peak = PeakMemory::Open();
  EXPECT_EQ(InSandbox({}, [&] { return peak.bytes() > ByteCount(kMiB) ? 0 : 1; }), "0");
}

}  // namespace
}  // namespace warmset::os
