#include "catalog/schema.h"

namespace warmset {
namespace {

constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE models (
  id       BLOB PRIMARY KEY,
  name     TEXT NOT NULL,
  root     TEXT NOT NULL,
  path     TEXT NOT NULL,
  revision BLOB NOT NULL,
  summary  BLOB NOT NULL
);
CREATE INDEX models_by_revision ON models (revision);
CREATE TABLE inspections (
  revision      BLOB PRIMARY KEY,
  manifest      BLOB NOT NULL,
  error_code    TEXT NOT NULL,
  error_message TEXT NOT NULL,
  made_unix_ms  INTEGER NOT NULL
);
CREATE TABLE digests (
  component BLOB PRIMARY KEY,
  content   BLOB NOT NULL,
  chunks    BLOB NOT NULL
);
CREATE TABLE usage (
  kind              INTEGER NOT NULL,
  id                BLOB NOT NULL,
  last_used_unix_ms INTEGER NOT NULL,
  uses              INTEGER NOT NULL,
  load_seconds      REAL NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE desired (
  model     BLOB NOT NULL,
  component TEXT NOT NULL,
  device    TEXT NOT NULL,
  pool      TEXT NOT NULL,
  PRIMARY KEY (model, component, device)
) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE overrides (
  model        BLOB PRIMARY KEY,
  kind         TEXT NOT NULL,
  architecture TEXT NOT NULL
) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE cache_settings (
  model        BLOB PRIMARY KEY,
  strategy     TEXT NOT NULL,
  priority     TEXT NOT NULL,
  pinned       INTEGER NOT NULL,
  keep_seconds INTEGER NOT NULL
) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE use_history (
  component    BLOB PRIMARY KEY,
  bytes        INTEGER NOT NULL,
  requests     INTEGER NOT NULL,
  last_request INTEGER NOT NULL,
  rate_short   REAL NOT NULL,
  rate_medium  REAL NOT NULL,
  rate_long    REAL NOT NULL,
  interval     REAL NOT NULL,
  unwanted     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE companions (
  user      TEXT NOT NULL,
  model     BLOB NOT NULL,
  companion BLOB NOT NULL,
  uses      REAL NOT NULL,
  PRIMARY KEY (user, model, companion)
) WITHOUT ROWID;
CREATE TABLE use_calibration (
  bin       INTEGER PRIMARY KEY,
  predicted REAL NOT NULL,
  used      REAL NOT NULL
);
)sql",
    R"sql(
CREATE TABLE open_paths (
  model     BLOB NOT NULL,
  component BLOB NOT NULL,
  device    INTEGER NOT NULL,
  inode     INTEGER NOT NULL,
  size      INTEGER NOT NULL,
  PRIMARY KEY (model, component)
) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE claims (
  device          INTEGER NOT NULL,
  inode           INTEGER NOT NULL,
  size            INTEGER NOT NULL,
  mtime_ns        INTEGER NOT NULL,
  ctime_ns        INTEGER NOT NULL,
  claim           TEXT NOT NULL,
  found           TEXT NOT NULL,
  checked_unix_ms INTEGER NOT NULL,
  PRIMARY KEY (device, inode)
) WITHOUT ROWID;
ALTER TABLE digests ADD COLUMN made_unix_ms INTEGER NOT NULL DEFAULT 0;
UPDATE digests SET made_unix_ms = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
)sql",
};

}  // namespace

std::span<const char* const> CatalogMigrations() { return kMigrations; }

}  // namespace warmset
