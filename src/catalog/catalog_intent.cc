// What users want of their models: overrides, and what should be in RAM and on
// devices.
#include <utility>

#include "catalog/catalog.h"
#include "catalog/schema.h"
#include "catalog/sqlite.h"

namespace warmset {

Status Catalog::SetOverride(const ModelId& model, const ModelOverride& override_by_user) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) {
    if (override_by_user.empty()) {
      return database.Prepare("DELETE FROM overrides WHERE model = ?").Bind(model.bytes).Run();
    }
    return database.Prepare("INSERT OR REPLACE INTO overrides VALUES (?, ?, ?)")
        .Bind(model.bytes)
        .Bind(override_by_user.kind)
        .Bind(override_by_user.architecture)
        .Run();
  });
}

StatusOr<std::unordered_map<ModelId, ModelOverride>> Catalog::Overrides() {
  absl::MutexLock lock(&mutex_);
  std::unordered_map<ModelId, ModelOverride> overrides;
  const Status status = Read([&](Database& database) -> Status {
    overrides.clear();
    Statement query = database.Prepare("SELECT model, kind, architecture FROM overrides");
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) return OkStatus();
      overrides[ReadDigest<ModelId>(query, 0)] = {.kind = query.Text(1),
                                                  .architecture = query.Text(2)};
    }
  });
  RETURN_IF_ERROR(status);
  return overrides;
}

Status Catalog::SetCacheSettings(const ModelId& model, const CacheSettings& settings) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) {
    if (settings == CacheSettings()) {
      return database.Prepare("DELETE FROM cache_settings WHERE model = ?").Bind(model.bytes).Run();
    }
    return database.Prepare("INSERT OR REPLACE INTO cache_settings VALUES (?, ?, ?, ?, ?)")
        .Bind(model.bytes)
        .Bind(settings.strategy)
        .Bind(settings.priority)
        .Bind(int64_t{settings.pinned})
        .Bind(static_cast<int64_t>(settings.keep_seconds))
        .Run();
  });
}

StatusOr<std::unordered_map<ModelId, CacheSettings>> Catalog::AllCacheSettings() {
  absl::MutexLock lock(&mutex_);
  std::unordered_map<ModelId, CacheSettings> all;
  const Status status = Read([&](Database& database) -> Status {
    all.clear();
    Statement query = database.Prepare(
        "SELECT model, strategy, priority, pinned, keep_seconds FROM cache_settings");
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) return OkStatus();
      all[ReadDigest<ModelId>(query, 0)] = {
          .strategy = query.Text(1),
          .priority = query.Text(2),
          .pinned = query.Integer(3) != 0,
          .keep_seconds = static_cast<uint64_t>(query.Integer(4))};
    }
  });
  RETURN_IF_ERROR(status);
  return all;
}

Status Catalog::SetDesired(const DesiredModel& desired) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) -> Status {
    const auto put = [&](std::string_view component, std::string_view device,
                         std::string_view pool) {
      return database.Prepare("INSERT OR REPLACE INTO desired VALUES (?, ?, ?, ?)")
          .Bind(desired.model.bytes)
          .Bind(component)
          .Bind(device)
          .Bind(pool)
          .Run();
    };
    RETURN_IF_ERROR(
        database.Prepare("DELETE FROM desired WHERE model = ?").Bind(desired.model.bytes).Run());
    // An empty device stands for RAM.
    for (const std::string& component : desired.cached) RETURN_IF_ERROR(put(component, "", ""));
    for (const DesiredPlacement& placement : desired.placements) {
      RETURN_IF_ERROR(put(placement.component, placement.device, placement.pool));
    }
    return OkStatus();
  });
}

StatusOr<std::vector<DesiredModel>> Catalog::Desired() {
  absl::MutexLock lock(&mutex_);
  std::vector<DesiredModel> models;
  const Status status = Read([&](Database& database) -> Status {
    models.clear();
    Statement query = database.Prepare(
        "SELECT model, component, device, pool FROM desired "
        "LEFT JOIN usage ON kind = ? AND id = model "
        "ORDER BY coalesce(last_used_unix_ms, 0) DESC, model, component, device");
    query.Bind(kUsageOfModels);
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) return OkStatus();
      const auto model = ReadDigest<ModelId>(query, 0);
      if (models.empty() || models.back().model != model) models.emplace_back().model = model;
      std::string device = query.Text(2);
      if (device.empty()) {
        models.back().cached.push_back(query.Text(1));
      } else {
        models.back().placements.push_back({query.Text(1), std::move(device), query.Text(3)});
      }
    }
  });
  RETURN_IF_ERROR(status);
  return models;
}

}  // namespace warmset
