// The expectations of huggingface_hub's tests of its cache, as directory trees.
#include "discover/hub_layout.h"

#include <algorithm>
#include <functional>

#include "discover/scanner.h"
#include "discover/tree_for_test.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "isolate/inspector.h"

namespace warmset {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kRepo = "models--org--name";
const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
const std::string kOther = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const std::string kBlob(64, 'b');

// A repo as the hub's library leaves it: a config and weights, main.
std::vector<TreeEntry> GoodRepo(const std::string& repo) {
  const std::string snapshot = repo + "/snapshots/" + kCommit;
  return {{repo + "/refs/main", kCommit},
          {repo + "/blobs/" + kBlob, TestSafetensors({{"w", 8}})},
          {repo + "/blobs/" + std::string(40, 'c'), "{}"},
          {snapshot + "/model.safetensors", "", "../../blobs/" + kBlob},
          {snapshot + "/config.json", "", "../../blobs/" + std::string(40, 'c')}};
}

// The file in which the client keeps what a commit has.
std::string Tree(const std::vector<HubFile>& files) {
  std::string json;
  for (const HubFile& file : files) {
    if (!json.empty()) json += ",";
    json += fmt::format(R"("{}":{{"size":{})", file.path, file.size);
    if (!file.claimed_hash.empty()) {
      json += fmt::format(R"(,"lfs_sha256":"{}")", file.claimed_hash.substr(7));
    }
    json += "}";
  }
  return R"({"format_version":1,"files":{)" + json + "}}";
}

// Moves the weights of a good repo into the store that repos share, as the client does.
void ShareBlob(TreeForTest& tree, const std::string& repo, bool marker = true) {
  const std::string xet(64, 'f');
  const std::string blob = tree.path() + "/" + repo + "/blobs/" + kBlob;
  tree.Add({{"blobs/ff/" + xet + ".refs", repo + "/blobs/" + kBlob + "\n"},
            {"blobs/ff/" + xet + ".lock", ""}});
  if (marker) tree.AddFile("blobs/.huggingface-shared-blobs", "1\n");
  std::filesystem::rename(blob, tree.path() + "/blobs/ff/" + xet);
  std::filesystem::create_symlink("../../blobs/ff/" + xet, blob);
}

struct HubCase {
  std::string name;
  std::vector<TreeEntry> entries;  // beside those of a good repo
  Verdict verdict;                 // of the repo as a whole
  std::string path;                // of the finding, relative to the repo
  std::string message;
  std::vector<std::string> removed = {};  // what the good repo is made without

  friend void PrintTo(const HubCase& test, std::ostream* out) { *out << test.name; }
};

class HubCacheTest : public testing::TestWithParam<HubCase> {};

TEST_P(HubCacheTest, IsToldWithItsPlace) {
  const HubCase& test = GetParam();
  TreeForTest tree;
  tree.Add(GoodRepo(kRepo));
  for (const std::string& path : test.removed) {
    std::filesystem::remove_all(tree.path() + "/" + kRepo + "/" + path);
  }
  for (TreeEntry entry : test.entries) {
    entry.path = kRepo + "/" + entry.path;
    tree.Add(std::vector{entry});
  }
  ShardListCache cache;
  InProcessInspector lister;
  const ScanWalk walk = Scanner(cache, lister).LookAt(tree.path() + "/" + kRepo);

  Verdict worst = Verdict::kOk;
  std::vector<std::string> told;
  for (const ScanFinding& finding : walk.findings) {
    worst = std::max(worst, VerdictOf(finding));
    told.push_back(finding.path + ": " + finding.message);
  }
  for (const Sighting& sighting : walk.sightings) {
    EXPECT_EQ(sighting.boundary, tree.path() + "/" + kRepo);
    for (const Finding& finding : sighting.findings) {
      worst = std::max(worst, finding.verdict);
      told.push_back(sighting.folder + "/" + finding.path + ": " + finding.message);
    }
  }
  EXPECT_EQ(worst, test.verdict) << testing::PrintToString(told);
  if (test.message.empty()) {
    EXPECT_THAT(told, IsEmpty());
  } else {
    const std::string path = test.path.empty() ? kRepo : kRepo + "/" + test.path;
    EXPECT_THAT(told, Contains(AllOf(HasSubstr("/" + path + ": "), HasSubstr(test.message))));
  }
}

const std::string kSnapshot = "snapshots/" + kCommit;

INSTANTIATE_TEST_SUITE_P(
    Repos, HubCacheTest,
    testing::Values(
        HubCase{"good", {}, Verdict::kOk, "", ""},
        HubCase{"no_refs", {}, Verdict::kOk, "", "", {"refs"}},
        HubCase{"known_absences", {{".no_exist/" + kCommit + "/x.json"}}, Verdict::kOk, "", ""},
        HubCase{"macos_leaves_files",
                {{"snapshots/.DS_Store"}, {"refs/.DS_Store"}, {kSnapshot + "/.DS_Store"}},
                Verdict::kOk, "", ""},
        HubCase{"nested_refs", {{"refs/pr/1", kCommit}, {"refs/convert/parquet", kCommit}},
                Verdict::kOk, "", ""},
        HubCase{"ref_with_a_line_end", {{"refs/v1", kCommit + "\n"}}, Verdict::kOk, "", ""},
        HubCase{"no_snapshots", {}, Verdict::kCorrupt, "", "without its snapshots", {"snapshots"}},
        HubCase{"snapshots_is_a_file", {{"snapshots", "x"}}, Verdict::kCorrupt, "",
                "without its snapshots", {"snapshots"}},
        HubCase{"empty_repo", {}, Verdict::kCorrupt, "", "without its snapshots",
                {"snapshots", "blobs", "refs"}},
        HubCase{"file_in_snapshots", {{"snapshots/wrong_file.txt", "x"}}, Verdict::kCorrupt,
                "snapshots/wrong_file.txt", "only snapshots belong"},
        HubCase{"link_to_a_file_in_snapshots",
                {{"snapshots/x", "", "../blobs/" + kBlob}}, Verdict::kCorrupt, "snapshots/x",
                "only snapshots belong"},
        HubCase{"broken_link_to_weights", {}, Verdict::kCorrupt,
                kSnapshot + "/model.safetensors", "leads nowhere", {"blobs/" + kBlob}},
        HubCase{"broken_link_to_something_else",
                {{kSnapshot + "/README.md", "", "../../blobs/" + std::string(40, 'd')}},
                Verdict::kCorrupt, kSnapshot + "/README.md", "leads nowhere"},
        HubCase{"link_to_itself", {{kSnapshot + "/loop.safetensors", "", "loop.safetensors"}},
                Verdict::kCorrupt, kSnapshot + "/loop.safetensors", "leads nowhere"},
        HubCase{"folder_that_leads_to_itself", {{kSnapshot + "/loop", "", "."}}, Verdict::kOk, "",
                ""},
        HubCase{"links_in_a_circle",
                {{kSnapshot + "/a", "", "b"}, {kSnapshot + "/b", "", "a"}}, Verdict::kCorrupt,
                kSnapshot + "/a", "leads nowhere"},
        HubCase{"refs_is_a_file", {{"refs", "x"}}, Verdict::kCorrupt, "refs",
                "in place of the folder", {"refs"}},
        HubCase{"ref_to_a_missing_commit", {{"refs/pr/9", kOther}}, Verdict::kCorrupt,
                "refs/pr/9", "is not there"},
        HubCase{"ref_of_no_commit", {{"refs/odd", "main"}}, Verdict::kCorrupt, "refs/odd",
                "names no commit"},
        HubCase{"empty_ref", {{"refs/odd", ""}}, Verdict::kCorrupt, "refs/odd", "names no commit"},
        HubCase{"ref_that_leads_up", {{"refs/evil", "../../x"}}, Verdict::kUnsafe, "refs/evil",
                "leads out"},
        HubCase{"ref_to_a_path", {{"refs/evil", "/etc"}}, Verdict::kUnsafe, "refs/evil",
                "leads out"},
        HubCase{"ref_to_the_parent", {{"refs/evil", ".."}}, Verdict::kUnsafe, "refs/evil",
                "leads out"},
        HubCase{"unfinished_download", {{"blobs/" + std::string(64, 'e') + ".incomplete", "x"}},
                Verdict::kIncomplete, "blobs/" + std::string(64, 'e') + ".incomplete",
                "not finished"},
        HubCase{"unfinished_download_of_today",
                {{"blobs/" + std::string(64, 'e') + ".0123abcd.incomplete", "x"}},
                Verdict::kIncomplete, "blobs/" + std::string(64, 'e') + ".0123abcd.incomplete",
                "not finished"},
        HubCase{"unfinished_download_of_a_known_file",
                {{"blobs/" + std::string(64, 'e') + ".0123abcd.incomplete", "x"},
                 {"trees/" + kCommit + ".json",
                  Tree({{"vae/x.safetensors", 9, "sha256:" + std::string(64, 'e')}})}},
                Verdict::kIncomplete, "blobs/" + std::string(64, 'e') + ".0123abcd.incomplete",
                "a download of vae/x.safetensors that is not finished"},
        HubCase{"a_tree_that_agrees",
                {{"trees/" + kCommit + ".json",
                  Tree({{"model.safetensors", TestSafetensors({{"w", 8}}).size(), ""},
                        {"config.json", 99, ""},
                        {"pytorch_model.bin", 7, ""},
                        {"onnx/model.onnx", 7, ""}})}},
                Verdict::kOk, "", ""},
        HubCase{"a_tree_of_no_format", {{"trees/" + kCommit + ".json", "{"}}, Verdict::kOk, "", ""},
        HubCase{"a_tree_of_tomorrow",
                {{"trees/" + kCommit + ".json", R"({"format_version":2,"files":{}})"}},
                Verdict::kOk, "", ""},
        HubCase{"weights_that_are_cut_off",
                {{"trees/" + kCommit + ".json", Tree({{"model.safetensors", 5000, ""}})}},
                Verdict::kIncomplete, kSnapshot + "/model.safetensors", "of 5000 bytes are there"},
        HubCase{"weights_of_another_commit",
                {{"trees/" + kCommit + ".json", Tree({{"model.safetensors", 5, ""}})}},
                Verdict::kIncomplete, kSnapshot + "/model.safetensors", "its commit 5: it was"},
        HubCase{"weights_lead_out", {{kSnapshot + "/x.safetensors", "", "/etc/passwd"}},
                Verdict::kUnsafe, kSnapshot + "/x.safetensors", "leads out"},
        HubCase{"something_else_leads_out", {{kSnapshot + "/README.md", "", "/etc/passwd"}},
                Verdict::kUnsafe, kSnapshot + "/README.md", "leads out"},
        HubCase{"folder_leads_out", {{kSnapshot + "/sub", "", "/etc"}}, Verdict::kUnsafe,
                kSnapshot + "/sub", "leads out"},
        HubCase{"broken_link_leads_out",
                {{kSnapshot + "/x.safetensors", "", "../../../../../nowhere/x"}}, Verdict::kUnsafe,
                kSnapshot + "/x.safetensors", "leads out"},
        HubCase{"snapshot_leads_out", {{"snapshots/" + kOther, "", "/etc"}}, Verdict::kUnsafe,
                "snapshots/" + kOther, "leads out"},
        HubCase{"link_to_a_neighbour_of_like_name",
                {{kSnapshot + "/x.safetensors", "", "../../../" + kRepo + "-evil/x"},
                 {"../" + kRepo + "-evil/x", "x"}},
                Verdict::kUnsafe, kSnapshot + "/x.safetensors", "leads out"}),
    [](const auto& param_info) { return param_info.param.name; });

class HubScanTest : public testing::Test {
 protected:
  ScanWalk Scan() {
    auto walk = Scanner(cache_, lister_).Walk({{.path = tree_.path()}}, nullptr, {});
    EXPECT_TRUE(walk.ok()) << walk.status();
    return *std::move(walk);
  }
  static std::vector<std::string> Names(const ScanWalk& walk) {
    std::vector<std::string> names;
    for (const Sighting& sighting : walk.sightings) names.push_back(sighting.base_name);
    return names;
  }

  TreeForTest tree_;
  ShardListCache cache_;
  InProcessInspector lister_;
};

TEST_F(HubScanTest, OnlyModelReposCount) {
  tree_.Add(GoodRepo(kRepo));
  tree_.Add(GoodRepo("datasets--org--data"));
  tree_.Add(GoodRepo("spaces--org--space"));
  // The store that repos share holds no models, whatever is in it.
  tree_.Add({{"blobs/.huggingface-shared-blobs", "1\n"},
             {"blobs/ff/x.safetensors", TestSafetensors({{"w", 8}})},
             {kRepo + "/.no_exist/" + kCommit + "/adapter_config.json", ""}});
  tree_.Add({{"version.txt", "1"}, {".locks/" + kRepo + "/x.lock"}, {"CACHEDIR.TAG", "x"}});
  const ScanWalk walk = Scan();
  EXPECT_THAT(Names(walk), ElementsAre("org/name"));
  EXPECT_THAT(walk.findings, IsEmpty());
  EXPECT_EQ(walk.sightings[0].model.files[1].claimed_hash, "sha256:" + kBlob);
}

TEST_F(HubScanTest, ASnapshotHasItsCommitAndTag) {
  tree_.Add(GoodRepo(kRepo));
  tree_.Add({{kRepo + "/refs/v1.0", kCommit}, {kRepo + "/refs/pr/1", kCommit}});
  const ScanWalk walk = Scan();
  ASSERT_THAT(Names(walk), ElementsAre("org/name"));
  EXPECT_EQ(walk.sightings[0].commit, kCommit);
  EXPECT_EQ(walk.sightings[0].version, "v1.0");
}

TEST_F(HubScanTest, AFolderThatOnlyHasSuchANameIsAnyFolder) {
  tree_.Add({{kRepo + "/config.json", "{}"},
             {kRepo + "/model.safetensors", TestSafetensors({{"w", 8}})}});
  const ScanWalk walk = Scan();
  EXPECT_THAT(Names(walk), ElementsAre(kRepo));
  EXPECT_THAT(walk.findings, IsEmpty());
}

TEST_F(HubScanTest, ARepoOfWhichOnlyTheRefusalIsThereIsKnown) {
  tree_.Add({{kRepo + "/.error.json", R"({"error_code":"GatedRepo"})"},
             {kRepo + "/refs/"},
             {kRepo + "/blobs/"}});
  const ScanWalk walk = Scan();
  ASSERT_THAT(Names(walk), ElementsAre("org/name"));
  EXPECT_EQ(walk.sightings[0].model.files[0].path, ".error.json");
  EXPECT_THAT(walk.findings, IsEmpty());
}

TEST_F(HubScanTest, AnUnfinishedModelIsKnownAndStaysTheSameOne) {
  tree_.Add({{kRepo + "/snapshots/" + kCommit + "/config.json", "{}"},
             {kRepo + "/refs/main", kCommit},
             {kRepo + "/blobs/" + kBlob + ".incomplete", "half"}});
  const ScanWalk before = Scan();
  ASSERT_THAT(Names(before), ElementsAre("org/name"));
  EXPECT_EQ(before.sightings[0].findings[0].verdict, Verdict::kIncomplete);
  std::filesystem::remove_all(tree_.path() + "/" + kRepo);
  tree_.Add(GoodRepo(kRepo));
  const ScanWalk after = Scan();
  ASSERT_THAT(Names(after), ElementsAre("org/name"));
  EXPECT_EQ(after.sightings[0].id, before.sightings[0].id);
  EXPECT_NE(after.sightings[0].revision, before.sightings[0].revision);
}

TEST_F(HubScanTest, AFinishedSnapshotIsUsableBesideAnUnfinishedDownload) {
  tree_.Add(GoodRepo(kRepo));
  tree_.AddFile(kRepo + "/blobs/" + std::string(64, 'e') + ".incomplete", "half");
  const ScanWalk walk = Scan();
  ASSERT_THAT(Names(walk), ElementsAre("org/name"));
  EXPECT_THAT(walk.sightings[0].findings, IsEmpty());
}

TEST_F(HubScanTest, ASharedBlobIsAsGoodAsOneOfTheRepo) {
  const std::string other = "models--org--other";
  tree_.Add(GoodRepo(kRepo));
  ShareBlob(tree_, kRepo);
  tree_.Add(GoodRepo(other));  // of the older layout, in the same cache
  const ScanWalk walk = Scan();
  EXPECT_THAT(Names(walk), ElementsAre("org/name", "org/other"));
  EXPECT_THAT(walk.findings, IsEmpty());
  for (const Sighting& sighting : walk.sightings) {
    EXPECT_THAT(sighting.findings, IsEmpty());
    ASSERT_EQ(sighting.model.files.size(), 2u);
    // The claim is the name of the repo's own blob; the last name is a xet hash.
    EXPECT_EQ(sighting.model.files[1].claimed_hash, "sha256:" + kBlob);
  }
}

TEST_F(HubScanTest, NothingElseOutOfTheRepoIsASharedBlob) {
  const std::string xet(64, 'f');
  const std::string blob = tree_.path() + "/" + kRepo + "/blobs/" + kBlob;
  const auto verdict = [&](const std::function<void()>& change, bool marker = true) {
    for (const auto& entry : std::filesystem::directory_iterator(tree_.path())) {
      std::filesystem::remove_all(entry.path());
    }
    tree_.Add(GoodRepo(kRepo));
    ShareBlob(tree_, kRepo, marker);
    change();
    Verdict worst = Verdict::kOk;
    for (const Sighting& sighting : Scan().sightings) {
      for (const Finding& finding : sighting.findings) worst = std::max(worst, finding.verdict);
    }
    return worst;
  };
  const auto link_blob = [&](const std::string& target) {
    std::filesystem::remove(blob);
    std::filesystem::create_symlink(target, blob);
  };
  const std::string payload = tree_.path() + "/blobs/ff/" + xet;
  EXPECT_EQ(verdict([] {}), Verdict::kOk);
  EXPECT_EQ(verdict([] {}, /*marker=*/false), Verdict::kUnsafe);
  EXPECT_EQ(verdict([&] {  // two digits that do not agree
              tree_.AddFile("blobs/aa/" + xet, TestSafetensors({{"w", 8}}));
              link_blob("../../blobs/aa/" + xet);
            }),
            Verdict::kUnsafe);
  EXPECT_EQ(verdict([&] {  // no xet hash
              tree_.AddFile("blobs/ff/ff00", TestSafetensors({{"w", 8}}));
              link_blob("../../blobs/ff/ff00");
            }),
            Verdict::kUnsafe);
  EXPECT_EQ(verdict([&] {  // one hop more
              std::filesystem::rename(payload, payload + ".moved");
              std::filesystem::create_symlink(xet + ".moved", payload);
            }),
            Verdict::kUnsafe);
  EXPECT_EQ(verdict([&] {  // a folder of the store that leads elsewhere
              std::filesystem::rename(tree_.path() + "/blobs/ff", tree_.path() + "/elsewhere");
              std::filesystem::create_symlink("../elsewhere", tree_.path() + "/blobs/ff");
            }),
            Verdict::kUnsafe);
  EXPECT_EQ(verdict([&] {  // past the repo's blob
              const std::string file =
                  tree_.path() + "/" + kRepo + "/snapshots/" + kCommit + "/model.safetensors";
              std::filesystem::remove(file);
              std::filesystem::create_symlink("../../../blobs/ff/" + xet, file);
            }),
            Verdict::kUnsafe);
  EXPECT_EQ(verdict([&] {  // of another cache
              tree_.AddFile("other/blobs/.huggingface-shared-blobs", "1\n");
              tree_.AddFile("other/blobs/ff/" + xet, TestSafetensors({{"w", 8}}));
              link_blob("../../other/blobs/ff/" + xet);
            }),
            Verdict::kUnsafe);
  EXPECT_EQ(verdict([&] { std::filesystem::remove(payload); }), Verdict::kCorrupt);
}

TEST_F(HubScanTest, WithoutSymlinksTheTreeSaysTheHash) {
  const std::string snapshot = kRepo + "/snapshots/" + kCommit;
  const std::string weights = TestSafetensors({{"w", 8}});
  tree_.Add({{kRepo + "/refs/main", kCommit},
             {snapshot + "/config.json", "{}"},
             {snapshot + "/vae/config.json", "{}"},
             {snapshot + "/vae/model.safetensors", weights},
             {kRepo + "/trees/" + kCommit + ".json",
              Tree({{"vae/model.safetensors", weights.size(), "sha256:" + kBlob}})}});
  const ScanWalk walk = Scan();
  ASSERT_THAT(Names(walk), ElementsAre("org/name/vae"));
  EXPECT_EQ(walk.sightings[0].model.files[1].claimed_hash, "sha256:" + kBlob);
}

// What is missing of a commit, by the files that are here.
std::vector<std::string> Missing(const std::vector<std::string>& here,
                                 const std::vector<HubFile>& in_commit) {
  TreeForTest tree;
  ShardListCache cache;
  InProcessInspector lister;
  tree.Add({{kRepo + "/refs/main", kCommit},
            {kRepo + "/trees/" + kCommit + ".json", Tree(in_commit)}});
  for (const std::string& path : here) {
    tree.AddFile(kRepo + "/snapshots/" + kCommit + "/" + path,
                 path.ends_with(".json") ? "{}" : "12345678");
  }
  const auto walk = Scanner(cache, lister).Walk({{.path = tree.path()}}, nullptr, {});
  EXPECT_TRUE(walk.ok()) << walk.status();
  std::vector<std::string> missing;
  for (const Sighting& sighting : walk->sightings) {
    for (const Finding& finding : sighting.findings) {
      EXPECT_EQ(finding.verdict, Verdict::kIncomplete);
      missing.push_back(finding.path);
    }
  }
  return missing;
}

TEST(HubTreeScanTest, WeightsThatTheCommitHasAndNobodyGotAreNamed) {
  EXPECT_THAT(Missing({"config.json"}, {{"config.json", 2, ""},
                                        {"model-00001-of-00002.safetensors", 8, ""},
                                        {"model-00002-of-00002.safetensors", 8, ""},
                                        {"pytorch_model.bin", 8, ""},
                                        {"model.fp16.safetensors", 8, ""}}),
              ElementsAre("model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors"));
  EXPECT_THAT(Missing({"model_index.json", "unet/config.json",
                       "unet/diffusion_pytorch_model.safetensors", "vae/config.json"},
                      {{"unet/diffusion_pytorch_model.safetensors", 8, ""},
                       {"vae/diffusion_pytorch_model.safetensors", 8, ""},
                       {"vae/diffusion_pytorch_model.bin", 8, ""}}),
              ElementsAre("vae/diffusion_pytorch_model.safetensors"));
}

TEST(HubTreeScanTest, ADownloadOfOneFormatIsWhole) {
  const std::vector<HubFile> commit = {{"config.json", 2, ""},
                                       {"flax_model.msgpack", 8, ""},
                                       {"gguf/m-Q4_0.gguf", 8, ""},
                                       {"gguf/m-Q8_0.gguf", 8, ""},
                                       {"model.fp16.safetensors", 8, ""},
                                       {"model.safetensors", 8, ""},
                                       {"onnx/model.onnx", 8, ""},
                                       {"pytorch_model.bin", 8, ""}};
  EXPECT_THAT(Missing({"config.json", "model.safetensors"}, commit), IsEmpty());
  EXPECT_THAT(Missing({"config.json", "model.fp16.safetensors"}, commit), IsEmpty());
  EXPECT_THAT(Missing({"config.json", "pytorch_model.bin"}, commit), IsEmpty());
  EXPECT_THAT(Missing({"config.json", "gguf/m-Q8_0.gguf"}, commit), IsEmpty());
  EXPECT_THAT(Missing({"config.json", "onnx/model.onnx"}, commit), IsEmpty());
  EXPECT_THAT(Missing({"tokenizer.json"}, commit), IsEmpty());
}

TEST_F(HubScanTest, ACacheBehindASymlinkIsAsGood) {
  TreeForTest elsewhere;
  elsewhere.Add(GoodRepo(kRepo));
  tree_.AddLink("hub", elsewhere.path());
  const ScanWalk walk = Scan();
  EXPECT_THAT(Names(walk), ElementsAre("org/name"));
  EXPECT_THAT(walk.findings, IsEmpty());
}

TEST_F(HubScanTest, PointingAtASnapshotBindsItsLinksToTheRepo) {
  tree_.Add(GoodRepo(kRepo));
  const std::string snapshot = tree_.path() + "/" + kRepo + "/snapshots/" + kCommit;
  std::filesystem::create_symlink("/etc/passwd", snapshot + "/evil.safetensors");
  Scanner scanner(cache_, lister_);
  for (const std::string& path : {snapshot, snapshot + "/evil.safetensors"}) {
    const ScanWalk walk = scanner.LookAt(path);
    ASSERT_FALSE(walk.sightings.empty()) << path;
    const Sighting& evil = walk.sightings.back();
    ASSERT_EQ(evil.findings.size(), 1u) << path;
    EXPECT_EQ(evil.findings[0].verdict, Verdict::kUnsafe);
    EXPECT_THAT(evil.model.files, IsEmpty());
  }
}

}  // namespace
}  // namespace warmset
