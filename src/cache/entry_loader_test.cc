#include "cache/entry_loader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "cache/file_verifier.h"
#include "cache/model_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/mapping.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

size_t OpenDescriptors() {
  const fs::directory_iterator items("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(items), end(items)));
}

std::string ContentOf(int fd, uint64_t bytes) {
  std::string content(bytes, '\0');
  EXPECT_TRUE(os::ReadExactly(fd, std::as_writable_bytes(std::span(content)), 0).ok());
  return content;
}

class EntryLoaderTest : public ::testing::Test {
 protected:
  void TearDown() override {
    os::DisarmFault();
    EXPECT_EQ(budget_.Use().total(), ByteCount(0));  // whatever happened
  }

  StatusOr<std::unique_ptr<Entry>> Load(const ModelForTest& model,
                                        std::span<const ChunkDigest> known = {},
                                        std::function<void(uint64_t)> progress = {},
                                        std::stop_token stop = {}) {
    LoadMemory memory;
    auto reservation = budget_.Reserve(MemoryKind::kLoading, EntryMemory(model.component()));
    EXPECT_TRUE(reservation.ok());
    memory.reservation = *std::move(reservation);
    return LoadEntry({.component = model.component(),
                      .files = model.files(),
                      .known_digests = known,
                      .memory = std::move(memory),
                      .progress = std::move(progress),
                      .stop = std::move(stop)});
  }

  Budget budget_{ByteCount(256 * kMiB)};
};

TEST_F(EntryLoaderTest, AWholeFileBecomesASealedEntryOfItsBytes) {
  const ModelForTest model(5 * kMiB + 777);
  auto entry = Load(model);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ((*entry)->bytes(), 5 * kMiB + 777);
  EXPECT_TRUE(ContentOf((*entry)->data_fd(), (*entry)->bytes()) == model.Expected());
  EXPECT_EQ(ContentOf((*entry)->index_fd(), (*entry)->index_bytes()),
            model.component().tensor_index);
  EXPECT_EQ((*entry)->chunks().size(), 6u);
  EXPECT_EQ((*entry)->content(), CombineDigests((*entry)->chunks()));
  EXPECT_EQ(budget_.Use().entries, EntryMemory(model.component()));
  EXPECT_EQ(budget_.Use().loading, ByteCount(0));
  for (const int fd : {(*entry)->data_fd(), (*entry)->index_fd()}) {
    EXPECT_EQ(::pwrite(fd, "x", 1, 0), -1);
    EXPECT_EQ(::ftruncate(fd, 1), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  }
}

TEST_F(EntryLoaderTest, RunsOfSeveralFilesLieWhereTheManifestSaysAndGapsAreZero) {
  const ModelForTest model(
      {3 * kMiB, 2 * kMiB},
      {{0, 8192, kMiB + 10}, {1, 0, 100}, {1, 4096, 2 * kMiB - 4096}, {0, 2 * kMiB, kMiB}});
  auto entry = Load(model);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_TRUE(ContentOf((*entry)->data_fd(), (*entry)->bytes()) == model.Expected());
  const std::string expected = model.Expected();
  EXPECT_EQ((*entry)->chunks()[1],
            DigestOf<ChunkDigest>(AsBytes(std::string_view(expected).substr(kMiB, kMiB))));
}

TEST_F(EntryLoaderTest, AComponentWithoutBytesIsAnEntryToo) {
  const ModelForTest model(std::vector<uint64_t>{10}, std::vector<ModelForTest::Run>{});
  auto entry = Load(model);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ((*entry)->bytes(), 0u);
}

TEST_F(EntryLoaderTest, MemoryOfTheReserveIsCutToSizeAndHoldsTheSameBytes) {
  for (const uint64_t bytes : {20 * kMiB + 5, 40 * kMiB}) {  // below and above the piece
    const ModelForTest model(bytes);
    MemoryReserve reserve(budget_, ByteCount(32 * kMiB));
    reserve.WaitUntilSettled();
    auto memory = reserve.Take(ByteCount(bytes));
    ASSERT_TRUE(memory.has_value());
    ASSERT_TRUE(memory->reservation.GrowTo(EntryMemory(model.component())).ok());
    auto entry = LoadEntry({.component = model.component(),
                            .files = model.files(),
                            .known_digests = {},
                            .memory = *std::move(memory),
                            .progress = {},
                            .stop = {}});
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_TRUE(ContentOf((*entry)->data_fd(), bytes) == model.Expected());
    EXPECT_EQ(budget_.Use().entries, EntryMemory(model.component()));
  }
}

TEST_F(EntryLoaderTest, APassedDescriptorIsReadInsteadOfThePath) {
  ModelForTest model(kMiB);
  model.files()[0].passed =
      std::make_shared<os::UniqueFd>(::open(model.path().c_str(), O_RDONLY | O_CLOEXEC));
  model.files()[0].path = "/nowhere";
  auto entry = Load(model);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_TRUE(ContentOf((*entry)->data_fd(), kMiB) == model.Expected());
}

TEST_F(EntryLoaderTest, TellsOfItsProgress) {
  const ModelForTest model(40 * kMiB);
  std::atomic<uint64_t> most = 0;
  ASSERT_TRUE(Load(model, {}, [&](uint64_t bytes) {
                EXPECT_LE(bytes, 40 * kMiB);
                most = std::max(most.load(), bytes);
              }).ok());
  EXPECT_GE(most, 16 * kMiB);
}

TEST_F(EntryLoaderTest, AChangedByteIsFoundByTheDigestsAndNamed) {
  ModelForTest model({3 * kMiB}, {{0, 0, kMiB}, {0, kMiB, kMiB}, {0, 2 * kMiB, kMiB}});
  auto first = Load(model);
  ASSERT_TRUE(first.ok());
  const std::vector<ChunkDigest> known = (*first)->chunks();
  model.FlipByte(0, 2 * kMiB + 17);
  for (const Status& status :
       {Load(model, known).status(), VerifyFiles(model.component(), model.files(), known, {})}) {
    EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptedModel) << status;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("bytes 2097152 to 3145728"));
    EXPECT_THAT(std::string(Message(status)), HasSubstr("tensor.2"));
  }
}

TEST_F(EntryLoaderTest, ATouchedFileIsFineOnlyIfItsDigestsAreKnownAndMatch) {
  const ModelForTest model(2 * kMiB);
  auto first = Load(model);
  ASSERT_TRUE(first.ok());
  fs::permissions(model.path(), fs::perms::owner_read);  // changes the ctime alone
  EXPECT_EQ(CodeOf(Load(model).status()), ErrorCode::kFileChanged);
  EXPECT_TRUE(Load(model, (*first)->chunks()).ok());
  EXPECT_TRUE(VerifyFiles(model.component(), model.files(), (*first)->chunks(), {}).ok());
}

TEST_F(EntryLoaderTest, AReplacedOrMissingFileIsNotLoaded) {
  const ModelForTest model(2 * kMiB);
  auto first = Load(model);
  ASSERT_TRUE(first.ok());
  const std::vector<ChunkDigest> known = (*first)->chunks();
  fs::copy_file(model.path(), model.path() + ".new");
  fs::rename(model.path() + ".new", model.path());
  EXPECT_EQ(CodeOf(Load(model, known).status()), ErrorCode::kFileChanged);
  fs::remove(model.path());
  EXPECT_EQ(CodeOf(Load(model, known).status()), ErrorCode::kFileNotFound);
  EXPECT_EQ(CodeOf(VerifyFiles(model.component(), model.files(), known, {})),
            ErrorCode::kFileNotFound);
}

TEST_F(EntryLoaderTest, AFileThatChangesWhileItIsReadIsNotPublished) {
  const ModelForTest model(40 * kMiB);
  const auto truncated = Load(model, {}, [&](uint64_t) { fs::resize_file(model.path(), kMiB); });
  EXPECT_EQ(CodeOf(truncated.status()), ErrorCode::kFileChanged) << truncated.status();

  const ModelForTest other(40 * kMiB);
  const auto written = Load(other, {}, [&](uint64_t) {
    const os::UniqueFd fd(::open(other.path().c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
    fs::last_write_time(other.path(), fs::file_time_type::clock::now() + std::chrono::hours(1));
  });
  EXPECT_EQ(CodeOf(written.status()), ErrorCode::kFileChanged) << written.status();
}

TEST_F(EntryLoaderTest, StopsWhenAsked) {
  const ModelForTest model(40 * kMiB);
  std::stop_source stop;
  const auto entry = Load(model, {}, [&](uint64_t) { stop.request_stop(); }, stop.get_token());
  EXPECT_TRUE(entry.ok() || CodeOf(entry.status()) == ErrorCode::kCancelled);
  EXPECT_EQ(CodeOf(Load(model, {}, {}, stop.get_token()).status()), ErrorCode::kCancelled);
  EXPECT_EQ(CodeOf(VerifyFiles(model.component(), model.files(), {}, stop.get_token())),
            ErrorCode::kCancelled);
}

TEST_F(EntryLoaderTest, AManifestThatLeavesTheEntryIsRefused) {
  const ModelForTest model(kMiB);
  ComponentManifest lie = model.component();
  lie.runs[0].entry_offset = 4096;
  EXPECT_EQ(CodeOf(VerifyFiles(lie, model.files(), {}, {})), ErrorCode::kInternal);
  lie = model.component();
  lie.runs[0].file = 7;
  EXPECT_EQ(CodeOf(VerifyFiles(lie, model.files(), {}, {})), ErrorCode::kInternal);
}

// Every system call on the way fails once, wherever it comes; a load ends in an
// entry with the right bytes or in an error, and leaves nothing behind.
TEST_F(EntryLoaderTest, NoFailedCallLeavesMemoryOrDescriptors) {
  const ModelForTest model({3 * kMiB, kMiB}, {{0, 0, 3 * kMiB - 5}, {1, 4096, kMiB - 4096}});
  ASSERT_TRUE(Load(model).ok());
  const size_t descriptors = OpenDescriptors();
  constexpr int kMostCalls = 8;  // more than a load makes of any, but for looks at the page cache
  for (const bool cached : {true, false}) {
    for (const char* call :
         {"open", "fstat", "memfd_create", "ftruncate", "mmap", "madvise_huge", "madvise_collapse",
          "madvise_populate", "pread", "preadv2", "fcntl_seal"}) {
      for (int nth = 1; nth <= kMostCalls; ++nth) {
        if (!cached) {
          const os::UniqueFd fd(::open(model.path().c_str(), O_RDONLY | O_CLOEXEC));
          ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
        }
        os::ArmFault({.call = call, .nth = nth, .error_number = EIO});
        auto entry = Load(model);
        const bool failed = os::DisarmFault() > 0;
        if (entry.ok()) {
          EXPECT_TRUE(ContentOf((*entry)->data_fd(), (*entry)->bytes()) == model.Expected());
          entry->reset();
        }
        EXPECT_EQ(budget_.Use().total(), ByteCount(0)) << call << " " << nth;
        EXPECT_EQ(OpenDescriptors(), descriptors) << call << " " << nth;
        if (!failed) break;
      }
    }
  }
}

}  // namespace
}  // namespace warmset
