#include "catalog/catalog.h"

#include <utility>

#include "base/clock.h"
#include "catalog/compress.h"
#include "catalog/open_database.h"
#include "catalog/schema.h"
#include "catalog/sqlite.h"

namespace warmset {
namespace {

std::span<const std::byte> BytesOf(const std::vector<ChunkDigest>& chunks) {
  static_assert(sizeof(ChunkDigest) == 16);
  return std::as_bytes(std::span(chunks));
}

Status PutUses(Database& database, const ModelId& model, const NewUses& uses) {
  return database
      .Prepare(
          "INSERT INTO usage VALUES (?, ?, ?, ?, 0) ON CONFLICT (kind, id) DO UPDATE SET "
          "last_used_unix_ms = max(last_used_unix_ms, excluded.last_used_unix_ms), "
          "uses = uses + excluded.uses")
      .Bind(kUsageOfModels)
      .Bind(model.bytes)
      .Bind(uses.last_unix_ms)
      .Bind(static_cast<int64_t>(uses.count))
      .Run();
}

template <typename Id>
Status ReadUsage(Database& database, int64_t kind, std::unordered_map<Id, Usage>& usage) {
  usage.clear();
  Statement query = database.Prepare(
      "SELECT id, last_used_unix_ms, uses, load_seconds FROM usage WHERE kind = ?");
  query.Bind(kind);
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return OkStatus();
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
  ASSIGN_OR_RETURN(OpenedDatabase opened, OpenDatabase(path));
  return std::unique_ptr<Catalog>(
      new Catalog(path, std::move(opened.database), std::move(opened.notice)));
}

StatusOr<std::unique_ptr<Catalog>> Catalog::OpenOrInMemory(const std::string& path) {
  auto opened = Open(path);
  if (opened.ok()) return opened;
  ASSIGN_OR_RETURN(OpenedDatabase memory, OpenInMemory(path, opened.status()));
  return std::unique_ptr<Catalog>(
      new Catalog(path, std::move(memory.database), std::move(memory.notice)));
}

// REQUIRES: no Statement is left, for the database goes.
Status Catalog::StartAnew(const Status& damage) {
  database_.reset();
  ASSIGN_OR_RETURN(OpenedDatabase opened, ReplaceDamaged(path_, damage));
  database_ = std::move(opened.database);
  notice_ = std::move(opened.notice);
  return OkStatus();
}

Status Catalog::Read(const Body& body) {
  Status status = body(*database_);
  if (status.ok() || !database_->damaged()) return status;
  RETURN_IF_ERROR(StartAnew(status));
  return body(*database_);
}

Status Catalog::Write(const Body& body) {
  write_failure_ = Read(
      [&](Database& database) { return database.Transaction([&] { return body(database); }); });
  return write_failure_;
}

Status Catalog::WriteFailure() {
  absl::MutexLock lock(&mutex_);
  return write_failure_;
}

std::string Catalog::TakeNotice() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(notice_, {});
}

Status Catalog::ForEachModel(const std::function<void(const ModelRow&)>& visit) {
  absl::MutexLock lock(&mutex_);
  return Read([&](Database& database) -> Status {
    Statement query =
        database.Prepare("SELECT id, name, root, path, revision, summary FROM models");
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) return OkStatus();
      visit({.id = ReadDigest<ModelId>(query, 0),
             .name = query.Text(1),
             .root = query.Text(2),
             .path = query.Text(3),
             .revision = ReadDigest<RevisionId>(query, 4),
             .summary = query.Text(5)});
    }
  });
}

Status Catalog::Apply(const CatalogChanges& changes) {
  absl::MutexLock lock(&mutex_);
  const Status written = Write([&](Database& database) -> Status {
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
  });
  if (written.ok()) return written;
  for (const InspectionRow& row : changes.inspections) {
    if (unwritten_.size() < kMostUnwritten) unwritten_.insert_or_assign(row.revision, row);
  }
  return written;
}

StatusOr<std::optional<InspectionRow>> Catalog::FindInspection(const RevisionId& revision) {
  absl::MutexLock lock(&mutex_);
  std::optional<InspectionRow> found;
  if (const auto unwritten = unwritten_.find(revision); unwritten != unwritten_.end()) {
    found = unwritten->second;
    return found;
  }
  const Status status = Read([&](Database& database) -> Status {
    Statement query = database.Prepare(
        "SELECT manifest, error_code, error_message FROM inspections WHERE revision = ?");
    query.Bind(revision.bytes);
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return OkStatus();
    auto manifest = Decompress(query.Blob(0));
    if (!manifest.ok()) return OkStatus();  // not what was written: as if it were not there
    found.emplace();
    found->revision = revision;
    found->manifest = *std::move(manifest);
    const std::string code = query.Text(1);
    if (!code.empty()) found->failure = Error(ErrorCodeFromName(code), query.Text(2));
    return OkStatus();
  });
  RETURN_IF_ERROR(status);
  return found;
}

Status Catalog::PruneInspections(int64_t older_than_unix_ms) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) {
    return database
        .Prepare(
            "DELETE FROM inspections WHERE made_unix_ms < ? AND NOT EXISTS "
            "(SELECT 1 FROM models WHERE models.revision = inspections.revision)")
        .Bind(older_than_unix_ms)
        .Run();
  });
}

StatusOr<std::optional<DigestRow>> Catalog::FindDigests(const ComponentId& component) {
  absl::MutexLock lock(&mutex_);
  std::optional<DigestRow> found;
  const Status status = Read([&](Database& database) -> Status {
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
  });
  RETURN_IF_ERROR(status);
  return found;
}

Status Catalog::PutDigests(const ComponentId& component, const DigestRow& digests) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) {
    return database.Prepare("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)")
        .Bind(component.bytes)
        .Bind(digests.content.bytes)
        .Bind(BytesOf(digests.chunks))
        .Bind(UnixMilliseconds())
        .Run();
  });
}

Status Catalog::RecordModelUses(const std::unordered_map<ModelId, NewUses>& uses) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) -> Status {
    for (const auto& [model, added] : uses) {
      RETURN_IF_ERROR(PutUses(database, model, added));
    }
    return OkStatus();
  });
}

Status Catalog::RecordLoad(const ComponentId& component, double seconds) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) {
    return database
        .Prepare(
            "INSERT INTO usage VALUES (?, ?, 0, 0, ?) ON CONFLICT (kind, id) "
            "DO UPDATE SET load_seconds = excluded.load_seconds")
        .Bind(kUsageOfComponents)
        .Bind(component.bytes)
        .Bind(seconds)
        .Run();
  });
}

StatusOr<std::unordered_map<ModelId, Usage>> Catalog::ModelUsage() {
  absl::MutexLock lock(&mutex_);
  std::unordered_map<ModelId, Usage> usage;
  const Status status =
      Read([&](Database& database) { return ReadUsage(database, kUsageOfModels, usage); });
  RETURN_IF_ERROR(status);
  return usage;
}

StatusOr<std::unordered_map<ComponentId, Usage>> Catalog::ComponentUsage() {
  absl::MutexLock lock(&mutex_);
  std::unordered_map<ComponentId, Usage> usage;
  const Status status =
      Read([&](Database& database) { return ReadUsage(database, kUsageOfComponents, usage); });
  RETURN_IF_ERROR(status);
  return usage;
}

}  // namespace warmset
