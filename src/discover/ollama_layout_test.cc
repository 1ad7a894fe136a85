#include "discover/ollama_layout.h"

#include "discover/scanner.h"
#include "discover/tree_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "isolate/inspector.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(OllamaNamesTest, AreThoseOfOllama) {
  EXPECT_EQ(OllamaNameOf("registry.ollama.ai/library/llama3/8b"), "llama3:8b");
  EXPECT_EQ(OllamaNameOf("registry.ollama.ai/me/llama3/latest"), "me/llama3:latest");
  EXPECT_EQ(OllamaNameOf("hf.co/org/name/Q4_K_M"), "hf.co/org/name:Q4_K_M");
  for (const char* other : {"", "a/b/c", "a/b/c/", "/a/b/c", "a//c/d", "a/b/c/d/e"}) {
    EXPECT_EQ(OllamaNameOf(other), std::nullopt) << other;
  }
}

TEST(OllamaNamesTest, APathTellsItsStore) {
  EXPECT_EQ(OllamaStoreOf("/o/models/manifests/r/n/m/t"), "/o/models");
  EXPECT_EQ(OllamaStoreOf("/o/models/manifests/r/n/m"), std::nullopt);
  EXPECT_EQ(OllamaStoreOf("/manifests/r/n/m/t"), std::nullopt);
}

class OllamaStoreTest : public testing::Test {
 protected:
  static std::string Manifest(char digit) {
    return R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" +
           std::string(64, digit) + R"(","size":4}]})";
  }
  static std::string Blob(char digit) { return "models/blobs/sha256-" + std::string(64, digit); }

  ScanWalk Scan() {
    auto walk = Scanner(cache_, lister_).Walk({{.path = tree_.path()}}, nullptr, {});
    EXPECT_TRUE(walk.ok()) << walk.status();
    return *std::move(walk);
  }

  TreeForTest tree_;
  ShardListCache cache_;
  InProcessInspector lister_;
  const std::string library_ = "models/manifests/registry.ollama.ai/library/";
};

TEST_F(OllamaStoreTest, AModelPerManifestWithItsBlobs) {
  tree_.Add({{library_ + "llama3/8b", Manifest('a')},
             {library_ + "llama3/latest", Manifest('a')},
             {library_ + "gone/latest", Manifest('f')},
             {library_ + "broken/latest", "{"},
             {Blob('a'), "gguf"},
             {Blob('b'), "of nobody"}});
  const ScanWalk walk = Scan();
  std::vector<std::string> seen;
  for (const Sighting& sighting : walk.sightings) {
    seen.push_back(sighting.base_name + " " + std::to_string(sighting.model.files.size()));
    EXPECT_EQ(sighting.folder, tree_.path() + "/models");
    EXPECT_EQ(sighting.model.layout, ModelLayout::kOllama);
  }
  EXPECT_EQ(walk.sightings[2].version, "8b");
  EXPECT_THAT(seen, ElementsAre("broken:latest 1", "gone:latest 1", "llama3:8b 2",
                                "llama3:latest 2"));
  const ManifestFile& blob = walk.sightings[2].model.files[1];
  EXPECT_EQ(blob.path, "blobs/sha256-" + std::string(64, 'a'));
  EXPECT_EQ(blob.claimed_hash, "sha256:" + std::string(64, 'a'));
  EXPECT_THAT(walk.findings, IsEmpty());
}

TEST_F(OllamaStoreTest, ABlobThatComesChangesTheRevision) {
  tree_.Add({{library_ + "m/latest", Manifest('a')}, {"models/blobs/"}});
  const ScanWalk before = Scan();
  tree_.AddFile(Blob('a'), "gguf");
  const ScanWalk after = Scan();
  ASSERT_THAT(after.sightings, SizeIs(1));
  EXPECT_EQ(after.sightings[0].id, before.sightings[0].id);
  EXPECT_NE(after.sightings[0].revision, before.sightings[0].revision);
}

TEST_F(OllamaStoreTest, BlobsOfOldStoresAreFoundUnderTheirColon) {
  const std::string old_blob = "models/blobs/sha256:";
  tree_.Add({{library_ + "new/latest", Manifest('a')},
             {library_ + "old/latest", Manifest('b')},
             {library_ + "half/latest", Manifest('c')},
             {Blob('a'), "gguf"},
             {old_blob + std::string(64, 'b'), "gguf"},
             {old_blob + std::string(64, 'c') + "-partial-0", "gg"}});
  const ScanWalk walk = Scan();
  ASSERT_THAT(walk.sightings, SizeIs(3));
  ASSERT_THAT(walk.sightings[2].model.files, SizeIs(2));
  const ManifestFile& blob = walk.sightings[2].model.files[1];
  EXPECT_EQ(blob.path, "blobs/sha256:" + std::string(64, 'b'));
  EXPECT_EQ(blob.claimed_hash, "sha256:" + std::string(64, 'b'));
  ASSERT_THAT(walk.findings, SizeIs(1));
  EXPECT_EQ(walk.findings[0].code, ErrorCode::kIncompleteModel);
}

TEST_F(OllamaStoreTest, UnfinishedBlobsAreToldOnce) {
  tree_.Add({{library_ + "m/latest", Manifest('a')},
             {Blob('a') + "-partial"},
             {Blob('a') + "-partial-0"},
             {Blob('a') + "-partial-1"}});
  const ScanWalk walk = Scan();
  ASSERT_THAT(walk.findings, SizeIs(1));
  EXPECT_EQ(walk.findings[0].code, ErrorCode::kIncompleteModel);
}

TEST_F(OllamaStoreTest, ADigestCantLeadOutOfTheBlobs) {
  tree_.Add({{library_ + "m/latest",
              R"({"layers":[{"mediaType":"x","digest":"sha256:../../secret","size":1}]})"},
             {"models/blobs/"},
             {"secret", "x"}});
  const ScanWalk walk = Scan();
  ASSERT_THAT(walk.sightings, SizeIs(1));
  EXPECT_THAT(walk.sightings[0].model.files, SizeIs(1));
}

TEST_F(OllamaStoreTest, PointingAtOneManifest) {
  tree_.Add({{library_ + "a/latest", Manifest('a')},
             {library_ + "b/latest", Manifest('a')},
             {Blob('a'), "gguf"}});
  const ScanWalk walk = Scanner(cache_, lister_).LookAt(tree_.path() + "/" + library_ + "b/latest");
  ASSERT_THAT(walk.sightings, SizeIs(1));
  EXPECT_EQ(walk.sightings[0].base_name, "b:latest");
  EXPECT_THAT(walk.sightings[0].model.files, SizeIs(2));
}

}  // namespace
}  // namespace warmset
