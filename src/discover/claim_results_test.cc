#include "discover/claim_results.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kA = "sha256:" + std::string(64, 'a');
const std::string kB = "sha256:" + std::string(64, 'b');

class ClaimResultsTest : public testing::Test {
 protected:
  ClaimResultsTest() {
    std::string pattern = testing::TempDir() + "claims_XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    Reopen();
  }
  ~ClaimResultsTest() override {
    catalog_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Reopen() {
    catalog_.reset();
    catalog_ = *Catalog::Open(folder_ + "/catalog.db");
    results_ = std::make_unique<ClaimResults>(*catalog_);
    ASSERT_TRUE(results_->Restore().ok());
  }
  static ManifestFile File(const std::string& claim) {
    return {.path = "model.safetensors",
            .identity = {.device = 1, .inode = 2, .size = 3, .mtime_ns = 4, .ctime_ns = 5},
            .claimed_hash = claim};
  }
  ClaimState StateOf(const ManifestFile& file) { return results_->Of(file).state; }

  std::string folder_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<ClaimResults> results_;
};

TEST_F(ClaimResultsTest, AClaimIsUncheckedUntilItsContentWasHashed) {
  EXPECT_EQ(StateOf(File("")), ClaimState::kNone);
  EXPECT_EQ(StateOf(File(kA)), ClaimState::kUnchecked);
  ASSERT_TRUE(results_->Record(File(kA), kA, 1234).ok());
  EXPECT_EQ(StateOf(File(kA)), ClaimState::kVerified);
  EXPECT_EQ(results_->Of(File(kA)).checked_unix_ms, 1234);
  // Another name for the same file may claim something else, or in another way.
  EXPECT_EQ(StateOf(File(kB)), ClaimState::kMismatch);
  EXPECT_EQ(StateOf(File("git-sha1:" + std::string(40, 'a'))), ClaimState::kUnchecked);
}

TEST_F(ClaimResultsTest, AResultHoldsForOneStateOfTheFileAndOverRestarts) {
  ASSERT_TRUE(results_->Record(File(kA), kA, 1).ok());
  Reopen();
  EXPECT_EQ(StateOf(File(kA)), ClaimState::kVerified);
  for (auto member : {&os::FileIdentity::inode, &os::FileIdentity::size}) {
    ManifestFile other = File(kA);
    other.identity.*member = 99;
    EXPECT_EQ(StateOf(other), ClaimState::kUnchecked);
  }
  ManifestFile touched = File(kA);
  touched.identity.ctime_ns = 99;
  EXPECT_EQ(StateOf(touched), ClaimState::kUnchecked);
}

TEST_F(ClaimResultsTest, AMismatchOutlivesAChmodAndARestartButNotTheFile) {
  ASSERT_TRUE(results_->Record(File(kA), kB, 1).ok());
  Reopen();
  ManifestFile touched = File(kA);
  touched.identity.ctime_ns = 99;
  EXPECT_EQ(StateOf(touched), ClaimState::kMismatch);
  EXPECT_TRUE(results_->Of(touched).touched);
  EXPECT_FALSE(results_->Of(File(kA)).touched);
  ManifestFile replaced = File(kA);
  replaced.identity.mtime_ns = 99;
  EXPECT_EQ(StateOf(replaced), ClaimState::kUnchecked);
  // An intact file put there with the old size and mtime is found by the next check.
  ASSERT_TRUE(results_->Record(touched, kA, 2).ok());
  EXPECT_EQ(StateOf(touched), ClaimState::kVerified);
}

TEST_F(ClaimResultsTest, AModelIsAsGoodAsItsWorstFile) {
  std::vector<ManifestFile> files = {File(kA), File(kA), File("")};
  files[1].identity.inode = 3;
  EXPECT_EQ(results_->OfFiles({}).state, ClaimState::kNone);
  ASSERT_TRUE(results_->Record(files[0], kA, 1).ok());
  EXPECT_EQ(results_->OfFiles(files).state, ClaimState::kUnchecked);
  ASSERT_TRUE(results_->Record(files[1], kA, 2).ok());
  EXPECT_EQ(results_->OfFiles(files).state, ClaimState::kVerified);
  EXPECT_EQ(results_->OfFiles(files).checked_unix_ms, 1);
  ASSERT_TRUE(results_->Record(files[1], kB, 3).ok());
  EXPECT_EQ(results_->OfFiles(files).state, ClaimState::kMismatch);
}

TEST_F(ClaimResultsTest, ARefusalNamesTheFileBothHashesAndWhatToDo) {
  ModelSummary model;
  model.folder = "/cache/models--org--name/snapshots/c";
  model.files = {File(kA)};
  EXPECT_TRUE(results_->RefusalOf(model).ok());
  ASSERT_TRUE(results_->Record(File(kA), kB, 1).ok());
  const Status refusal = results_->RefusalOf(model);
  EXPECT_EQ(CodeOf(refusal), ErrorCode::kCorruptedModel);
  EXPECT_THAT(std::string(Message(refusal)),
              AllOf(HasSubstr("/cache/models--org--name/snapshots/c/model.safetensors"),
                    HasSubstr(kA), HasSubstr(kB), HasSubstr("download org/name again")));

  Sighting sighting;
  sighting.folder = model.folder;
  sighting.model.files = model.files;
  SetRevision(sighting);
  const RevisionId before = sighting.revision;
  results_->AddFindings(sighting);
  EXPECT_NE(sighting.revision, before);
  ASSERT_EQ(sighting.findings.size(), 1u);
  EXPECT_EQ(sighting.findings[0].verdict, Verdict::kCorrupt);
}

}  // namespace
}  // namespace warmset
