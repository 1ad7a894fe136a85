// Which files are what their names claim; and what is forgotten with components and files.
#include <utility>

#include "catalog/catalog.h"
#include "catalog/schema.h"
#include "catalog/sqlite.h"

namespace warmset {
namespace {

Status DeleteDigests(Database& database, const ComponentId& component) {
  return database.Prepare("DELETE FROM digests WHERE component = ?").Bind(component.bytes).Run();
}

Status DeleteLoads(Database& database, const ComponentId& component) {
  return database.Prepare("DELETE FROM usage WHERE kind = ? AND id = ?")
      .Bind(kUsageOfComponents)
      .Bind(component.bytes)
      .Run();
}

StatusOr<std::vector<ComponentId>> OldDigests(Database& database, int64_t older_than) {
  std::vector<ComponentId> old;
  Statement query = database.Prepare("SELECT component FROM digests WHERE made_unix_ms < ?");
  query.Bind(older_than);
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return old;
    old.push_back(ReadDigest<ComponentId>(query, 0));
  }
}

StatusOr<std::vector<std::pair<int64_t, int64_t>>> OldClaims(Database& database,
                                                             int64_t older_than) {
  std::vector<std::pair<int64_t, int64_t>> old;
  Statement query = database.Prepare("SELECT device, inode FROM claims WHERE checked_unix_ms < ?");
  query.Bind(older_than);
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return old;
    old.emplace_back(query.Integer(0), query.Integer(1));
  }
}

}  // namespace

StatusOr<std::vector<ClaimRow>> Catalog::Claims() {
  absl::MutexLock lock(&mutex_);
  std::vector<ClaimRow> rows;
  const Status status = Read([&](Database& database) -> Status {
    rows.clear();
    Statement query = database.Prepare(
        "SELECT device, inode, size, mtime_ns, ctime_ns, claim, found, checked_unix_ms "
        "FROM claims");
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) return OkStatus();
      rows.push_back({.device = static_cast<uint64_t>(query.Integer(0)),
                      .inode = static_cast<uint64_t>(query.Integer(1)),
                      .size = static_cast<uint64_t>(query.Integer(2)),
                      .mtime_ns = query.Integer(3),
                      .ctime_ns = query.Integer(4),
                      .claim = query.Text(5),
                      .found = query.Text(6),
                      .checked_unix_ms = query.Integer(7)});
    }
  });
  RETURN_IF_ERROR(status);
  return rows;
}

Status Catalog::PutClaim(const ClaimRow& row) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) {
    return database.Prepare("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .Bind(static_cast<int64_t>(row.device))
        .Bind(static_cast<int64_t>(row.inode))
        .Bind(static_cast<int64_t>(row.size))
        .Bind(row.mtime_ns)
        .Bind(row.ctime_ns)
        .Bind(row.claim)
        .Bind(row.found)
        .Bind(row.checked_unix_ms)
        .Run();
  });
}

Status Catalog::ForgetComponents(std::span<const ComponentId> components) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) -> Status {
    for (const ComponentId& component : components) {
      RETURN_IF_ERROR(DeleteDigests(database, component));
      RETURN_IF_ERROR(DeleteLoads(database, component));
    }
    return OkStatus();
  });
}

Status Catalog::Prune(const Known& known, int64_t older_than_unix_ms) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) -> Status {
    ASSIGN_OR_RETURN(const auto digests, OldDigests(database, older_than_unix_ms));
    for (const ComponentId& component : digests) {
      if (known.components.contains(component)) continue;
      RETURN_IF_ERROR(DeleteDigests(database, component));
      RETURN_IF_ERROR(DeleteLoads(database, component));
    }
    ASSIGN_OR_RETURN(const auto claims, OldClaims(database, older_than_unix_ms));
    for (const auto& [device, inode] : claims) {
      if (known.files.contains({static_cast<uint64_t>(device), static_cast<uint64_t>(inode)})) {
        continue;
      }
      RETURN_IF_ERROR(database.Prepare("DELETE FROM claims WHERE device = ? AND inode = ?")
                          .Bind(device)
                          .Bind(inode)
                          .Run());
    }
    return OkStatus();
  });
}

}  // namespace warmset
