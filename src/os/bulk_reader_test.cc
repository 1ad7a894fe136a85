#include "os/bulk_reader.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "base/strong.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/memory_file.h"

namespace warmset::os {
namespace {

using ::testing::HasSubstr;

enum class Source { kDirect, kCached };

class BulkReaderTest : public ::testing::TestWithParam<Source> {
 protected:
  static constexpr uint64_t kFileBytes = 9 * kMiB + 4 * kKiB + 123;  // an unaligned tail
  static constexpr uint64_t kBlock = kMiB;

  // Made once: under a sanitizer that takes seconds.
  static const std::string& RandomContent() {
    static const std::string content = [] {
      std::mt19937 random(7);
      std::string bytes(kFileBytes, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random());
      return bytes;
    }();
    return content;
  }

  void SetUp() override {
    std::string folder = ::testing::TempDir() + "bulk_reader_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    path_ = folder_ + "/weights";
    content_ = RandomContent();
    std::ofstream(path_, std::ios::binary) << content_;

    auto fd = OpenForRead(path_);
    ASSERT_TRUE(fd.ok()) << fd.status();
    fd_ = *std::move(fd);
    // A look at a page that "is not there" makes the file one to read directly.
    if (GetParam() == Source::kDirect) {
      ArmFault({.call = "preadv2", .nth = 1, .error_number = EAGAIN});
    }
    file_ = std::make_unique<BulkFile>(BulkFile::Open(fd_.get(), "weights"));
    DisarmFault();

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

  std::string_view Read() const {
    return {reinterpret_cast<const char*>(memory_.writable().data()), kFileBytes};
  }

  std::string folder_;
  std::string path_;
  std::string content_;
  UniqueFd fd_;
  std::unique_ptr<BulkFile> file_;
  MemoryFile memory_;
  std::vector<ReadBlock> blocks_;
};

TEST_P(BulkReaderTest, ReadsEveryByteAndTellsOfEachBlockOnce) {
  std::mutex mutex;
  std::vector<int> before(blocks_.size());
  std::vector<int> done(blocks_.size());
  const Status status = ReadInBulk({
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
  ASSERT_TRUE(ReadInBulk({.blocks = blocks, .before = {}, .done = {}, .stop = {}}).ok());
  EXPECT_TRUE(Read().substr(0, 3 * kMiB) == std::string_view(content_).substr(777, 3 * kMiB));
}

TEST_P(BulkReaderTest, NothingToReadIsOk) {
  EXPECT_TRUE(ReadInBulk({.blocks = {}, .before = {}, .done = {}, .stop = {}}).ok());
}

TEST_P(BulkReaderTest, AFileTruncatedMeanwhileNamesWhereItEnds) {
  const Status status = ReadInBulk({
      .blocks = blocks_,
      .before =
          [&](size_t i) {
            if (i + 1 == blocks_.size()) std::filesystem::resize_file(path_, 5 * kMiB + 100);
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
  const Status status = ReadInBulk({
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
    ArmFault({.call = "pread", .nth = nth, .error_number = EIO});
    const Status status = ReadInBulk({.blocks = blocks_, .before = {}, .done = {}, .stop = {}});
    EXPECT_EQ(DisarmFault(), 1) << nth;
    EXPECT_EQ(CodeOf(status), ErrorCode::kIoError) << nth;
    EXPECT_TRUE(OffsetOf(status).has_value()) << nth;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("read weights at offset"));
  }
}

TEST_P(BulkReaderTest, InterruptedReadsAreRepeated) {
  ArmFault({.call = "pread", .nth = 2, .error_number = EINTR});
  EXPECT_TRUE(ReadInBulk({.blocks = blocks_, .before = {}, .done = {}, .stop = {}}).ok());
  EXPECT_EQ(DisarmFault(), 1);
  EXPECT_TRUE(Read() == content_);
}

TEST_P(BulkReaderTest, ARefusedDirectReadIsFollowedByABufferedOne) {
  if (GetParam() == Source::kCached) GTEST_SKIP() << "nothing is read directly";
  if (!Reopen(fd_.get(), OpenMode::kDirect).ok()) GTEST_SKIP() << "no O_DIRECT here";
  ArmFault({.call = "pread", .nth = 1, .error_number = EINVAL});
  EXPECT_TRUE(ReadInBulk({.blocks = blocks_, .before = {}, .done = {}, .stop = {}}).ok());
  EXPECT_EQ(DisarmFault(), 1);
  EXPECT_TRUE(Read() == content_);
}

INSTANTIATE_TEST_SUITE_P(Sources, BulkReaderTest,
                         ::testing::Values(Source::kDirect, Source::kCached), [](const auto& test) {
                           return test.param == Source::kDirect ? "Direct" : "Cached";
                         });

}  // namespace
}  // namespace warmset::os
