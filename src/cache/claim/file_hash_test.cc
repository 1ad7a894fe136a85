#include "cache/claim/file_hash.h"

#include <filesystem>
#include <fstream>

#include "base/digest.h"
#include "cache/claim/content_hasher.h"
#include "cache/model_for_test.h"
#include "gtest/gtest.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

const std::string kClaim = "sha256:" + std::string(64, '0');

class FileHashTest : public testing::Test {
 protected:
  static constexpr uint64_t kBytes = 3 * kMiB + 123;

  FileHashTest() : model_(kBytes), content_(model_.Expected()) {}

  static std::string HashOf(std::string_view content) {
    auto hasher = *ContentHasher::Create(kClaim, content.size());
    hasher.Update(AsBytes(content));
    return hasher.Finish();
  }
  // Memory that holds those bytes of the file.
  ResidentRun Resident(uint64_t offset, uint64_t bytes) {
    memory_.push_back(
        *os::MakeSealedFile("test", AsBytes(std::string_view(content_).substr(offset, bytes))));
    return {
        .file_offset = offset, .bytes = bytes, .entry_offset = 0, .data_fd = memory_.back().fd()};
  }
  StatusOr<std::string> Hash(std::vector<ResidentRun> runs) {
    ResidentRuns resident(std::move(runs));
    return HashFile(kClaim, model_.files()[0], resident, {});
  }

  ModelForTest model_;
  std::string content_;
  std::vector<os::MemoryFile> memory_;
};

TEST_F(FileHashTest, AWholeFileInRamNeedsNoDisk) {
  std::filesystem::remove(model_.path());
  EXPECT_EQ(*Hash({Resident(0, kBytes)}), HashOf(content_));
}

TEST_F(FileHashTest, WhatRamLacksComesFromTheDisk) {
  EXPECT_EQ(*Hash({}), HashOf(content_));
  // Runs out of order, with gaps, and with a page that two of them have.
  EXPECT_EQ(*Hash({Resident(2 * kMiB, kMiB + 123), Resident(4096, kMiB), Resident(kMiB, 8192)}),
            HashOf(content_));
}

TEST_F(FileHashTest, ItIsTheMemoryThatIsHashed) {
  ResidentRun run = Resident(0, kBytes);
  std::string other = content_;
  other[kMiB] = static_cast<char>(~other[kMiB]);
  memory_.push_back(*os::MakeSealedFile("test", AsBytes(other)));
  run.data_fd = memory_.back().fd();
  EXPECT_EQ(*Hash({run}), HashOf(other));
}

TEST_F(FileHashTest, GoesOnFromTheDiskWhenItsMemoryIsWithdrawn) {
  ResidentRuns resident({Resident(0, kBytes)});
  resident.Withdraw();
  memory_.clear();
  EXPECT_EQ(*HashFile(kClaim, model_.files()[0], resident, {}), HashOf(content_));
}

TEST_F(FileHashTest, AFileReplacedWhileItIsHashedGivesNoHash) {
  std::ofstream(model_.path(), std::ios::binary) << std::string(kBytes, 'x');
  EXPECT_EQ(CodeOf(Hash({}).status()), ErrorCode::kFileChanged);
  EXPECT_EQ(CodeOf(Hash({Resident(0, kMiB)}).status()), ErrorCode::kFileChanged);
  std::filesystem::remove(model_.path());
  EXPECT_EQ(CodeOf(Hash({}).status()), ErrorCode::kFileNotFound);
}

TEST_F(FileHashTest, StopsWhenItIsToStop) {
  std::stop_source stop;
  stop.request_stop();
  ResidentRuns resident({});
  EXPECT_EQ(CodeOf(HashFile(kClaim, model_.files()[0], resident, stop.get_token()).status()),
            ErrorCode::kCancelled);
}

}  // namespace
}  // namespace warmset
