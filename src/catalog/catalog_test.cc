#include "catalog/catalog.h"

#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "catalog/open_database.h"
#include "catalog/sqlite.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

template <typename D>
D Id(std::string_view text) {
  return DigestOf<D>(AsBytes(text));
}

ModelRow Row(const std::string& name) {
  return {.id = Id<ModelId>(name),
          .name = name,
          .root = "/models",
          .path = "/models/" + name,
          .revision = Id<RevisionId>("revision of " + name),
          .summary = std::string("binary\0summary", 14)};
}

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "catalog_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/catalog.db";
    Reopen();
  }
  void TearDown() override {
    catalog_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Reopen() {
    catalog_.reset();
    auto opened = Catalog::Open(path_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    catalog_ = *std::move(opened);
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto models = Models();
    EXPECT_TRUE(models.ok()) << models.status();
    for (const ModelRow& model : *models) names.push_back(model.name);
    return names;
  }
  // By name.
  StatusOr<std::vector<ModelRow>> Models() {
    std::vector<ModelRow> models;
    RETURN_IF_ERROR(
        catalog_->ForEachModel([&](const ModelRow& model) { models.push_back(model); }));
    std::sort(models.begin(), models.end(),
              [](const ModelRow& a, const ModelRow& b) { return a.name < b.name; });
    return models;
  }
  size_t DamagedFiles() {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      count += entry.path().string().find(".damaged-") != std::string::npos;
    }
    return count;
  }

  void OpenOrInMemory() {
    catalog_.reset();
    auto opened = Catalog::OpenOrInMemory(path_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    catalog_ = *std::move(opened);
  }
  // Runs statements on the file while no catalog has it open.
  void ChangeFile(const char* sql) {
    catalog_.reset();
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &connection), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(connection, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(connection);
  }
  static std::string Content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  std::string path_;
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, ModelsSurviveAReopen) {
  ASSERT_TRUE(
      catalog_->Apply({.models = {Row("b"), Row("a")}, .removed = {}, .inspections = {}}).ok());
  Reopen();
  const auto models = Models();
  ASSERT_TRUE(models.ok());
  ASSERT_THAT(Names(), ElementsAre("a", "b"));
  const ModelRow expected = Row("a");
  EXPECT_EQ(models->front().id, expected.id);
  EXPECT_EQ(models->front().root, expected.root);
  EXPECT_EQ(models->front().path, expected.path);
  EXPECT_EQ(models->front().revision, expected.revision);
  EXPECT_EQ(models->front().summary, expected.summary);
  EXPECT_EQ(catalog_->TakeNotice(), "");
}

TEST_F(CatalogTest, ChangesReplaceAndRemove) {
  ModelRow a = Row("a");
  ASSERT_TRUE(catalog_->Apply({.models = {a, Row("b")}, .removed = {}, .inspections = {}}).ok());
  a.name = "renamed";
  ASSERT_TRUE(catalog_->Apply({.models = {a}, .removed = {Row("b").id}, .inspections = {}}).ok());
  EXPECT_THAT(Names(), ElementsAre("renamed"));
}

TEST_F(CatalogTest, InspectionsAreFoundByRevision) {
  const auto good = Id<RevisionId>("good");
  const auto bad = Id<RevisionId>("bad");
  ASSERT_TRUE(catalog_
                  ->Apply({.models = {},
                           .removed = {},
                           .inspections = {{good, "manifest", OkStatus()},
                                           {bad, "", Error(ErrorCode::kCorruptedModel, "torn")}}})
                  .ok());
  EXPECT_EQ((*catalog_->FindInspection(good))->manifest, "manifest");
  const auto failure = (*catalog_->FindInspection(bad))->failure;
  EXPECT_EQ(CodeOf(failure), ErrorCode::kCorruptedModel);
  EXPECT_EQ(Message(failure), "torn");
  EXPECT_FALSE(catalog_->FindInspection(Id<RevisionId>("other"))->has_value());
}

TEST_F(CatalogTest, PruningKeepsWhatModelsHave) {
  const ModelRow model = Row("a");
  const auto old = Id<RevisionId>("old");
  ASSERT_TRUE(
      catalog_
          ->Apply({.models = {model},
                   .removed = {},
                   .inspections = {{model.revision, "m", OkStatus()}, {old, "o", OkStatus()}}})
          .ok());
  ASSERT_TRUE(catalog_->PruneInspections(0).ok());
  EXPECT_TRUE(catalog_->FindInspection(old)->has_value());
  ASSERT_TRUE(catalog_->PruneInspections(INT64_MAX).ok());
  EXPECT_FALSE(catalog_->FindInspection(old)->has_value());
  EXPECT_TRUE(catalog_->FindInspection(model.revision)->has_value());
}

TEST_F(CatalogTest, DigestsSurviveAReopen) {
  const auto component = Id<ComponentId>("c");
  const DigestRow digests{.chunks = {Id<ChunkDigest>("1"), Id<ChunkDigest>("2")},
                          .content = Id<ContentDigest>("all")};
  EXPECT_FALSE(catalog_->FindDigests(component)->has_value());
  ASSERT_TRUE(catalog_->PutDigests(component, digests).ok());
  Reopen();
  const auto found = catalog_->FindDigests(component);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->chunks, digests.chunks);
  EXPECT_EQ((*found)->content, digests.content);
}

TEST_F(CatalogTest, UsesAreCounted) {
  const auto model = Id<ModelId>("m");
  const auto component = Id<ComponentId>("m");  // the same bytes as the model's
  ASSERT_TRUE(catalog_->RecordModelUses({{model, {1, 1000}}}).ok());
  ASSERT_TRUE(catalog_->RecordModelUses({{model, {2, 3000}}}).ok());
  ASSERT_TRUE(catalog_->RecordLoad(component, 1.5).ok());
  Reopen();
  const auto models = catalog_->ModelUsage();
  EXPECT_EQ(models->at(model).uses, 3u);
  EXPECT_EQ(models->at(model).last_used_unix_ms, 3000);
  const auto components = catalog_->ComponentUsage();
  EXPECT_EQ(components->at(component).load_seconds, 1.5);
}

TEST_F(CatalogTest, HistorySurvivesAReopenAndRowsReplaceEachOther) {
  const auto component = Id<ComponentId>("c");
  const auto base = Id<ModelId>("base");
  const auto lora = Id<ModelId>("lora");
  const auto vae = Id<ModelId>("vae");
  HistoryRows first{
      .components = {{component, 7, 1, 1, {0.1, 0.2, 0.3}, 0, false}},
      .companions = {{"1000/a", base, 3, {{lora, 2}, {vae, 1}}}, {"", base, 4, {{lora, 2}}}},
      .calibration = {{10, 1}, {8, 4}}};
  ASSERT_TRUE(catalog_->RecordHistory(first).ok());
  ASSERT_TRUE(catalog_
                  ->RecordHistory({.components = {{component, 7, 2, 5, {1, 2, 3}, 4, true}},
                                   .companions = {{"1000/a", base, 5, {{vae, 5}}}},
                                   .calibration = {{20, 3}, {8, 4}}})
                  .ok());
  Reopen();
  const auto history = catalog_->History();
  ASSERT_TRUE(history.ok()) << history.status();
  ASSERT_EQ(history->components.size(), 1u);
  EXPECT_EQ(history->components[0].last_request, 5u);
  EXPECT_EQ(history->components[0].rates, (std::array<double, 3>{1, 2, 3}));
  EXPECT_EQ(history->components[0].interval, 4);
  EXPECT_TRUE(history->components[0].unwanted);
  ASSERT_EQ(history->companions.size(), 2u);
  EXPECT_EQ(history->companions[0].user, "");
  EXPECT_EQ(history->companions[0].uses, 4);
  EXPECT_EQ(history->companions[1].uses, 5);
  EXPECT_EQ(history->companions[1].together, (std::unordered_map<ModelId, double>{{vae, 5}}));
  EXPECT_EQ(history->calibration, (std::vector<CalibrationRow>{{20, 3}, {8, 4}}));

  ASSERT_TRUE(catalog_->RecordHistory({.companions = {{"1000/a", base, 0, {}}}}).ok());
  EXPECT_EQ(catalog_->History()->companions.size(), 1u);  // the other is forgotten
  ASSERT_TRUE(catalog_->RecordHistory({.forgotten = {component}}).ok());
  EXPECT_TRUE(catalog_->History()->components.empty());
}

TEST_F(CatalogTest, OpenPathsAreKnownUntilTheyAreForgotten) {
  const OpenPathRow sharded{Id<ModelId>("sharded"),
                            {{.component = Id<ComponentId>("one"), .device = 3, .inode = 7, .size = 9},
                             {.component = Id<ComponentId>("two"), .device = 3, .size = 1}}};
  ASSERT_TRUE(catalog_->SetOpenPath(sharded).ok());
  auto rows = catalog_->OpenPaths();
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().model, sharded.model);
  EXPECT_THAT(rows->front().files, testing::UnorderedElementsAreArray(sharded.files));
  ASSERT_TRUE(catalog_->SetOpenPath({sharded.model, {sharded.files[0]}}).ok());
  EXPECT_EQ(catalog_->OpenPaths()->front().files.size(), 1u);
  ASSERT_TRUE(catalog_->SetOpenPath({sharded.model, {}}).ok());
  EXPECT_TRUE(catalog_->OpenPaths()->empty());
}

TEST_F(CatalogTest, DesiredModelsComeByLastUse) {
  const DesiredModel old{Id<ModelId>("old"), {"unet", "vae"}, {}};
  const DesiredModel recent{Id<ModelId>("recent"), {"model"}, {{"model", "host:0", "dedicated"}}};
  ASSERT_TRUE(catalog_->SetDesired(old).ok());
  ASSERT_TRUE(catalog_->SetDesired(recent).ok());
  ASSERT_TRUE(catalog_->RecordModelUses({{old.model, {1, 1}}, {recent.model, {1, 2}}}).ok());
  Reopen();
  const auto desired = catalog_->Desired();
  ASSERT_TRUE(desired.ok()) << desired.status();
  ASSERT_EQ(desired->size(), 2u);
  EXPECT_EQ(desired->at(0).model, recent.model);
  EXPECT_EQ(desired->at(0).cached, recent.cached);
  EXPECT_EQ(desired->at(0).placements, recent.placements);
  EXPECT_EQ(desired->at(1).cached, old.cached);

  ASSERT_TRUE(catalog_->SetDesired({recent.model, {}, {}}).ok());
  EXPECT_EQ(catalog_->Desired()->size(), 1u);
}

TEST_F(CatalogTest, CacheSettingsStayUntilTheyAreDefault) {
  const auto model = Id<ModelId>("model");
  const CacheSettings settings{
      .strategy = "memory", .priority = "high", .pinned = true, .keep_seconds = 1800};
  ASSERT_TRUE(catalog_->SetCacheSettings(model, {.strategy = "speed"}).ok());
  ASSERT_TRUE(catalog_->SetCacheSettings(model, settings).ok());
  EXPECT_THAT(*catalog_->AllCacheSettings(), ElementsAre(testing::Pair(model, settings)));
  ASSERT_TRUE(catalog_->SetCacheSettings(model, {}).ok());
  EXPECT_THAT(*catalog_->AllCacheSettings(), IsEmpty());
}

TEST_F(CatalogTest, AnOverrideStaysUntilItIsCleared) {
  const auto model = Id<ModelId>("model");
  const ModelOverride lora{.kind = "lora", .architecture = "sdxl"};
  ASSERT_TRUE(catalog_->SetOverride(model, {.kind = "vae", .architecture = ""}).ok());
  ASSERT_TRUE(catalog_->SetOverride(model, lora).ok());
  // A model that goes may come back.
  ASSERT_TRUE(catalog_->Apply({.models = {}, .removed = {model}, .inspections = {}}).ok());
  Reopen();
  EXPECT_THAT(*catalog_->Overrides(), ElementsAre(testing::Pair(model, lora)));
  ASSERT_TRUE(catalog_->SetOverride(model, {}).ok());
  EXPECT_THAT(*catalog_->Overrides(), IsEmpty());
}

// A catalog as schema version 1 left it: everything in it stays.
TEST_F(CatalogTest, AnOlderCatalogIsMigrated) {
  ASSERT_TRUE(catalog_->Apply({.models = {Row("kept")}, .removed = {}, .inspections = {}}).ok());
  ChangeFile(
      "DROP TABLE overrides; DROP TABLE cache_settings; DROP TABLE use_history; "
      "DROP TABLE companions; DROP TABLE use_calibration; DROP TABLE open_paths; "
      "DROP TABLE claims; ALTER TABLE digests DROP COLUMN made_unix_ms; "
      "PRAGMA user_version = 1");
  Reopen();
  EXPECT_THAT(Names(), ElementsAre("kept"));
  EXPECT_TRUE(
      catalog_->SetOverride(Id<ModelId>("model"), {.kind = "lora", .architecture = ""}).ok());
}

TEST_F(CatalogTest, TermsOnlyGrow) {
  uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) {
      const uint64_t term = catalog_->NextDaemonTerm();
      EXPECT_GT(term, last);
      last = term;
    }
    Reopen();
  }
}

TEST_F(CatalogTest, AFileThatIsNoDatabaseIsMovedAside) {
  catalog_.reset();
  std::filesystem::remove(path_ + "-wal");
  std::ofstream(path_) << "this is not a database, whatever its name says";
  Reopen();
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_THAT(catalog_->TakeNotice(), HasSubstr("kept as"));
  EXPECT_EQ(catalog_->TakeNotice(), "");
  EXPECT_EQ(DamagedFiles(), 1u);
}

TEST_F(CatalogTest, DamageThatShowsLaterStartsANewCatalog) {
  std::vector<ModelRow> rows;
  for (int i = 0; i < 500; ++i) rows.push_back(Row("model-" + std::to_string(i)));
  ASSERT_TRUE(catalog_->Apply({.models = rows, .removed = {}, .inspections = {}}).ok());
  catalog_.reset();  // checkpoints
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path_));
    const std::string garbage(4096, '\x5a');
    for (std::streamoff at = 40'960; at + 4096 <= size; at += 4096) {
      file.seekp(at).write(garbage.data(), 4096);
    }
  }
  Reopen();  // the schema's page is whole
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_THAT(catalog_->TakeNotice(), HasSubstr("damaged"));
  EXPECT_GE(DamagedFiles(), 1u);
  EXPECT_TRUE(catalog_->Apply({.models = {Row("a")}, .removed = {}, .inspections = {}}).ok());
  Reopen();
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(CatalogTest, ANewerSchemaIsLeftAlone) {
  ChangeFile("PRAGMA user_version = 999");
  EXPECT_EQ(CodeOf(Catalog::Open(path_).status()), ErrorCode::kVersionMismatch);
  EXPECT_EQ(DamagedFiles(), 0u);

  const std::string before = Content(path_);
  OpenOrInMemory();
  EXPECT_THAT(catalog_->TakeNotice(), AllOf(HasSubstr("schema version 999"), HasSubstr(path_)));
  ASSERT_TRUE(catalog_->Apply({.models = {Row("a")}, .removed = {}, .inspections = {}}).ok());
  EXPECT_THAT(Names(), ElementsAre("a"));
  catalog_.reset();
  EXPECT_EQ(Content(path_), before);
}

TEST_F(CatalogTest, TablesOfAnotherShapeStartANewCatalog) {
  for (const char* const change : {"DROP TABLE usage; DROP TABLE digests",  // not there
                                   "PRAGMA user_version = 1"}) {            // there already
    SCOPED_TRACE(change);
    ChangeFile(change);
    Reopen();
    EXPECT_TRUE(catalog_->ModelUsage().ok());
    EXPECT_TRUE(catalog_->FindDigests(Id<ComponentId>("c")).ok());
    EXPECT_THAT(catalog_->TakeNotice(), HasSubstr("damaged"));
  }
}

TEST_F(CatalogTest, AManifestThatIsNotWhatWasWrittenIsReadAgain) {
  const auto revision = Id<RevisionId>("r");
  ASSERT_TRUE(
      catalog_
          ->Apply(
              {.models = {}, .removed = {}, .inspections = {{revision, "manifest", OkStatus()}}})
          .ok());
  ChangeFile("UPDATE inspections SET manifest = randomblob(300)");
  Reopen();
  const auto found = catalog_->FindInspection(revision);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->has_value());
}

TEST_F(CatalogTest, WithoutAFileItIsInMemory) {
  const std::string kept = path_;
  path_ = folder_ + "/none/catalog.db";
  OpenOrInMemory();
  EXPECT_THAT(catalog_->TakeNotice(), AllOf(HasSubstr(folder_ + "/none"), HasSubstr("forgotten")));
  ASSERT_TRUE(catalog_->Apply({.models = {Row("a")}, .removed = {}, .inspections = {}}).ok());
  EXPECT_THAT(Names(), ElementsAre("a"));
  EXPECT_GT(catalog_->NextDaemonTerm(), 0u);
  catalog_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(CatalogTest, RowsOfAFileThatCannotBeWrittenAreReadAllTheSame) {
  ASSERT_TRUE(catalog_->Apply({.models = {Row("a")}, .removed = {}, .inspections = {}}).ok());
  catalog_.reset();
  const auto copied = OpenInMemory(path_, Error(ErrorCode::kIoError, "its disk is full"));
  ASSERT_TRUE(copied.ok()) << copied.status();
  EXPECT_THAT(copied->notice, HasSubstr("its disk is full"));
  Statement query = copied->database->Prepare("SELECT name FROM models");
  ASSERT_TRUE(*query.Step());
  EXPECT_EQ(query.Text(0), "a");
}

TEST_F(CatalogTest, ItsHealthIsSeenWithoutChangingIt) {
  EXPECT_EQ(CheckCatalog(folder_ + "/none").health, CatalogHealth::kAbsent);
  EXPECT_EQ(CheckCatalog(path_).health, CatalogHealth::kGood);  // while it is open
  ChangeFile("PRAGMA user_version = 999");
  EXPECT_EQ(CheckCatalog(path_).health, CatalogHealth::kNewer);
  ChangeFile("PRAGMA user_version = 4");
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096).write(std::string(2000, '\x5a').data(), 2000);
  }
  const std::string before = Content(path_);
  const CatalogCheck damaged = CheckCatalog(path_);
  EXPECT_EQ(damaged.health, CatalogHealth::kDamaged);
  EXPECT_NE(damaged.reason, "");
  EXPECT_EQ(Content(path_), before);
}

TEST_F(CatalogTest, AnEndWithoutItsMarkIsUnclean) {
  constexpr int64_t kMinute = 60'000;
  int64_t now = 1'000'000'000;
  const auto begin = [&] {
    Reopen();
    const auto end = catalog_->BeginLife(now);
    EXPECT_TRUE(end.ok()) << end.status();
    return *end;
  };
  EXPECT_EQ(begin(), EarlierEnd::kClean);  // the first of all
  now += kMinute;
  EXPECT_EQ(begin(), EarlierEnd::kUnclean);
  now += 11 * kMinute;
  EXPECT_EQ(begin(), EarlierEnd::kUnclean) << "it had lived for long enough";
  now += 9 * kMinute;
  EXPECT_EQ(begin(), EarlierEnd::kUncleanAgain);
  now += kMinute;
  EXPECT_EQ(begin(), EarlierEnd::kUncleanAgain);
  ASSERT_TRUE(catalog_->EndLife().ok());
  EXPECT_EQ(begin(), EarlierEnd::kClean);
  EXPECT_EQ(begin(), EarlierEnd::kUnclean);
}

TEST_F(CatalogTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_EQ(CodeOf(Catalog::Open(folder_ + "/none/catalog.db").status()), ErrorCode::kIoError);
}

// A limit on file sizes stands for a full disk: both fail the write.
TEST_F(CatalogTest, AFullDiskLosesNothingThatWasThere) {
  ASSERT_TRUE(catalog_->Apply({.models = {Row("a")}, .removed = {}, .inspections = {}}).ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 256 * 1024;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);

  ModelRow big = Row("b");
  big.summary.assign(1 << 20, 'x');
  const Status status = catalog_->Apply({.models = {big},
                                         .removed = {Row("a").id},
                                         .inspections = {{big.revision, "manifest", OkStatus()}}});

  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(CodeOf(status), ErrorCode::kIoError);
  EXPECT_THAT(Message(catalog_->WriteFailure()), HasSubstr(path_));
  EXPECT_EQ((*catalog_->FindInspection(big.revision))->manifest, "manifest");
  EXPECT_THAT(Names(), ElementsAre("a"));
  EXPECT_TRUE(catalog_->TryWrite().ok());
  EXPECT_TRUE(catalog_->WriteFailure().ok());
  EXPECT_TRUE(catalog_->Apply({.models = {big}, .removed = {}, .inspections = {}}).ok());
  Reopen();
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(CatalogTest, AFileHasOneClaimRow) {
  ClaimRow row{.device = ~uint64_t{0},
               .inode = 2,
               .size = 3,
               .mtime_ns = -4,
               .ctime_ns = 5,
               .claim = "sha256:aa",
               .found = "sha256:bb",
               .checked_unix_ms = 6};
  ASSERT_TRUE(catalog_->PutClaim(row).ok());
  row.mtime_ns = 7;
  row.found = row.claim;
  ASSERT_TRUE(catalog_->PutClaim(row).ok());
  Reopen();
  EXPECT_THAT(*catalog_->Claims(), ElementsAre(row));
}

TEST_F(CatalogTest, WhatNoModelHasIsForgottenWhenItIsOld) {
  const auto known = Id<ComponentId>("known");
  const auto gone = Id<ComponentId>("gone");
  for (const ComponentId& component : {known, gone}) {
    ASSERT_TRUE(catalog_->PutDigests(component, {{}, Id<ContentDigest>("content")}).ok());
    ASSERT_TRUE(catalog_->RecordLoad(component, 1).ok());
  }
  const ClaimRow kept{.device = 1, .inode = 1, .claim = "a", .found = "a", .checked_unix_ms = 9};
  const ClaimRow lost{.device = 1, .inode = 2, .claim = "b", .found = "b", .checked_unix_ms = 9};
  ASSERT_TRUE(catalog_->PutClaim(kept).ok());
  ASSERT_TRUE(catalog_->PutClaim(lost).ok());
  const Catalog::Known all{.components = {known}, .files = {{1, 1}}};
  ASSERT_TRUE(catalog_->Prune(all, 1).ok());
  EXPECT_TRUE(catalog_->FindDigests(gone)->has_value());
  EXPECT_EQ(catalog_->Claims()->size(), 2u);

  ASSERT_TRUE(catalog_->Prune(all, std::numeric_limits<int64_t>::max()).ok());
  EXPECT_FALSE(catalog_->FindDigests(gone)->has_value());
  EXPECT_TRUE(catalog_->FindDigests(known)->has_value());
  EXPECT_EQ(catalog_->ComponentUsage()->size(), 1u);
  EXPECT_THAT(*catalog_->Claims(), ElementsAre(kept));

  ASSERT_TRUE(catalog_->ForgetComponents(std::vector{known}).ok());
  EXPECT_FALSE(catalog_->FindDigests(known)->has_value());
  EXPECT_TRUE(catalog_->ComponentUsage()->empty());
}

TEST_F(CatalogTest, ManyThreadsMayUseIt) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 25; ++i) {
        const ModelRow row = Row(fmt::format("{}-{}", t, i));
        EXPECT_TRUE(catalog_->Apply({.models = {row}, .removed = {}, .inspections = {}}).ok());
        EXPECT_TRUE(catalog_->RecordModelUses({{row.id, {1, i}}}).ok());
        EXPECT_TRUE(Models().ok());
      }
    });
  }
  threads.clear();
  EXPECT_EQ(Names().size(), 100u);
}

}  // namespace
}  // namespace warmset
