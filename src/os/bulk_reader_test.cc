#include "os/bulk_reader.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <vector>

#include "base/strong.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/memory_file.h"

namespace warmset::os {
namespace {

using ::testing::HasSubstr;

struct Implementation {
  const char* name;
  const char* read_call;  // what its faults are injected into
  StatusOr<std::unique_ptr<BulkReader>> (*make)();
};

void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

// What every bulk reader does, over files that are read directly and files
// that are in the page cache.
class BulkReaderTest : public ::testing::TestWithParam<std::tuple<Implementation, bool>> {
 protected:
  static constexpr uint64_t kFileBytes = 9 * kMiB + 4 * kKiB + 123;  // an unaligned tail
  static constexpr uint64_t kBlock = kMiB;

  void SetUp() override {
    std::string folder = ::testing::TempDir() + "bulk_reader_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    path_ = folder_ + "/weights";
    std::mt19937 random(7);
    content_.resize(kFileBytes);
    for (char& byte : content_) byte = static_cast<char>(random());
    std::ofstream(path_, std::ios::binary) << content_;

    auto fd = OpenForRead(path_);
    ASSERT_TRUE(fd.ok()) << fd.status();
    fd_ = *std::move(fd);
    // A look at a page that "is not there" makes the file one to read directly.
    const bool cached = std::get<bool>(GetParam());
    if (!cached) ArmFault({.call = "preadv2", .nth = 1, .error_number = EAGAIN});
    file_ = std::make_unique<BulkFile>(BulkFile::Open(fd_.get(), "weights"));
    DisarmFault();
    auto reader = implementation().make();
    if (!reader.ok()) GTEST_SKIP() << reader.status();
    reader_ = *std::move(reader);

    auto memory = MemoryFile::Create("warmset-test", kFileBytes);
    ASSERT_TRUE(memory.ok());
    memory_ = *std::move(memory);
    for (uint64_t at = 0; at < kFileBytes; at += kBlock) {
      blocks_.push_back({.file = file_.get(),
                         .offset = at,
                         .destination = memory_.writable().span().subspan(
                             at, std::min(kBlock, kFileBytes - at))});
    }
  }

  void TearDown() override {
    DisarmFault();
    std::filesystem::remove_all(folder_);
  }

  Implementation implementation() const { return std::get<Implementation>(GetParam()); }
  std::string_view Read() const {
    return {reinterpret_cast<const char*>(memory_.writable().data()), kFileBytes};
  }

  std::string folder_;
  std::string path_;
  std::string content_;
  UniqueFd fd_;
  std::unique_ptr<BulkFile> file_;
  std::unique_ptr<BulkReader> reader_;
  MemoryFile memory_;
  std::vector<ReadBlock> blocks_;
};

TEST_P(BulkReaderTest, ReadsEveryByteAndTellsOfEachBlockOnce) {
  std::mutex mutex;
  std::vector<int> before(blocks_.size());
  std::vector<int> done(blocks_.size());
  const Status status = reader_->Read({
      .blocks = blocks_,
      .before =
          [&](size_t i) {
            const std::lock_guard lock(mutex);
            ++before[i];
          },
      .done =
          [&](size_t i) {
            const std::lock_guard lock(mutex);
            EXPECT_EQ(before[i], 1);
            EXPECT_EQ(Read().substr(i * kBlock, blocks_[i].destination.size()),
                      std::string_view(content_).substr(i * kBlock, kBlock));
            ++done[i];
          },
      .stop = {},
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(done, std::vector<int>(blocks_.size(), 1));
  EXPECT_TRUE(Read() == content_);
}

TEST_P(BulkReaderTest, ReadsFromUnalignedOffsets) {
  std::vector<ReadBlock> blocks = {{.file = file_.get(),
                                    .offset = 777,
                                    .destination = memory_.writable().span().first(3 * kMiB)}};
  ASSERT_TRUE(reader_->Read({.blocks = blocks, .before = {}, .done = {}, .stop = {}}).ok());
  EXPECT_TRUE(Read().substr(0, 3 * kMiB) == std::string_view(content_).substr(777, 3 * kMiB));
}

TEST_P(BulkReaderTest, NothingToReadIsOk) {
  EXPECT_TRUE(reader_->Read({.blocks = {}, .before = {}, .done = {}, .stop = {}}).ok());
}

TEST_P(BulkReaderTest, AFileTruncatedMeanwhileNamesWhereItEnds) {
  const Status status = reader_->Read({
      .blocks = blocks_,
      .before =
          [&](size_t i) {
            if (i == 0) std::filesystem::resize_file(path_, 5 * kMiB + 100);
          },
      .done = {},
      .stop = {},
  });
  EXPECT_EQ(CodeOf(status), ErrorCode::kFileChanged) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr("weights ends at offset"));
}

TEST_P(BulkReaderTest, StopsWhenAsked) {
  std::stop_source stop;
  size_t begun = 0;
  const Status status = reader_->Read({
      .blocks = blocks_,
      .before =
          [&](size_t) {
            ++begun;
            stop.request_stop();
          },
      .done = {},
      .stop = stop.get_token(),
  });
  EXPECT_EQ(CodeOf(status), ErrorCode::kCancelled) << status;
}

TEST_P(BulkReaderTest, EveryFailedReadIsAnErrorThatNamesTheFile) {
  for (int nth = 1; nth <= static_cast<int>(blocks_.size()); ++nth) {
    ArmFault({.call = implementation().read_call, .nth = nth, .error_number = EIO});
    const Status status = reader_->Read({.blocks = blocks_, .before = {}, .done = {}, .stop = {}});
    EXPECT_EQ(DisarmFault(), 1) << nth;
    EXPECT_EQ(CodeOf(status), ErrorCode::kIoError) << nth;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("read weights at offset"));
  }
}

TEST_P(BulkReaderTest, InterruptedReadsAreRepeated) {
  ArmFault({.call = implementation().read_call, .nth = 2, .error_number = EINTR});
  EXPECT_TRUE(reader_->Read({.blocks = blocks_, .before = {}, .done = {}, .stop = {}}).ok());
  EXPECT_EQ(DisarmFault(), 1);
  EXPECT_TRUE(Read() == content_);
}

TEST_P(BulkReaderTest, ARefusedDirectReadIsFollowedByABufferedOne) {
  if (std::get<bool>(GetParam())) GTEST_SKIP() << "nothing is read directly";
  if (!Reopen(fd_.get(), OpenMode::kDirect).ok()) GTEST_SKIP() << "no O_DIRECT here";
  ArmFault({.call = implementation().read_call, .nth = 1, .error_number = EINVAL});
  EXPECT_TRUE(reader_->Read({.blocks = blocks_, .before = {}, .done = {}, .stop = {}}).ok());
  EXPECT_EQ(DisarmFault(), 1);
  EXPECT_TRUE(Read() == content_);
}

INSTANTIATE_TEST_SUITE_P(
    Readers, BulkReaderTest,
    ::testing::Combine(
        ::testing::Values(Implementation{.name = "threads",
                                         .read_call = "pread",
                                         .make = []() -> StatusOr<std::unique_ptr<BulkReader>> {
                                           // One thread, so that counted faults hit a known block.
                                           return MakePreadReader(1);
                                         }},
                          Implementation{.name = "uring",
                                         .read_call = "io_uring_read",
                                         .make = [] { return MakeUringReader(4); }}),
        ::testing::Bool()),
    [](const auto& test) {
      return fmt::format("{}_{}", std::get<0>(test.param).name,
                         std::get<1>(test.param) ? "cached" : "direct");
    });

TEST(PreadReaderTest, ManyThreadsReadEachBlockOnce) {
  const std::string content(4 * kMiB, 'w');
  auto source = MakeSealedFile("warmset-test", std::as_bytes(std::span(content)));
  auto memory = MemoryFile::Create("warmset-test", content.size());
  ASSERT_TRUE(source.ok() && memory.ok());
  const BulkFile file = BulkFile::Open(source->fd(), "weights");
  std::vector<ReadBlock> blocks;
  for (uint64_t at = 0; at < content.size(); at += 64 * kKiB) {
    blocks.push_back({.file = &file,
                      .offset = at,
                      .destination = memory->writable().span().subspan(at, 64 * kKiB)});
  }
  std::vector<std::atomic<int>> done(blocks.size());
  ASSERT_TRUE(
      MakePreadReader(4)
          ->Read({.blocks = blocks, .before = {}, .done = [&](size_t i) { ++done[i]; }, .stop = {}})
          .ok());
  for (const auto& count : done) EXPECT_EQ(count, 1);
  EXPECT_EQ(std::memcmp(memory->writable().data(), content.data(), content.size()), 0);
}

TEST(UringReaderTest, IsAbsentWhereTheKernelRefusesIt) {
  for (const char* call : {"io_uring_setup", "io_uring_enter"}) {
    ArmFault({.call = call, .nth = 1, .error_number = EPERM});
    EXPECT_EQ(CodeOf(MakeUringReader(8).status()), ErrorCode::kPermissionDenied) << call;
    EXPECT_EQ(DisarmFault(), 1);
    ArmFault({.call = call, .nth = 1, .error_number = EPERM, .keep_failing = true});
    EXPECT_NE(MakeDiskReader(), nullptr);
    DisarmFault();
  }
}

TEST(UringReaderTest, ARingThatFailsLeavesNoReadUnderWay) {
  auto reader = MakeUringReader(4);
  if (!reader.ok()) GTEST_SKIP() << reader.status();
  const std::string content(2 * kMiB, 'w');
  auto source = MakeSealedFile("warmset-test", std::as_bytes(std::span(content)));
  auto memory = MemoryFile::Create("warmset-test", content.size());
  ASSERT_TRUE(source.ok() && memory.ok());
  const BulkFile file = BulkFile::Open(source->fd(), "weights");
  std::vector<ReadBlock> blocks;
  for (uint64_t at = 0; at < content.size(); at += 64 * kKiB) {
    blocks.push_back({.file = &file,
                      .offset = at,
                      .destination = memory->writable().span().subspan(at, 64 * kKiB)});
  }
  for (int nth = 1; nth <= 4; ++nth) {
    ArmFault({.call = "io_uring_enter", .nth = nth, .error_number = ENOMEM});
    const Status status = (*reader)->Read({.blocks = blocks, .before = {}, .done = {}, .stop = {}});
    EXPECT_EQ(DisarmFault(), 1) << nth;
    EXPECT_EQ(CodeOf(status), ErrorCode::kRamLimitExceeded) << status;
  }
}

}  // namespace
}  // namespace warmset::os
