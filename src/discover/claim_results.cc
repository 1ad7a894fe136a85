#include "discover/claim_results.h"

#include <algorithm>
#include <vector>

#include "discover/hub_names.h"
#include "fmt/format.h"

namespace warmset {
namespace {

bool IsSameFile(const ClaimRow& row, const os::FileIdentity& identity) {
  return row.device == identity.device && row.inode == identity.inode &&
         row.size == identity.size && row.mtime_ns == identity.mtime_ns;
}

std::string_view AlgorithmOf(std::string_view hash) { return hash.substr(0, hash.find(':')); }

// Where an intact copy comes from. Both stores take a blob that is there for granted.
std::string AdviceFor(const std::string& folder, const std::string& path, ModelLayout layout) {
  if (const auto repo = RepoFolderOf(folder + "/" + path)) {
    return fmt::format("remove the blob that it links to and download {} again",
                       RepoIdOf(repo->substr(repo->rfind('/') + 1)).value_or("the repo"));
  }
  if (layout == ModelLayout::kOllama) {
    return "remove the blob and pull the model again with `ollama pull`";
  }
  return "get the file again from where it came";
}

std::string Explain(const ManifestFile& file, const ClaimResult& result,
                    const std::string& advice) {
  return fmt::format("its content is not what its name claims: {} is claimed, {} is there; {}",
                     file.claimed_hash, result.found, advice);
}

}  // namespace

std::string_view ClaimStateName(ClaimState state) {
  switch (state) {
    case ClaimState::kNone:
      return "";
    case ClaimState::kVerified:
      return "verified";
    case ClaimState::kUnchecked:
      return "unchecked";
    case ClaimState::kMismatch:
      return "mismatch";
  }
  return "";
}

Status ClaimResults::Restore() {
  ASSIGN_OR_RETURN(const std::vector<ClaimRow> rows, catalog_.Claims());
  absl::MutexLock lock(&mutex_);
  for (const ClaimRow& row : rows) rows_[{row.device, row.inode}] = row;
  return OkStatus();
}

ClaimResult ClaimResults::Of(const ManifestFile& file) const {
  if (file.claimed_hash.empty()) return {};
  ClaimResult result{.state = ClaimState::kUnchecked, .found = {}};
  absl::MutexLock lock(&mutex_);
  const auto found = rows_.find({file.identity.device, file.identity.inode});
  if (found == rows_.end() || !IsSameFile(found->second, file.identity)) return result;
  const ClaimRow& row = found->second;
  if (AlgorithmOf(row.found) != AlgorithmOf(file.claimed_hash)) return result;
  const bool equal = row.found == file.claimed_hash;
  if (equal && row.ctime_ns != file.identity.ctime_ns) return result;
  result.state = equal ? ClaimState::kVerified : ClaimState::kMismatch;
  result.found = row.found;
  result.checked_unix_ms = row.checked_unix_ms;
  result.touched = row.ctime_ns != file.identity.ctime_ns;
  return result;
}

ClaimResult ClaimResults::OfFiles(std::span<const ManifestFile> files) const {
  ClaimResult worst;
  for (const ManifestFile& file : files) {
    ClaimResult result = Of(file);
    const bool earlier =
        result.state == worst.state && result.checked_unix_ms < worst.checked_unix_ms;
    if (result.state > worst.state || earlier) worst = std::move(result);
  }
  return worst;
}

Status ClaimResults::Record(const ManifestFile& file, std::string found, int64_t unix_ms) {
  const ClaimRow row{.device = file.identity.device,
                     .inode = file.identity.inode,
                     .size = file.identity.size,
                     .mtime_ns = file.identity.mtime_ns,
                     .ctime_ns = file.identity.ctime_ns,
                     .claim = file.claimed_hash,
                     .found = std::move(found),
                     .checked_unix_ms = unix_ms};
  {
    absl::MutexLock lock(&mutex_);
    rows_[{row.device, row.inode}] = row;
  }
  return catalog_.PutClaim(row);
}

Status ClaimResults::RefusalOf(const ModelSummary& model) const {
  for (size_t i = 0; i < model.files.size(); ++i) {
    const ManifestFile& file = model.files[i];
    const ClaimResult result = Of(file);
    if (result.state != ClaimState::kMismatch) continue;
    return Error(
        ErrorCode::kCorruptedModel,
        fmt::format("{}: {}", model.FilePath(i),
                    Explain(file, result, AdviceFor(model.folder, file.path, model.layout))));
  }
  return OkStatus();
}

void ClaimResults::AddFindings(Sighting& sighting) const {
  bool added = false;
  for (const ManifestFile& file : sighting.model.files) {
    const ClaimResult result = Of(file);
    if (result.state != ClaimState::kMismatch) continue;
    sighting.findings.push_back(
        {.path = file.path,
         .verdict = Verdict::kCorrupt,
         .category = FindingCategory::kFileCorruption,
         .message =
             Explain(file, result, AdviceFor(sighting.folder, file.path, sighting.model.layout))});
    added = true;
  }
  if (added) SetRevision(sighting);
}

}  // namespace warmset
