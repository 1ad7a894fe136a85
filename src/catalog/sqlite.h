// A thin layer over SQLite's C interface, for this room alone.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "base/status.h"

namespace warmset {

class Database;

// A prepared statement, borrowed from its Database for one use: reset when it
// goes. Parameters and columns count from 0. Text and blobs that are bound must
// outlive the use.
class Statement {
 public:
  Statement(Database& database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& Bind(int64_t value);
  Statement& Bind(double value);
  Statement& Bind(std::string_view text);
  Statement& Bind(std::span<const std::byte> blob);

  // True when there is a row.
  StatusOr<bool> Step();
  // For statements without rows: runs it and makes it ready to be bound again.
  Status Run();

  int64_t Integer(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;
  // Valid until the next Step().
  std::span<const std::byte> Blob(int column) const;

 private:
  Database& database_;
  sqlite3_stmt* const statement_;  // null when it could not be prepared
  int next_parameter_ = 1;
};

// The digest in a column; a zero one for what is none.
template <typename D>
D ReadDigest(const Statement& row, int column) {
  auto digest = D::FromBytes(row.Blob(column));
  return digest.ok() ? *digest : D{};
}

// One connection with its prepared statements. Not thread-safe.
class Database {
 public:
  enum class Mode { kReadWrite, kReadOnly };
  // kReadWrite makes a file that is not there.
  static StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                  Mode mode = Mode::kReadWrite);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // sql must be a literal: its statement is prepared once and kept. A statement
  // that can't be prepared (a damaged schema) fails at its first Step().
  Statement Prepare(const char* sql);
  // Runs statements that have neither parameters nor rows.
  Status Execute(const char* sql);

  // Runs body in one transaction; what it did is undone if it fails.
  template <typename Body>
  Status Transaction(Body body) {
    RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
    Status status = body();
    if (status.ok()) status = Execute("COMMIT");
    if (!status.ok() && sqlite3_get_autocommit(connection_) == 0) {
      (void)Execute("ROLLBACK");  // the first error is the one to tell
    }
    return status;
  }

  // kPermissionDenied for a file that could be opened for reading only.
  Status CheckWritable();
  // Reads every page; kIoError, and damaged(), for what contradicts itself.
  Status CheckIntegrity();
  // Replaces all content by the other database's.
  Status CopyFrom(Database& other);

  // True once SQLite found the file damaged, no database at all, or one whose tables
  // are not those that the statements are made for.
  bool damaged() const { return damaged_; }

 private:
  friend class Statement;

  Database(std::string path, sqlite3* connection)
      : path_(std::move(path)), connection_(connection) {}
  // The connection's last error.
  Status LastError();

  const std::string path_;  // for messages
  sqlite3* const connection_;
  bool damaged_ = false;
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace warmset
