#include "catalog/open_database.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "catalog/schema.h"
#include "fmt/format.h"
#include "os/file.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFiles[] = {"", "-wal", "-shm"};  // by what follows the name

StatusOr<int64_t> VersionOf(Database& database) {
  Statement query = database.Prepare("PRAGMA user_version");
  ASSIGN_OR_RETURN([[maybe_unused]] const bool row, query.Step());
  return query.Integer(0);
}

Status Migrate(Database& database, int64_t version) {
  const auto migrations = CatalogMigrations();
  for (; version < static_cast<int64_t>(migrations.size()); ++version) {
    const Status status = database.Transaction([&]() -> Status {
      RETURN_IF_ERROR(database.Execute(migrations[static_cast<size_t>(version)]));
      return database.Execute(fmt::format("PRAGMA user_version = {}", version + 1).c_str());
    });
    RETURN_IF_ERROR(status);
  }
  return OkStatus();
}

Status Prepare(Database& database) {
  // Before anything else: what a newer program made stays as it is.
  ASSIGN_OR_RETURN(const int64_t version, VersionOf(database));
  const auto newest = static_cast<int64_t>(CatalogMigrations().size());
  if (version < 0 || version > newest) {
    return Error(ErrorCode::kVersionMismatch,
                 fmt::format("the catalog has schema version {}, this program knows {}; use the "
                             "newer Warmset that made it, or another home folder",
                             version, newest));
  }
  RETURN_IF_ERROR(database.CheckWritable());
  RETURN_IF_ERROR(database.Execute("PRAGMA journal_mode = WAL"));
  // A commit is safe from a crash of the process; one of the machine may
  // undo the last ones, but leaves no damage.
  RETURN_IF_ERROR(database.Execute("PRAGMA synchronous = NORMAL"));
  return Migrate(database, version);
}

// `damaged` tells why it failed.
StatusOr<std::unique_ptr<Database>> TryOpen(const std::string& path, bool& damaged) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  const Status status = Prepare(*database);
  damaged = database->damaged();
  if (!status.ok()) return status;
  return database;
}

// Renames the database and its journal out of the way; returns the new name.
StatusOr<std::string> MoveAside(const std::string& path) {
  std::string aside = fmt::format("{}.damaged-{}", path, UnixMilliseconds());
  for (const char* suffix : kFiles) {
    std::error_code error;
    fs::rename(path + suffix, aside + suffix, error);
    const bool missing = error == std::errc::no_such_file_or_directory && *suffix != '\0';
    if (error && !missing) return ErrnoError(error.value(), "move aside " + path + suffix);
  }
  return aside;
}

// Brings the file's rows into memory. It is read from a copy, since SQLite writes beside a
// file that it reads.
Status CopyRows(const std::string& path, Database& memory) {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error) /
                          fmt::format("warmset-catalog-{}-{}", ::getpid(), UnixMilliseconds());
  if (error) return ErrnoError(error.value(), "find a folder for temporary files");
  RETURN_IF_ERROR(os::MakePrivateDirectory(folder));
  const std::string copy = folder / "catalog";
  for (const char* suffix : {"", "-wal"}) {
    fs::copy_file(path + suffix, copy + suffix, error);
    if (error && *suffix == '\0') break;
  }
  bool damaged = false;
  StatusOr<std::unique_ptr<Database>> file = TryOpen(copy, damaged);
  const Status copied = file.ok() ? memory.CopyFrom(**file) : file.status();
  if (file.ok()) file->reset();
  fs::remove_all(folder, error);
  return copied;
}

}  // namespace

StatusOr<OpenedDatabase> OpenDatabase(const std::string& path) {
  bool damaged = false;
  auto database = TryOpen(path, damaged);
  if (database.ok()) return OpenedDatabase{*std::move(database), ""};
  if (!damaged) return Annotate(database.status(), "open " + path);
  return ReplaceDamaged(path, database.status());
}

StatusOr<OpenedDatabase> ReplaceDamaged(const std::string& path, const Status& damage) {
  const auto aside = MoveAside(path);
  bool damaged = false;
  auto fresh = aside.ok() ? TryOpen(path, damaged) : aside.status();
  if (fresh.ok()) {
    return OpenedDatabase{
        *std::move(fresh),
        fmt::format("the catalog was damaged ({}); it is kept as {} and a new one has begun: "
                    "models are found again by a scan, records of use and of what was cached are "
                    "lost",
                    Message(damage), *aside)};
  }
  ASSIGN_OR_RETURN(fresh, TryOpen(":memory:", damaged));
  return OpenedDatabase{*std::move(fresh),
                        fmt::format("the catalog {} is damaged and can't be replaced ({}): nothing "
                                    "is remembered beyond this run",
                                    path, Message(fresh.status()))};
}

CatalogCheck CheckCatalog(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return {CatalogHealth::kAbsent, ""};
  auto database = Database::Open(path, Database::Mode::kReadOnly);
  if (!database.ok()) {
    return {CatalogHealth::kUnreadable, std::string(Message(database.status()))};
  }
  const Status status = [&]() -> Status {
    ASSIGN_OR_RETURN(const int64_t version, VersionOf(**database));
    if (version > static_cast<int64_t>(CatalogMigrations().size())) {
      return Error(ErrorCode::kVersionMismatch, fmt::format("it has schema version {}", version));
    }
    return (*database)->CheckIntegrity();
  }();
  if (status.ok()) return {};
  return {CodeOf(status) == ErrorCode::kVersionMismatch ? CatalogHealth::kNewer
          : (*database)->damaged()                      ? CatalogHealth::kDamaged
                                                        : CatalogHealth::kUnreadable,
          std::string(Message(status))};
}

StatusOr<OpenedDatabase> OpenInMemory(const std::string& path, const Status& why) {
  bool damaged = false;
  ASSIGN_OR_RETURN(std::unique_ptr<Database> memory, TryOpen(":memory:", damaged));
  std::string mend;
  if (CodeOf(why) != ErrorCode::kVersionMismatch) {
    // Without its rows it is as after the loss of the catalog.
    if (!CopyRows(path, *memory).ok()) {
      ASSIGN_OR_RETURN(memory, TryOpen(":memory:", damaged));
    }
    mend = fmt::format(
        "; make {} a folder of this user with room on its disk, then restart the "
        "daemon",
        fs::path(path).parent_path().string());
  }
  return OpenedDatabase{std::move(memory),
                        fmt::format("the catalog can't be used ({}): what this daemon learns is "
                                    "forgotten when it ends{}",
                                    Message(why), mend)};
}

}  // namespace warmset
