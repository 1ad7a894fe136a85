#include "catalog/catalog.h"

#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "catalog/compress.h"
#include "catalog/schema.h"
#include "catalog/sqlite.h"
#include "fmt/format.h"

namespace warmset {
namespace {

int64_t UnixMilliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Status Migrate(Database& database) {
  const auto migrations = CatalogMigrations();
  int64_t version = 0;
  {
    Statement query = database.Prepare("PRAGMA user_version");
    ASSIGN_OR_RETURN([[maybe_unused]] const bool row, query.Step());
    version = query.Integer(0);
  }
  const auto newest = static_cast<int64_t>(migrations.size());
  if (version < 0 || version > newest) {
    return Error(ErrorCode::kVersionMismatch,
                 fmt::format("the catalog has schema version {}, this program knows {}; use the "
                             "newer Warmset that made it, or another home folder",
                             version, newest));
  }
  for (; version < newest; ++version) {
    const Status status = database.Transaction([&]() -> Status {
      RETURN_IF_ERROR(database.Execute(migrations[static_cast<size_t>(version)]));
      return database.Execute(fmt::format("PRAGMA user_version = {}", version + 1).c_str());
    });
    RETURN_IF_ERROR(status);
  }
  return OkStatus();
}

// An open, up-to-date database; `damaged` tells why it failed.
StatusOr<std::unique_ptr<Database>> OpenDatabase(const std::string& path, bool& damaged) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  const Status status = [&]() -> Status {
    RETURN_IF_ERROR(database->Execute("PRAGMA journal_mode = WAL"));
    // A commit is safe from a crash of the process; one of the machine may
    // undo the last ones, but leaves no damage.
    RETURN_IF_ERROR(database->Execute("PRAGMA synchronous = NORMAL"));
    return Migrate(*database);
  }();
  damaged = database->damaged();
  if (!status.ok()) return status;
  return database;
}

// Renames the database and its journal out of the way; returns the new name.
StatusOr<std::string> MoveAside(const std::string& path) {
  std::string aside = fmt::format("{}.damaged-{}", path, UnixMilliseconds());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code error;
    std::filesystem::rename(path + suffix, aside + suffix, error);
    const bool missing = error == std::errc::no_such_file_or_directory && *suffix != '\0';
    if (error && !missing) return ErrnoError(error.value(), "move aside " + path + suffix);
  }
  return aside;
}

std::string NoticeOfDamage(const std::string& aside, std::string_view reason) {
  return fmt::format(
      "the catalog was damaged ({}); it is kept as {} and a new one has begun: models are found "
      "again by a scan, records of use and of what was cached are lost",
      reason, aside);
}

std::span<const std::byte> BytesOf(const std::vector<ChunkDigest>& chunks) {
  static_assert(sizeof(ChunkDigest) == 16);
  return std::as_bytes(std::span(chunks));
}

Status PutUses(Database& database, const ModelId& model, uint64_t uses, int64_t unix_ms) {
  return database
      .Prepare(
          "INSERT INTO usage VALUES (?, ?, ?, ?, 0) ON CONFLICT (kind, id) DO UPDATE SET "
          "last_used_unix_ms = max(last_used_unix_ms, excluded.last_used_unix_ms), "
          "uses = uses + excluded.uses")
      .Bind(kUsageOfModels)
      .Bind(model.bytes)
      .Bind(unix_ms)
      .Bind(static_cast<int64_t>(uses))
      .Run();
}

template <typename Id>
StatusOr<std::unordered_map<Id, Usage>> ReadUsage(Database& database, int64_t kind) {
  std::unordered_map<Id, Usage> usage;
  Statement query = database.Prepare(
      "SELECT id, last_used_unix_ms, uses, load_seconds FROM usage WHERE kind = ?");
  query.Bind(kind);
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return usage;
    usage[ReadDigest<Id>(query, 0)] = {.last_used_unix_ms = query.Integer(1),
                                       .uses = static_cast<uint64_t>(query.Integer(2)),
                                       .load_seconds = query.Real(3)};
  }
}

}  // namespace

Catalog::Catalog(std::string path, std::unique_ptr<Database> database, std::string notice)
    : path_(std::move(path)), database_(std::move(database)), notice_(std::move(notice)) {}
Catalog::~Catalog() = default;

StatusOr<std::unique_ptr<Catalog>> Catalog::Open(const std::string& path) {
  bool damaged = false;
  std::string notice;
  auto database = OpenDatabase(path, damaged);
  if (!database.ok() && damaged) {
    ASSIGN_OR_RETURN(const std::string aside, MoveAside(path));
    notice = NoticeOfDamage(aside, Message(database.status()));
    database = OpenDatabase(path, damaged);
  }
  if (!database.ok()) return Annotate(database.status(), "open " + path);
  return std::unique_ptr<Catalog>(new Catalog(path, *std::move(database), std::move(notice)));
}

// REQUIRES: no Statement is left, for the database may go.
Status Catalog::Checked(Status status) {
  if (status.ok() || !database_->damaged()) return status;
  database_.reset();
  const auto aside = MoveAside(path_);
  bool damaged = false;
  auto fresh = aside.ok() ? OpenDatabase(path_, damaged) : aside.status();
  if (fresh.ok()) {
    notice_ = NoticeOfDamage(*aside, Message(status));
  } else {
    notice_ = fmt::format(
        "the catalog {} is damaged and can't be replaced ({}): nothing is "
        "remembered beyond this run",
        path_, Message(fresh.status()));
    fresh = OpenDatabase(":memory:", damaged);
    if (!fresh.ok()) return fresh.status();
  }
  database_ = *std::move(fresh);
  return status;
}

std::string Catalog::TakeNotice() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(notice_, {});
}

StatusOr<std::vector<ModelRow>> Catalog::Models() {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  std::vector<ModelRow> models;
  const Status status = [&]() -> Status {
    Statement query = database.Prepare(
        "SELECT id, name, root, path, revision, summary FROM models ORDER BY name");
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) return OkStatus();
      models.push_back({.id = ReadDigest<ModelId>(query, 0),
                        .name = query.Text(1),
                        .root = query.Text(2),
                        .path = query.Text(3),
                        .revision = ReadDigest<RevisionId>(query, 4),
                        .summary = query.Text(5)});
    }
  }();
  RETURN_IF_ERROR(Checked(status));
  return models;
}

Status Catalog::Apply(const CatalogChanges& changes) {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  return Checked(database.Transaction([&]() -> Status {
    for (const ModelId& id : changes.removed) {
      RETURN_IF_ERROR(database.Prepare("DELETE FROM models WHERE id = ?").Bind(id.bytes).Run());
    }
    for (const ModelRow& model : changes.models) {
      RETURN_IF_ERROR(database.Prepare("INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?, ?)")
                          .Bind(model.id.bytes)
                          .Bind(model.name)
                          .Bind(model.root)
                          .Bind(model.path)
                          .Bind(model.revision.bytes)
                          .Bind(AsBytes(model.summary))
                          .Run());
    }
    const int64_t now = UnixMilliseconds();
    for (const InspectionRow& row : changes.inspections) {
      const std::string manifest = Compress(row.manifest);
      const std::string_view code = row.failure.ok() ? "" : ErrorCodeName(CodeOf(row.failure));
      RETURN_IF_ERROR(database.Prepare("INSERT OR REPLACE INTO inspections VALUES (?, ?, ?, ?, ?)")
                          .Bind(row.revision.bytes)
                          .Bind(AsBytes(manifest))
                          .Bind(code)
                          .Bind(Message(row.failure))
                          .Bind(now)
                          .Run());
    }
    return OkStatus();
  }));
}

StatusOr<std::optional<InspectionRow>> Catalog::FindInspection(const RevisionId& revision) {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  std::optional<InspectionRow> found;
  const Status status = [&]() -> Status {
    Statement query = database.Prepare(
        "SELECT manifest, error_code, error_message FROM inspections WHERE revision = ?");
    query.Bind(revision.bytes);
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return OkStatus();
    found.emplace();
    found->revision = revision;
    ASSIGN_OR_RETURN(found->manifest, Decompress(query.Blob(0)));
    const std::string code = query.Text(1);
    if (!code.empty()) found->failure = Error(ErrorCodeFromName(code), query.Text(2));
    return OkStatus();
  }();
  RETURN_IF_ERROR(Checked(status));
  return found;
}

Status Catalog::PruneInspections(int64_t older_than_unix_ms) {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  const Status status =
      database
          .Prepare(
              "DELETE FROM inspections WHERE made_unix_ms < ? AND NOT EXISTS "
              "(SELECT 1 FROM models WHERE models.revision = inspections.revision)")
          .Bind(older_than_unix_ms)
          .Run();
  return Checked(status);
}

StatusOr<std::optional<DigestRow>> Catalog::FindDigests(const ComponentId& component) {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  std::optional<DigestRow> found;
  const Status status = [&]() -> Status {
    Statement query = database.Prepare("SELECT content, chunks FROM digests WHERE component = ?");
    query.Bind(component.bytes);
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return OkStatus();
    DigestRow digests{.chunks = {}, .content = ReadDigest<ContentDigest>(query, 0)};
    const auto chunks = query.Blob(1);
    for (size_t at = 0; at + sizeof(ChunkDigest) <= chunks.size(); at += sizeof(ChunkDigest)) {
      ASSIGN_OR_RETURN(const auto digest,
                       ChunkDigest::FromBytes(chunks.subspan(at, sizeof(ChunkDigest))));
      digests.chunks.push_back(digest);
    }
    found = std::move(digests);
    return OkStatus();
  }();
  RETURN_IF_ERROR(Checked(status));
  return found;
}

Status Catalog::PutDigests(const ComponentId& component, const DigestRow& digests) {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  const Status status = database.Prepare("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)")
                            .Bind(component.bytes)
                            .Bind(digests.content.bytes)
                            .Bind(BytesOf(digests.chunks))
                            .Bind(UnixMilliseconds())
                            .Run();
  return Checked(status);
}

Status Catalog::RecordModelUses(const std::unordered_map<ModelId, uint64_t>& uses,
                                int64_t unix_ms) {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  return Checked(database.Transaction([&]() -> Status {
    for (const auto& [model, count] : uses) {
      RETURN_IF_ERROR(PutUses(database, model, count, unix_ms));
    }
    return OkStatus();
  }));
}

Status Catalog::RecordLoad(const ComponentId& component, double seconds) {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  const Status status = database
                            .Prepare(
                                "INSERT INTO usage VALUES (?, ?, 0, 0, ?) ON CONFLICT (kind, id) "
                                "DO UPDATE SET load_seconds = excluded.load_seconds")
                            .Bind(kUsageOfComponents)
                            .Bind(component.bytes)
                            .Bind(seconds)
                            .Run();
  return Checked(status);
}

StatusOr<std::unordered_map<ModelId, Usage>> Catalog::ModelUsage() {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  auto usage = ReadUsage<ModelId>(database, kUsageOfModels);
  RETURN_IF_ERROR(Checked(usage.status()));
  return usage;
}

StatusOr<std::unordered_map<ComponentId, Usage>> Catalog::ComponentUsage() {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  auto usage = ReadUsage<ComponentId>(database, kUsageOfComponents);
  RETURN_IF_ERROR(Checked(usage.status()));
  return usage;
}

StatusOr<uint64_t> Catalog::NextDaemonTerm() {
  absl::MutexLock lock(&mutex_);
  Database& database = *database_;
  uint64_t term = 0;
  const Status status = [&]() -> Status {
    // The clock's time as a floor keeps the order when the catalog was lost.
    Statement query = database.Prepare(
        "INSERT INTO meta VALUES ('daemon_term', ?) ON CONFLICT (key) "
        "DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value");
    query.Bind(UnixMilliseconds());
    ASSIGN_OR_RETURN([[maybe_unused]] const bool row, query.Step());
    term = static_cast<uint64_t>(query.Integer(0));
    // RETURNING gives the row before the statement is done.
    return query.Step().status();
  }();
  RETURN_IF_ERROR(Checked(status));
  return term;
}

}  // namespace warmset
