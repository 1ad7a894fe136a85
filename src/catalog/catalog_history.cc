// How components and models were used: what eviction and preloading go by.
#include <utility>

#include "catalog/catalog.h"
#include "catalog/sqlite.h"

namespace warmset {
namespace {

Status PutComponent(Database& database, const UseHistoryRow& row) {
  return database
      .Prepare("INSERT OR REPLACE INTO use_history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .Bind(row.component.bytes)
      .Bind(static_cast<int64_t>(row.bytes))
      .Bind(static_cast<int64_t>(row.requests))
      .Bind(static_cast<int64_t>(row.last_request))
      .Bind(row.rates[0])
      .Bind(row.rates[1])
      .Bind(row.rates[2])
      .Bind(row.interval)
      .Bind(int64_t{row.unwanted})
      .Run();
}

Status PutCompanion(Database& database, const CompanionRow& row, const ModelId& companion,
                    double uses) {
  return database.Prepare("INSERT INTO companions VALUES (?, ?, ?, ?)")
      .Bind(row.user)
      .Bind(row.model.bytes)
      .Bind(companion.bytes)
      .Bind(uses)
      .Run();
}

// A model's row as its own companion says how often it was used.
Status PutCompanions(Database& database, const CompanionRow& row) {
  RETURN_IF_ERROR(database.Prepare("DELETE FROM companions WHERE user = ? AND model = ?")
                      .Bind(row.user)
                      .Bind(row.model.bytes)
                      .Run());
  if (row.uses == 0) return OkStatus();  // forgotten
  RETURN_IF_ERROR(PutCompanion(database, row, row.model, row.uses));
  for (const auto& [companion, uses] : row.together) {
    RETURN_IF_ERROR(PutCompanion(database, row, companion, uses));
  }
  return OkStatus();
}

Status ReadComponents(Database& database, std::vector<UseHistoryRow>& rows) {
  Statement query = database.Prepare(
      "SELECT component, bytes, requests, last_request, rate_short, rate_medium, rate_long, "
      "interval, unwanted FROM use_history");
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return OkStatus();
    rows.push_back({.component = ReadDigest<ComponentId>(query, 0),
                    .bytes = static_cast<uint64_t>(query.Integer(1)),
                    .requests = static_cast<uint64_t>(query.Integer(2)),
                    .last_request = static_cast<uint64_t>(query.Integer(3)),
                    .rates = {query.Real(4), query.Real(5), query.Real(6)},
                    .interval = query.Real(7),
                    .unwanted = query.Integer(8) != 0});
  }
}

Status ReadCompanions(Database& database, std::vector<CompanionRow>& rows) {
  Statement query = database.Prepare(
      "SELECT user, model, companion, uses FROM companions ORDER BY user, model");
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return OkStatus();
    const auto model = ReadDigest<ModelId>(query, 1);
    const auto companion = ReadDigest<ModelId>(query, 2);
    if (rows.empty() || rows.back().user != query.Text(0) || rows.back().model != model) {
      rows.push_back({.user = query.Text(0), .model = model, .uses = 0, .together = {}});
    }
    (companion == model ? rows.back().uses : rows.back().together[companion]) = query.Real(3);
  }
}

Status ReadCalibration(Database& database, std::vector<CalibrationRow>& rows) {
  Statement query =
      database.Prepare("SELECT bin, predicted, used FROM use_calibration ORDER BY bin");
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return OkStatus();
    if (query.Integer(0) != static_cast<int64_t>(rows.size())) return OkStatus();
    rows.push_back({.predicted = query.Real(1), .used = query.Real(2)});
  }
}

}  // namespace

Status Catalog::RecordHistory(const HistoryRows& changed) {
  absl::MutexLock lock(&mutex_);
  return Write([&](Database& database) -> Status {
    for (const UseHistoryRow& row : changed.components) {
      RETURN_IF_ERROR(PutComponent(database, row));
    }
    for (const ComponentId& component : changed.forgotten) {
      RETURN_IF_ERROR(database.Prepare("DELETE FROM use_history WHERE component = ?")
                          .Bind(component.bytes)
                          .Run());
    }
    for (const CompanionRow& row : changed.companions) {
      RETURN_IF_ERROR(PutCompanions(database, row));
    }
    for (size_t bin = 0; bin < changed.calibration.size(); ++bin) {
      RETURN_IF_ERROR(database.Prepare("INSERT OR REPLACE INTO use_calibration VALUES (?, ?, ?)")
                          .Bind(static_cast<int64_t>(bin))
                          .Bind(changed.calibration[bin].predicted)
                          .Bind(changed.calibration[bin].used)
                          .Run());
    }
    return OkStatus();
  });
}

StatusOr<HistoryRows> Catalog::History() {
  absl::MutexLock lock(&mutex_);
  HistoryRows rows;
  const Status status = Read([&](Database& database) -> Status {
    rows = {};
    RETURN_IF_ERROR(ReadComponents(database, rows.components));
    RETURN_IF_ERROR(ReadCompanions(database, rows.companions));
    return ReadCalibration(database, rows.calibration);
  });
  RETURN_IF_ERROR(status);
  return rows;
}

}  // namespace warmset
