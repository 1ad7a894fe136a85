#include "discover/library.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <future>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/inspect.h"
#include "inspect/test_safetensors.h"
#include "os/fault.h"

namespace warmset {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
namespace fs = std::filesystem;

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";
constexpr const char* kOldCommit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

// A pickle of an empty dictionary: of a known format, and no model.
const std::string kPlainData("\x80\x02}q\x00.", 6);

// What a scan reported, with its new models.
struct Scanned : ScanReport {
  std::vector<ModelSummary> added;
};

class LibraryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "library_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = fs::canonical(pattern).string();
    root_ = folder_ + "/models";
    fs::create_directory(root_);
    Restart();
  }
  void TearDown() override { fs::remove_all(folder_); }

  // As after a restart of the daemon: only the catalog is left.
  void Restart() {
    library_.reset();
    catalog_.reset();
    auto opened = Catalog::Open(folder_ + "/catalog.db");
    ASSERT_TRUE(opened.ok()) << opened.status();
    catalog_ = *std::move(opened);
    library_ = std::make_unique<Library>(*catalog_, inspector_);
    models_.clear();
    ASSERT_TRUE(
        library_->Restore({{root_}}, [&](const ModelSummary& model) { models_[model.id] = model; })
            .ok());
  }

  void Write(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    WriteTestFile(root_ + "/" + path, content);
  }
  void WriteModel(const std::string& path, const std::string& tensor = "w", uint64_t bytes = 8) {
    Write(path, TestSafetensors({{tensor, bytes}}));
  }

  Scanned Scan() { return ScanRoots({{root_}}); }
  Scanned ScanRoots(const std::vector<Root>& roots) {
    std::vector<ModelSummary> added;
    ScanEvents events;
    events.found = [&](const std::vector<ModelSummary>& models) {
      added.insert(added.end(), models.begin(), models.end());
    };
    auto report = library_->Scan(roots, events, {});
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->added, added.size());
    for (const ModelSummary& model : added) {
      EXPECT_TRUE(models_.emplace(model.id, model).second) << model.name;
    }
    for (const ModelSummary& model : report->changed) models_.at(model.id) = model;
    for (const ModelId& id : report->removed) EXPECT_EQ(models_.erase(id), 1u);
    EXPECT_EQ(report->models, models_.size());
    return {*std::move(report), std::move(added)};
  }

  // Models in the catalog.
  size_t Recorded() {
    size_t models = 0;
    EXPECT_TRUE(catalog_->ForEachModel([&](const ModelRow&) { ++models; }).ok());
    return models;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [id, model] : models_) names.push_back(model.name);
    std::sort(names.begin(), names.end());
    return names;
  }
  const ModelSummary& Named(const std::string& name) const {
    for (const auto& [id, model] : models_) {
      if (model.name == name) return model;
    }
    ADD_FAILURE() << "no model " << name;
    static const ModelSummary none;
    return none;
  }

  // A hub repo with one file of that content in a snapshot; returns the blob.
  std::string WriteHubFile(const std::string& repo, const std::string& commit,
                           const std::string& file, const std::string& digest,
                           const std::string& content) {
    Write(repo + "/blobs/" + digest, content);
    const fs::path link = root_ + "/" + repo + "/snapshots/" + commit + "/" + file;
    fs::create_directories(link.parent_path());
    const size_t up = 2 + static_cast<size_t>(std::count(file.begin(), file.end(), '/'));
    std::string target;
    for (size_t i = 0; i < up; ++i) target += "../";
    fs::create_symlink(target + "blobs/" + digest, link);
    return root_ + "/" + repo + "/blobs/" + digest;
  }

  std::string folder_;
  std::string root_;
  std::unique_ptr<Catalog> catalog_;
  InProcessInspector inspector_;
  std::unique_ptr<Library> library_;
  std::map<ModelId, ModelSummary> models_;
};

TEST_F(LibraryTest, FindsFilesDeepAndShallow) {
  WriteModel("a.safetensors");
  WriteModel("sub/deeper/b.safetensors");
  WriteModel(".hidden/c.safetensors");
  Write("notes.txt", "no model");
  EXPECT_EQ(ScanRoots({{root_, /*deep=*/false}}).files, 1u);
  EXPECT_THAT(Names(), ElementsAre("a.safetensors"));
  EXPECT_EQ(Scan().added.size(), 1u);
  EXPECT_THAT(Names(), ElementsAre("a.safetensors", "b.safetensors"));
  const ModelSummary& a = Named("a.safetensors");
  EXPECT_EQ(a.path(), root_ + "/a.safetensors");
  EXPECT_EQ(a.FilePath(0), a.path());
  EXPECT_EQ(a.files[0].identity, *os::IdentifyPath(a.path()));
  EXPECT_EQ(a.components[0].tensor_count, 1u);
}

TEST_F(LibraryTest, ARescanReadsOnlyWhatChanged) {
  WriteModel("a.safetensors");
  WriteModel("b.safetensors");
  EXPECT_EQ(Scan().headers_read, 2u);
  Scanned again = Scan();
  EXPECT_EQ(again.headers_read, 0u);
  EXPECT_EQ(again.unchanged, 2u);
  EXPECT_THAT(again.added, IsEmpty());
  EXPECT_THAT(again.changed, IsEmpty());

  WriteModel("b.safetensors", "other", 16);
  const ModelId id = Named("b.safetensors").id;
  Scanned changed = Scan();
  EXPECT_EQ(changed.headers_read, 1u);
  ASSERT_EQ(changed.changed.size(), 1u);
  EXPECT_EQ(changed.changed[0].id, id);

  fs::remove(root_ + "/a.safetensors");
  EXPECT_EQ(Scan().removed.size(), 1u);
}

TEST_F(LibraryTest, ARestartReadsNothingAgain) {
  WriteModel("a.safetensors");
  Write("broken.safetensors", "no safetensors file begins like this");
  WriteModel("s/m-00001-of-00001.safetensors");
  Write("s/m.safetensors.index.json", R"({"weight_map":{"w":"m-00001-of-00001.safetensors"}})");
  EXPECT_EQ(Scan().headers_read, 3u);
  Restart();
  EXPECT_THAT(Names(), ElementsAre("a.safetensors", "broken.safetensors", "m.safetensors"));
  EXPECT_EQ(Named("broken.safetensors").verdict, Verdict::kCorrupt);
  const Scanned report = Scan();
  EXPECT_EQ(report.headers_read, 0u);
  EXPECT_EQ(report.unchanged, 3u);
  EXPECT_EQ(report.findings.size(), 1u);
  const auto manifest = library_->ManifestOf(Named("a.safetensors"));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->components[0].id, Named("a.safetensors").components[0].id);
}

TEST_F(LibraryTest, ModelsOfOtherRootsAreForgottenAtTheStart) {
  WriteModel("a.safetensors");
  Scan();
  size_t restored = 0;
  ASSERT_TRUE(
      library_->Restore({{folder_ + "/elsewhere"}}, [&](const ModelSummary&) { ++restored; }).ok());
  EXPECT_EQ(restored, 0u);
  EXPECT_EQ(Recorded(), 0u);
}

TEST_F(LibraryTest, WhatCantBeUsedIsKnownWithItsVerdict) {
  WriteModel("good.safetensors");
  Write("torn.safetensors", "no safetensors file begins like this");
  Write("lfs.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  Write("gated.safetensors", "Access to model org/name is restricted. Please log in.");
  Write("data.pth", kPlainData);
  ::mkfifo((root_ + "/fifo.safetensors").c_str(), 0600);
  const auto findings =
      UnorderedElementsAre(AllOf(Field(&ScanFinding::path, root_ + "/torn.safetensors"),
                                 Field(&ScanFinding::code, ErrorCode::kCorruptedModel)),
                           AllOf(Field(&ScanFinding::path, root_ + "/lfs.safetensors"),
                                 Field(&ScanFinding::code, ErrorCode::kIncompleteModel),
                                 Field(&ScanFinding::message, HasSubstr("git lfs pull"))),
                           AllOf(Field(&ScanFinding::path, root_ + "/gated.safetensors"),
                                 Field(&ScanFinding::code, ErrorCode::kAccessRestricted)),
                           AllOf(Field(&ScanFinding::path, root_ + "/data.pth"),
                                 Field(&ScanFinding::code, ErrorCode::kUnrecognizedFormat)));
  EXPECT_THAT(Scan().findings, findings);
  EXPECT_THAT(Names(), ElementsAre("gated.safetensors", "good.safetensors", "lfs.safetensors",
                                   "torn.safetensors"));
  EXPECT_EQ(Named("torn.safetensors").verdict, Verdict::kCorrupt);
  EXPECT_THAT(Named("torn.safetensors").components, IsEmpty());
  EXPECT_EQ(library_->ManifestOf(Named("lfs.safetensors"))->verdict(), Verdict::kIncomplete);

  // Each scan says so again; what may have been completed is looked at again.
  const Scanned again = Scan();
  EXPECT_THAT(again.findings, findings);
  EXPECT_EQ(again.unchanged, 4u);
  EXPECT_THAT(again.changed, IsEmpty());
  EXPECT_EQ(again.headers_read, 1u);

  WriteModel("torn.safetensors");
  EXPECT_EQ(Scan().changed.size(), 1u);
  EXPECT_EQ(Named("torn.safetensors").verdict, Verdict::kOk);
  Write("torn.safetensors", "no safetensors file begins like this");
  EXPECT_EQ(Scan().changed.size(), 1u);
  EXPECT_EQ(Named("torn.safetensors").verdict, Verdict::kCorrupt);
  const auto after = library_->Reinspect(Named("torn.safetensors"));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->verdict, Verdict::kCorrupt);
}

TEST_F(LibraryTest, WhatIsNoModelAnyMoreIsRemoved) {
  WriteModel("m.pth");
  Scan();
  const ModelSummary before = Named("m.pth");
  Write("m.pth", kPlainData);
  EXPECT_EQ(CodeOf(library_->Reinspect(before).status()), ErrorCode::kUnrecognizedFormat);
  models_.clear();
  EXPECT_EQ(Scan().findings.size(), 1u);
  WriteModel("m.pth");
  Scan();
  Write("m.pth", kPlainData);
  EXPECT_EQ(Scan().removed.size(), 1u);
}

TEST_F(LibraryTest, NamesakesAreToldApartByTheirFolders) {
  WriteModel("sd/x/model.safetensors");
  WriteModel("xl/x/model.safetensors");
  WriteModel("xl/y/model.safetensors");
  Scan();
  EXPECT_THAT(Names(), ElementsAre("sd/x/model.safetensors", "xl/x/model.safetensors",
                                   "y/model.safetensors"));
  fs::remove_all(root_ + "/sd");
  const Scanned report = Scan();
  EXPECT_EQ(report.changed.size(), 1u);
  EXPECT_EQ(report.headers_read, 0u);
  EXPECT_THAT(Names(), ElementsAre("x/model.safetensors", "y/model.safetensors"));
}

TEST_F(LibraryTest, RootsThatAreNotScannedKeepTheirModels) {
  WriteModel("a.safetensors");
  Scan();
  const std::string other = folder_ + "/other";
  fs::create_directory(other);
  WriteTestFile(other + "/a.safetensors", TestSafetensors({{"w", 4}}));
  const Scanned report = ScanRoots({{other + "/"}});
  EXPECT_THAT(report.removed, IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("a.safetensors", "other/a.safetensors"));
}

TEST_F(LibraryTest, OddNames) {
  WriteModel("new\nline.safetensors");
  WriteModel("not utf8 \xff.safetensors");
  WriteModel(std::string("folder\x1b[0m") + "/a.safetensors");
  WriteModel(std::string(240, 'x') + ".safetensors");
  const Scanned report = Scan();
  EXPECT_EQ(report.findings.size(), 3u);
  EXPECT_THAT(report.findings, Contains(Field(&ScanFinding::path, HasSubstr("\\x0aline"))));
  for (const ScanFinding& finding : report.findings) {
    EXPECT_EQ(finding.code, ErrorCode::kInvalidName);
  }
  ASSERT_EQ(models_.size(), 1u);
  EXPECT_EQ(Names()[0].size(), 200u);
}

TEST_F(LibraryTest, SymlinkLoopsEnd) {
  WriteModel("sub/a.safetensors");
  fs::create_directory_symlink(root_, root_ + "/sub/up");
  fs::create_directory_symlink(root_ + "/loop", root_ + "/loop");
  fs::create_directory_symlink(root_ + "/sub", root_ + "/same");
  const std::string outside = folder_ + "/outside";
  fs::create_directory(outside);
  WriteTestFile(outside + "/b.safetensors", TestSafetensors({{"w", 4}}));
  fs::create_directory_symlink(outside, root_ + "/linked");
  Scan();
  EXPECT_THAT(Names(), ElementsAre("a.safetensors", "b.safetensors"));
}

TEST_F(LibraryTest, AnUnreadableFolderKeepsItsModels) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  WriteModel("sub/a.safetensors");
  Scan();
  ASSERT_EQ(::chmod((root_ + "/sub").c_str(), 0), 0);
  const Scanned report = Scan();
  ASSERT_EQ(::chmod((root_ + "/sub").c_str(), 0700), 0);
  EXPECT_THAT(report.removed, IsEmpty());
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].code, ErrorCode::kPermissionDenied);
}

TEST_F(LibraryTest, AFolderThatCantBeListedKeepsItsModels) {
  WriteModel("sub/a.safetensors");
  Scan();
  os::ArmFault({.call = "getdents", .nth = 2, .error_number = EIO});
  const Scanned report = Scan();
  EXPECT_EQ(os::DisarmFault(), 1);
  EXPECT_THAT(report.removed, IsEmpty());
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].path, root_ + "/sub");
  EXPECT_EQ(Scan().unchanged, 1u);
}

TEST_F(LibraryTest, FailedReadsAreFindingsAndTriedAgain) {
  WriteModel("a.safetensors");
  const os::FaultPlan plans[] = {
      {.call = "open", .nth = 1, .error_number = EIO, .path = "/a.safetensors"},
      {.call = "pread", .error_number = EIO, .keep_failing = true},
  };
  for (const os::FaultPlan& plan : plans) {
    os::ArmFault(plan);
    const Scanned report = Scan();
    EXPECT_GE(os::DisarmFault(), 1);
    EXPECT_THAT(Names(), IsEmpty()) << plan.call;
    ASSERT_EQ(report.findings.size(), 1u) << plan.call;
    EXPECT_EQ(report.findings[0].code, ErrorCode::kIoError);
  }
  EXPECT_EQ(Scan().added.size(), 1u);
}

TEST_F(LibraryTest, ARootThatIsGoneIsAFinding) {
  WriteModel("a.safetensors");
  Scan();
  fs::remove_all(root_);
  const Scanned report = Scan();
  EXPECT_EQ(report.removed.size(), 1u);
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].code, ErrorCode::kFileNotFound);
}

TEST_F(LibraryTest, AShallowScanLeavesDeeperModelsKnown) {
  WriteModel("top.safetensors");
  WriteModel("below/deep.safetensors");
  WriteModel("below/gone.safetensors");
  WriteModel("lost/lost.safetensors");
  Scan();
  fs::remove(root_ + "/top.safetensors");
  fs::remove_all(root_ + "/lost");
  WriteModel("new.safetensors");
  const Scanned shallow = ScanRoots({{.path = root_, .deep = false}});
  EXPECT_EQ(shallow.added.size(), 1u);
  EXPECT_EQ(shallow.removed.size(), 2u);  // the one at the top, and one of a folder that is gone
  EXPECT_THAT(Names(),
              UnorderedElementsAre("new.safetensors", "deep.safetensors", "gone.safetensors"));
  fs::remove(root_ + "/below/gone.safetensors");
  EXPECT_EQ(Scan().removed.size(), 1u);
}

TEST_F(LibraryTest, ARootThatIsShallowNowIsForgottenBelow) {
  WriteModel("top.safetensors");
  WriteModel("below/deep.safetensors");
  Scan();
  std::vector<std::string> names;
  ASSERT_TRUE(library_
                  ->Restore({{.path = root_, .deep = false}},
                            [&](const ModelSummary& model) { names.push_back(model.name); })
                  .ok());
  EXPECT_THAT(names, ElementsAre("top.safetensors"));
}

TEST_F(LibraryTest, NewModelsComeInBatchesAndAreRecordedBefore) {
  for (int i = 0; i < 600; ++i) WriteModel(fmt::format("m{}.safetensors", i));
  size_t found = 0;
  size_t batches = 0;
  ScanEvents events;
  events.found = [&](const std::vector<ModelSummary>& models) {
    found += models.size();
    ++batches;
    EXPECT_EQ(Recorded(), found);
  };
  ASSERT_TRUE(library_->Scan({{root_}}, events, {}).ok());
  EXPECT_EQ(found, 600u);
  EXPECT_GT(batches, 1u);
}

TEST_F(LibraryTest, AStoppedScanKeepsWhatItFound) {
  for (int i = 0; i < 600; ++i) WriteModel(fmt::format("m{}.safetensors", i));
  std::stop_source stop;
  std::vector<ModelSummary> found;
  ScanEvents events;
  events.found = [&](const std::vector<ModelSummary>& models) {
    for (const ModelSummary& model : models) models_[model.id] = model;
    found = models;
    stop.request_stop();
  };
  EXPECT_EQ(CodeOf(library_->Scan({{root_}}, events, stop.get_token()).status()),
            ErrorCode::kCancelled);
  EXPECT_FALSE(found.empty());
  EXPECT_EQ(Scan().added.size(), 600 - found.size());
}

TEST_F(LibraryTest, TextsThatModelsHaveInCommonAreHeldOnce) {
  WriteModel("a.safetensors");
  WriteModel("b.safetensors", "v", 16);
  Scan();
  const ModelSummary& a = Named("a.safetensors");
  const ModelSummary& b = Named("b.safetensors");
  EXPECT_EQ(&a.folder.str(), &b.folder.str());
  EXPECT_EQ(&a.format.str(), &b.format.str());
  EXPECT_EQ(&a.components[0].name.str(), &b.components[0].name.str());
  EXPECT_TRUE(a.own_path.empty());
}

TEST_F(LibraryTest, StoppedScansReportNothing) {
  WriteModel("a.safetensors");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(CodeOf(library_->Scan({{root_}}, {}, stop.get_token()).status()),
            ErrorCode::kCancelled);
  EXPECT_EQ(Scan().added.size(), 1u);
}

TEST_F(LibraryTest, ProgressCountsUp) {
  for (int i = 0; i < 600; ++i) WriteModel(fmt::format("m{}.safetensors", i));
  std::vector<ScanProgress> seen;
  ASSERT_TRUE(
      library_
          ->Scan({{root_}},
                 {.progress = [&](const ScanProgress& p) { seen.push_back(p); }, .found = {}}, {})
          .ok());
  ASSERT_GE(seen.size(), 3u);
  EXPECT_EQ(seen.front().total, 0u);
  EXPECT_EQ(seen.back().total, 600u);
  EXPECT_GT(seen.back().done, 0u);
}

TEST_F(LibraryTest, AWeightMapCantLeadOut) {
  WriteTestFile(folder_ + "/secret.safetensors", TestSafetensors({{"w", 8}}));
  Write("m.safetensors.index.json", R"({"weight_map":{"w":"../secret.safetensors"}})");
  const Scanned report = Scan();
  EXPECT_EQ(Named("m.safetensors").verdict, Verdict::kUnsafe);
  EXPECT_THAT(Named("m.safetensors").components, IsEmpty());
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_THAT(report.findings[0].message, HasSubstr("leads out"));
}

TEST_F(LibraryTest, TransformersAndLooseFilesInOneFolder) {
  Write("llama/config.json", R"({"architectures":["LlamaForCausalLM"]})");
  WriteModel("llama/model-00001-of-00002.safetensors", "a");
  WriteModel("llama/model-00002-of-00002.safetensors", "b");
  Write("llama/model.safetensors.index.json",
        R"({"weight_map":{"a":"model-00001-of-00002.safetensors",
                          "b":"model-00002-of-00002.safetensors"}})");
  WriteModel("llama/consolidated.safetensors");
  Scan();
  EXPECT_THAT(Names(), ElementsAre("consolidated.safetensors", "llama"));
  EXPECT_EQ(Named("llama").layout, ModelLayout::kTransformers);
  EXPECT_EQ(Named("llama").architecture, "llama");
  EXPECT_EQ(Named("llama").files.size(), 2u);
  fs::remove(root_ + "/llama/model-00002-of-00002.safetensors");
  EXPECT_EQ(Scan().changed.size(), 1u);
  EXPECT_EQ(Named("llama").verdict, Verdict::kIncomplete);
}

// Patient for as long as a busy machine needs, and no longer.
class SilentDiskTest : public LibraryTest {
 protected:
  void SetUp() override {
    LibraryTest::SetUp();
    constexpr std::chrono::milliseconds kPatience{1'000};
    library_ = std::make_unique<Library>(*catalog_, inspector_, 2,
                                         ScanPatience{.walk = kPatience, .read = kPatience});
    library_->silent().SetChanged([this](const std::string&, bool silent) {
      if (!silent) answered_.set_value();
    });
  }
  void TearDown() override {
    os::DisarmFault();
    library_.reset();  // with the threads that waited
    LibraryTest::TearDown();
  }
  void Answer() {
    ASSERT_THAT(library_->silent().All(), testing::Not(IsEmpty())) << "nothing waits";
    os::DisarmFault();
    answered_.get_future().wait();
    EXPECT_THAT(library_->silent().All(), IsEmpty());
  }

  std::promise<void> answered_;
};

TEST_F(SilentDiskTest, AScanGoesOnWithoutAFolderThatDoesNotAnswer) {
  WriteModel("net/far.safetensors");
  Scan();
  WriteModel("near.safetensors");
  os::ArmFault({.call = "open", .keep_failing = true, .hangs = true, .path = "/net"});
  const Scanned scan = Scan();
  EXPECT_THAT(Names(), ElementsAre("far.safetensors", "near.safetensors"));
  EXPECT_THAT(scan.findings, ElementsAre(Field(&ScanFinding::path, root_ + "/net")));
  EXPECT_EQ(scan.findings.front().code, ErrorCode::kTimeout);
  EXPECT_THAT(library_->silent().All(), ElementsAre(root_ + "/net"));

  WriteModel("net/more.safetensors");
  WriteModel("more.safetensors");
  Scan();
  EXPECT_EQ(Names().size(), 3u) << "nor is it waited for again";
  Answer();
  Scan();
  EXPECT_EQ(Names().size(), 4u);
}

TEST_F(SilentDiskTest, ARootThatDoesNotAnswerHoldsUpNoOther) {
  fs::create_directory(folder_ + "/other");
  WriteTestFile(folder_ + "/other/o.safetensors", TestSafetensors({{"w", 8}}));
  WriteModel("m.safetensors");
  os::ArmFault({.call = "open", .keep_failing = true, .hangs = true, .path = "/models"});
  const Scanned scan = ScanRoots({{root_}, {folder_ + "/other"}});
  EXPECT_THAT(Names(), ElementsAre("o.safetensors"));
  EXPECT_THAT(library_->silent().All(), ElementsAre(root_));
  Answer();
  ScanRoots({{root_}, {folder_ + "/other"}});
  EXPECT_EQ(Names().size(), 2u);
}

TEST_F(SilentDiskTest, AModelThatCantBeReadHoldsUpNoOther) {
  for (const char* const name : {"a", "b", "c"}) {
    WriteModel(std::string(name) + "/" + name + ".safetensors");
  }
  os::ArmFault({.call = "open", .keep_failing = true, .hangs = true, .path = "/a.safetensors"});
  const Scanned scan = Scan();
  EXPECT_EQ(Names().size(), 2u);
  EXPECT_THAT(scan.findings, ElementsAre(Field(&ScanFinding::code, ErrorCode::kTimeout)));
  Answer();
  Scan();
  EXPECT_THAT(Names(), ElementsAre("a.safetensors", "b.safetensors", "c.safetensors"));
}

TEST_F(SilentDiskTest, AScanThatWaitsCanBeStopped) {
  WriteModel("m.safetensors");
  os::ArmFault({.call = "open", .keep_failing = true, .hangs = true, .path = "/models"});
  std::stop_source stop;
  std::jthread other([&stop] { stop.request_stop(); });
  EXPECT_EQ(CodeOf(library_->Scan({{root_}}, {}, stop.get_token()).status()),
            ErrorCode::kCancelled);
  EXPECT_FALSE(library_->StopBy(std::chrono::steady_clock::now())) << "a thread still waits";
}

// A save in one file over a sharded one, where no config.json holds them together.
TEST_F(LibraryTest, AWholeFileBesideAStaleIndexIsOneModel) {
  Write("vae/diffusion_pytorch_model.safetensors.index.json",
        R"({"weight_map":{"a":"diffusion_pytorch_model-00001-of-00002.safetensors",
                          "b":"diffusion_pytorch_model-00002-of-00002.safetensors"}})");
  WriteModel("vae/diffusion_pytorch_model-00002-of-00002.safetensors", "b");
  WriteModel("vae/diffusion_pytorch_model.safetensors");
  Scan();
  ASSERT_THAT(Names(), ElementsAre("vae/diffusion_pytorch_model.safetensors"));
  const ModelSummary& model = Named("vae/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(model.verdict, Verdict::kOk);
  const auto manifest = library_->ManifestOf(model);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_THAT(
      manifest->findings,
      Contains(AllOf(Field(&Finding::path, "diffusion_pytorch_model.safetensors.index.json"),
                     Field(&Finding::message, HasSubstr("is used")))));
  // Both are whole: nothing tells which one is old.
  WriteModel("vae/diffusion_pytorch_model-00001-of-00002.safetensors", "a");
  Scan();
  EXPECT_EQ(Names().size(), 2u);
}

TEST_F(LibraryTest, ADiffusersFolder) {
  Write("image/tiny/model_index.json",
        R"({"_class_name":"FluxPipeline","vae":["diffusers","AutoencoderKL"]})");
  WriteModel("image/tiny/vae/diffusion_pytorch_model.safetensors");
  WriteModel("image/tiny/vae/diffusion_pytorch_model.fp16.safetensors", "w", 4);
  Write("image/tiny/vae/config.json", "{}");
  Scan();
  ASSERT_THAT(Names(), ElementsAre("image/tiny"));
  const ModelSummary& tiny = Named("image/tiny");
  EXPECT_EQ(tiny.architecture, "flux.1");
  EXPECT_THAT(tiny.components, ElementsAre(Field(&ComponentSummary::name, "vae"),
                                           Field(&ComponentSummary::name, "vae.fp16")));
  EXPECT_EQ(tiny.FilePath(0), root_ + "/image/tiny/vae/diffusion_pytorch_model.safetensors");
  WriteModel("image/tiny/vae/diffusion_pytorch_model.safetensors", "w", 12);
  EXPECT_EQ(Scan().changed.size(), 1u);
}

TEST_F(LibraryTest, ARootThatIsAModelItself) {
  Write("config.json", "{}");
  WriteModel("model.safetensors");
  Scan();
  EXPECT_THAT(Names(), ElementsAre("models"));
}

TEST_F(LibraryTest, TheHubsCache) {
  const std::string repo = "models--org--name";
  const std::string content = TestSafetensors({{"w", 8}});
  const std::string sha256(64, 'b');
  WriteHubFile(repo, kCommit, "model.safetensors", sha256, content);
  WriteHubFile(repo, kCommit, "config.json", std::string(40, 'c'), R"({"model_type":"bert"})");
  WriteHubFile(repo, kCommit, "loras/style.safetensors", std::string(64, 'd'), content);
  Write(repo + "/refs/main", kCommit);
  fs::create_directories(root_ + "/" + repo + "/snapshots/" + kOldCommit);
  fs::create_symlink("../../blobs/" + sha256,
                     root_ + "/" + repo + "/snapshots/" + kOldCommit + "/model.safetensors");
  Write("models--other--copy/blobs/" + sha256, content);
  fs::create_directories(root_ + "/models--other--copy/snapshots/" + kCommit);
  fs::create_symlink("../../blobs/" + sha256,
                     root_ + "/models--other--copy/snapshots/" + kCommit + "/weights.safetensors");
  Scanned report = Scan();
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("org/name", "org/name/loras/style.safetensors",
                                   "org/name@aaaaaaaa/model.safetensors",
                                   "other/copy@01234567/weights.safetensors"));
  const ModelSummary& main = Named("org/name");
  EXPECT_EQ(main.architecture, "bert");
  EXPECT_EQ(main.files[0].claimed_hash, "sha256:" + sha256);
  // Another blob of that name only claims to be equal.
  EXPECT_NE(main.components[0].id,
            Named("other/copy@01234567/weights.safetensors").components[0].id);

  // Main moves on: the same model has another revision.
  const ModelId id = main.id;
  WriteHubFile(repo, std::string(40, 'e'), "model.safetensors", std::string(64, 'f'),
               TestSafetensors({{"w", 16}}));
  WriteHubFile(repo, std::string(40, 'e'), "config.json", std::string(40, '1'), "{}");
  Write(repo + "/refs/main", std::string(40, 'e'));
  Scan();
  EXPECT_EQ(Named("org/name").id, id);
  EXPECT_EQ(Named("org/name").files[0].claimed_hash, "sha256:" + std::string(64, 'f'));
  EXPECT_THAT(Names(), Contains("org/name@01234567"));
}

TEST_F(LibraryTest, HardLinksShareAComponent) {
  WriteModel("a.safetensors");
  fs::create_hard_link(root_ + "/a.safetensors", root_ + "/b.safetensors");
  fs::create_symlink("a.safetensors", root_ + "/c.safetensors");
  Scan();
  EXPECT_THAT(Names(), ElementsAre("a.safetensors", "b.safetensors", "c.safetensors"));
  const ComponentId id = Named("a.safetensors").components[0].id;
  EXPECT_EQ(Named("b.safetensors").components[0].id, id);
  EXPECT_EQ(Named("c.safetensors").components[0].id, id);
}

TEST_F(LibraryTest, ReinspectingOneModel) {
  WriteModel("a.safetensors");
  WriteModel("b.safetensors");
  Scan();
  const ModelSummary before = Named("a.safetensors");
  WriteModel("a.safetensors", "other", 100);
  const auto after = library_->Reinspect(before);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->id, before.id);
  EXPECT_EQ(after->name, before.name);
  EXPECT_NE(after->components[0].id, before.components[0].id);
  EXPECT_EQ(Scan().unchanged, 2u);

  fs::remove(root_ + "/a.safetensors");
  EXPECT_EQ(CodeOf(library_->Reinspect(*after).status()), ErrorCode::kFileNotFound);
  EXPECT_EQ(Recorded(), 1u);
}

TEST_F(LibraryTest, ReinspectingAHubModelFollowsMain) {
  const std::string repo = "models--org--name";
  WriteHubFile(repo, kCommit, "config.json", std::string(40, 'c'), "{}");
  WriteHubFile(repo, kCommit, "model.safetensors", std::string(64, 'b'),
               TestSafetensors({{"w", 8}}));
  Write(repo + "/refs/main", kCommit);
  Scan();
  WriteHubFile(repo, kOldCommit, "config.json", std::string(40, 'd'), "{}");
  WriteHubFile(repo, kOldCommit, "model.safetensors", std::string(64, 'e'),
               TestSafetensors({{"w", 9}}));
  Write(repo + "/refs/main", kOldCommit);
  const auto after = library_->Reinspect(Named("org/name"));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_THAT(after->folder, HasSubstr(kOldCommit));
}

TEST_F(LibraryTest, AManifestThatTheCatalogLostIsReadAgain) {
  WriteModel("a.safetensors");
  Scan();
  const ModelSummary model = Named("a.safetensors");
  ASSERT_TRUE(catalog_->Apply({.models = {}, .removed = {model.id}, .inspections = {}}).ok());
  ASSERT_TRUE(catalog_->PruneInspections(INT64_MAX).ok());
  EXPECT_TRUE(library_->ManifestOf(model).ok());
  ASSERT_TRUE(catalog_->PruneInspections(INT64_MAX).ok());
  WriteModel("a.safetensors", "other", 100);
  EXPECT_EQ(CodeOf(library_->ManifestOf(model).status()), ErrorCode::kFileChanged);
}

}  // namespace
}  // namespace warmset
