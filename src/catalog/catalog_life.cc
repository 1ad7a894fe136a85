// What one daemon leaves to the next: its term, and whether it ended as it should.
#include <algorithm>
#include <string_view>

#include "base/clock.h"
#include "catalog/catalog.h"
#include "catalog/sqlite.h"

namespace warmset {
namespace {

constexpr std::string_view kTerm = "daemon_term";
constexpr std::string_view kRunning = "daemon_running";  // 1 between BeginLife() and EndLife()
constexpr std::string_view kUncleanSince = "unclean_end_unix_ms";  // of the last that was noticed

StatusOr<int64_t> Number(Database& database, std::string_view key) {
  Statement query = database.Prepare("SELECT value FROM meta WHERE key = ?");
  query.Bind(key);
  ASSIGN_OR_RETURN(const bool row, query.Step());
  return row ? query.Integer(0) : 0;
}

Status SetNumber(Database& database, std::string_view key, int64_t value) {
  return database.Prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)").Bind(key).Bind(value).Run();
}

}  // namespace

uint64_t Catalog::NextDaemonTerm() {
  absl::MutexLock lock(&mutex_);
  // The clock's time as a floor keeps the order when the catalog was lost.
  int64_t term = UnixMilliseconds();
  // A disk that can't be written to is reported by what is lost by it.
  (void)Write([&](Database& database) -> Status {
    ASSIGN_OR_RETURN(const int64_t last, Number(database, kTerm));
    term = std::max(term, last + 1);
    return SetNumber(database, kTerm, term);
  });
  return static_cast<uint64_t>(term);
}

StatusOr<EarlierEnd> Catalog::BeginLife(int64_t now_unix_ms) {
  absl::MutexLock lock(&mutex_);
  EarlierEnd end = EarlierEnd::kClean;
  const Status status = Write([&](Database& database) -> Status {
    ASSIGN_OR_RETURN(const int64_t running, Number(database, kRunning));
    ASSIGN_OR_RETURN(const int64_t before, Number(database, kUncleanSince));
    constexpr int64_t kWindowMs = std::chrono::milliseconds(kUncleanWindow).count();
    end = running == 0                        ? EarlierEnd::kClean
          : now_unix_ms - before <= kWindowMs ? EarlierEnd::kUncleanAgain
                                              : EarlierEnd::kUnclean;
    const bool clean = end == EarlierEnd::kClean;
    RETURN_IF_ERROR(SetNumber(database, kUncleanSince, clean ? 0 : now_unix_ms));
    return SetNumber(database, kRunning, 1);
  });
  if (end == EarlierEnd::kClean) RETURN_IF_ERROR(status);
  return end;
}

Status Catalog::TryWrite() {
  absl::MutexLock lock(&mutex_);
  return Write([](Database& database) { return SetNumber(database, kRunning, 1); });
}

Status Catalog::EndLife() {
  absl::MutexLock lock(&mutex_);
  return Write([](Database& database) -> Status {
    RETURN_IF_ERROR(SetNumber(database, kRunning, 0));
    return SetNumber(database, kUncleanSince, 0);
  });
}

}  // namespace warmset
