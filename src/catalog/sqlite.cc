#include "catalog/sqlite.h"

#include <cerrno>
#include <cstring>

#include "fmt/format.h"

namespace warmset {
namespace {

constexpr int kBusyTimeoutMs = 5000;

}  // namespace

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Statement& Statement::Bind(int64_t value) {
  sqlite3_bind_int64(statement_, next_parameter_++, value);
  return *this;
}

Statement& Statement::Bind(double value) {
  sqlite3_bind_double(statement_, next_parameter_++, value);
  return *this;
}

Statement& Statement::Bind(std::string_view text) {
  // A null pointer would bind NULL, which is not the empty text.
  sqlite3_bind_text64(statement_, next_parameter_++, text.empty() ? "" : text.data(), text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::Bind(std::span<const std::byte> blob) {
  const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
  sqlite3_bind_blob64(statement_, next_parameter_++, data, blob.size(), SQLITE_STATIC);
  return *this;
}

StatusOr<bool> Statement::Step() {
  if (statement_ == nullptr) return database_.LastError();
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return database_.LastError();
  }
}

Status Statement::Run() {
  const auto row = Step();
  sqlite3_reset(statement_);
  next_parameter_ = 1;
  return row.status();
}

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::Real(int column) const { return sqlite3_column_double(statement_, column); }

std::string Statement::Text(int column) const {
  const auto blob = Blob(column);
  return {reinterpret_cast<const char*>(blob.data()), blob.size()};
}

std::span<const std::byte> Statement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  return {static_cast<const std::byte*>(data),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Mode mode) {
  sqlite3* connection = nullptr;
  const int flags = (mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY
                                             : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
  std::unique_ptr<Database> database(new Database(path, connection));
  if (code != SQLITE_OK) {
    return Error(ErrorCode::kIoError,
                 fmt::format("open the catalog {}: {}", path, sqlite3_errstr(code)));
  }
  sqlite3_busy_timeout(connection, kBusyTimeoutMs);
  return database;
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(connection_);
}

Statement Database::Prepare(const char* sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return Statement(*this, found->second);
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) ==
      SQLITE_OK) {
    statements_.emplace(sql, statement);
  }
  return Statement(*this, statement);
}

Status Database::Execute(const char* sql) {
  if (sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return OkStatus();
  return LastError();
}

Status Database::CheckWritable() {
  if (sqlite3_db_readonly(connection_, "main") == 0) return OkStatus();
  return Error(ErrorCode::kPermissionDenied, fmt::format("{} can't be written to", path_));
}

Status Database::CheckIntegrity() {
  Statement check = Prepare("PRAGMA quick_check(1)");
  ASSIGN_OR_RETURN(const bool row, check.Step());
  if (row && check.Text(0) == "ok") return OkStatus();
  damaged_ = true;
  return Error(ErrorCode::kIoError, row ? check.Text(0) : "it says nothing");
}

Status Database::CopyFrom(Database& other) {
  sqlite3_backup* const backup =
      sqlite3_backup_init(connection_, "main", other.connection_, "main");
  if (backup == nullptr) return LastError();
  sqlite3_backup_step(backup, /*all pages*/ -1);
  return sqlite3_backup_finish(backup) == SQLITE_OK ? OkStatus() : LastError();
}

Status Database::LastError() {
  const int code = sqlite3_extended_errcode(connection_);
  const int system_error = sqlite3_system_errno(connection_);
  std::string reason = sqlite3_errmsg(connection_);
  std::string advice;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  // all statements are literals: the file has other tables
      damaged_ = true;
      break;
    case SQLITE_FULL:
      advice = "; make room on its disk";
      break;
    case SQLITE_READONLY:
      advice = "; make its folder writable for this user";
      break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      if (system_error != 0) reason += fmt::format(" ({})", std::strerror(system_error));
      if (system_error == ENOSPC || system_error == EDQUOT) advice = "; make room on its disk";
      break;
    case SQLITE_BUSY:
      advice = "; another process holds it";
      break;
    default:
      break;
  }
  return Error(ErrorCode::kIoError, fmt::format("catalog {}: {}{}", path_, reason, advice));
}

}  // namespace warmset
