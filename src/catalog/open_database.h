// How the catalog's file is opened, and what takes its place where it can't be used.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "catalog/sqlite.h"

namespace warmset {

struct OpenedDatabase {
  std::unique_ptr<Database> database;
  std::string notice;  // what the user should be told; empty: nothing
};

// The file with the schema of this program; its folder must exist. A damaged one is
// renamed, and an empty one takes its place. kVersionMismatch, and nothing is written,
// when a newer Warmset made it; kIoError where it can't be read or written.
StatusOr<OpenedDatabase> OpenDatabase(const std::string& path);

// The same after damage was found; where the file can't be replaced, in memory.
StatusOr<OpenedDatabase> ReplaceDamaged(const std::string& path, const Status& damage);

// A database in memory for a file that can't be used, with its rows as far as they can
// be read. `why` is OpenDatabase()'s error.
StatusOr<OpenedDatabase> OpenInMemory(const std::string& path, const Status& why);

// How a catalog's file looks to one who only reads it, also while a daemon has it open.
enum class CatalogHealth { kGood, kAbsent, kDamaged, kNewer, kUnreadable };
struct CatalogCheck {
  CatalogHealth health = CatalogHealth::kGood;
  std::string reason;  // unless it is good or absent
};
// Reads all of it: seconds for a gigabyte.
CatalogCheck CheckCatalog(const std::string& path);

}  // namespace warmset
