// Which models are open by path, and the files in RAM that hold them.
#include <utility>

#include "catalog/catalog.h"
#include "catalog/schema.h"
#include "catalog/sqlite.h"

namespace warmset {

Status Catalog::SetOpenPath(const OpenPathRow& row) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) -> Status {
    RETURN_IF_ERROR(
        database.Prepare("DELETE FROM open_paths WHERE model = ?").Bind(row.model.bytes).Run());
    for (const OpenPathRow::File& file : row.files) {
      RETURN_IF_ERROR(database.Prepare("INSERT INTO open_paths VALUES (?, ?, ?, ?, ?)")
                          .Bind(row.model.bytes)
                          .Bind(file.component.bytes)
                          .Bind(static_cast<int64_t>(file.device))
                          .Bind(static_cast<int64_t>(file.inode))
                          .Bind(static_cast<int64_t>(file.size))
                          .Run());
    }
    return OkStatus();
  });
}

StatusOr<std::vector<OpenPathRow>> Catalog::OpenPaths() {
  absl::MutexLock lock(&mutex_);
  std::vector<OpenPathRow> rows;
  const Status status = Read([&](Database& database) -> Status {
    rows.clear();
    Statement query = database.Prepare(
        "SELECT model, component, device, inode, size FROM open_paths ORDER BY model");
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) return OkStatus();
      const auto model = ReadDigest<ModelId>(query, 0);
      if (rows.empty() || rows.back().model != model) rows.push_back({model, {}});
      rows.back().files.push_back({.component = ReadDigest<ComponentId>(query, 1),
                                   .device = static_cast<uint64_t>(query.Integer(2)),
                                   .inode = static_cast<uint64_t>(query.Integer(3)),
                                   .size = static_cast<uint64_t>(query.Integer(4))});
    }
  });
  RETURN_IF_ERROR(status);
  return rows;
}

}  // namespace warmset
