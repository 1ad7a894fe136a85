// Which files are what their names claim: docs/design/claims.md.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/model_summary.h"
#include "discover/sighting.h"
#include "inspect/finding.h"
#include "inspect/manifest.h"

namespace warmset {

enum class ClaimState : uint8_t { kNone, kVerified, kUnchecked, kMismatch };
// "" for kNone, "verified", "unchecked", "mismatch"; valid for the whole program.
std::string_view ClaimStateName(ClaimState state);

struct ClaimResult {
  ClaimState state = ClaimState::kNone;
  std::string found;            // the content's hash, of verified ones and mismatches
  int64_t checked_unix_ms = 0;  // likewise
  bool touched = false;         // a mismatch whose ctime has changed: worth another check
};

// What checks found, by the files' identity. Thread-safe; the catalog keeps it.
class ClaimResults {
 public:
  explicit ClaimResults(Catalog& catalog) : catalog_(catalog) {}

  // Reads the catalog; call once, before the rest.
  Status Restore();

  // A verified file whose ctime changed is unchecked again. A mismatch stays one until
  // size, mtime or the inode differ, or another check finds what is claimed.
  ClaimResult Of(const ManifestFile& file) const;
  // The worst of the files', as they are ordered above, with the earliest check.
  ClaimResult OfFiles(std::span<const ManifestFile> files) const;

  // Keeps which hash the file's content has. On error it is known until the daemon ends.
  Status Record(const ManifestFile& file, std::string found, int64_t unix_ms);

  // OK unless a file of the model is not what its name claims: then kCorruptedModel
  // names the file, both hashes, and what to do.
  Status RefusalOf(const ModelSummary& model) const;
  // Adds a finding for each such file, and gives the sighting its revision again.
  void AddFindings(Sighting& sighting) const;

 private:
  Catalog& catalog_;
  mutable absl::Mutex mutex_;
  std::map<std::pair<uint64_t, uint64_t>, ClaimRow> rows_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset
