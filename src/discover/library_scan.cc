#include "discover/library_scan.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "discover/hub_names.h"
#include "discover/names.h"
#include "os/directory.h"

namespace warmset {
namespace {

// Models that are inspected between two writes to the catalog.
constexpr size_t kBatch = 256;

}  // namespace

StatusOr<ScanReport> LibraryScan::Run(const std::vector<Root>& roots, ScanWalk walk) {
  for (const Root& root : roots) roots_.insert_or_assign(root.path, root);
  report_.files = walk.files;
  report_.findings = std::move(walk.findings);
  report_.folders = std::move(walk.folders);
  report_.roots = std::move(walk.roots);
  unreadable_ = {walk.unreadable.begin(), walk.unreadable.end()};
  Sort(std::move(walk.sightings));
  RETURN_IF_ERROR(TakeCandidates());
  FindRemoved();
  WriteChanges();
  return std::move(report_);
}

void LibraryScan::Sort(std::deque<Sighting> sightings) {
  // Models of roots that are not scanned now keep their names.
  std::set<std::string> taken;
  known_.ForEach([&](const ModelId&, const Known& known) {
    if (!roots_.contains(known.root)) taken.insert(known.name);
  });
  std::vector<NameRequest> requests;
  for (const Sighting& sighting : sightings) {
    sighted_.insert(sighting.id);
    requests.push_back({sighting.base_name, sighting.parent, sighting.id});
  }
  if (!taken.empty()) {
    std::erase_if(requests, [&](const NameRequest& request) {
      const auto known = known_.Find(request.id);
      return known && !roots_.contains(known->root);
    });
  }
  std::vector<std::string> names = UniqueNames(requests, taken);
  size_t next = 0;
  for (; !sightings.empty(); sightings.pop_front()) {
    Sighting& sighting = sightings.front();
    const auto known = known_.Find(sighting.id);
    std::string name =
        known && !roots_.contains(known->root) ? known->name : std::move(names[next++]);
    if (known && known->verdict == Verdict::kOk && IsUnchanged(sighting, name, *known)) {
      ++report_.unchanged;
      continue;
    }
    sighting.base_name = {};
    candidates_.push_back({std::move(sighting), std::move(name)});
  }
}

bool LibraryScan::IsUnchanged(const Sighting& sighting, std::string_view name, const Known& known) {
  return known.revision == sighting.revision && known.name == name &&
         known.path_digest == KnownModels::DigestOfPath(sighting.path);
}

Status LibraryScan::TakeCandidates() {
  const size_t total = candidates_.size();
  while (!candidates_.empty()) {
    if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "the scan was stopped");
    if (events_.progress) {
      events_.progress({.files = report_.files,
                        .done = total - candidates_.size(),
                        .total = total,
                        .item = candidates_.front().name});
    }
    CandidateReader::Batch batch;
    while (batch.size() < kBatch && !candidates_.empty()) {
      batch.push_back(std::move(candidates_.front()));
      candidates_.pop_front();
    }
    RETURN_IF_ERROR(TakeBatch(std::move(batch)));
  }
  return OkStatus();
}

Status LibraryScan::TakeBatch(CandidateReader::Batch given) {
  const auto batch = std::make_shared<const CandidateReader::Batch>(std::move(given));
  ASSIGN_OR_RETURN(auto outcomes, reader_.Read(batch, threads_, patience_, stop_));
  CatalogChanges changes;
  std::vector<ModelSummary> found;
  for (size_t i = 0; i < batch->size(); ++i) {
    if (!outcomes[i]) {
      report_.findings.push_back({(*batch)[i].sighting.path, ErrorCode::kTimeout,
                                  "it was not read, as its disk or server does not answer"});
      continue;
    }
    if (outcomes[i]->inspected) ++report_.headers_read;
    if (outcomes[i]->row) changes.inspections.push_back(*std::move(outcomes[i]->row));
    Conclude((*batch)[i], *std::move(outcomes[i]), found);
  }
  for (const ModelSummary& model : found) changes.models.push_back(ToRow(model));
  if (!changes.models.empty() || !changes.inspections.empty()) {
    NoteCatalog(catalog_.Apply(changes));
  }
  if (found.empty()) return OkStatus();
  for (const ModelSummary& model : found) known_.Put(model);
  report_.added += found.size();
  if (events_.found) events_.found(std::move(found));
  return OkStatus();
}

void LibraryScan::Conclude(const ScanCandidate& candidate, ScanOutcome outcome,
                           std::vector<ModelSummary>& found) {
  const Sighting& sighting = candidate.sighting;
  const auto known = known_.Find(sighting.id);
  if (outcome.finding) report_.findings.push_back(*std::move(outcome.finding));
  if (!outcome.summary.ok()) {
    const Status& failure = outcome.summary.status();
    report_.findings.push_back({sighting.path, CodeOf(failure), std::string(Message(failure))});
  }
  if (!outcome.is_model()) {
    if (known) broken_.insert(sighting.id);
  } else if (!known) {
    found.push_back(*std::move(outcome.summary));
  } else if (IsUnchanged(sighting, candidate.name, *known) &&
             outcome.summary->verdict == known->verdict) {
    ++report_.unchanged;
  } else {
    report_.changed.push_back(*std::move(outcome.summary));
  }
}

void LibraryScan::FindRemoved() {
  known_.ForEach([&](const ModelId& id, const Known& known) {
    const bool gone = roots_.contains(known.root) && !sighted_.contains(id) && !IsOutOfReach(known);
    if (gone || broken_.contains(id)) report_.removed.push_back(id);
  });
  report_.models = known_.size() - report_.removed.size();
}

// What a scan that went well would not have seen.
bool LibraryScan::IsOutOfReach(const Known& known) const {
  for (std::string folder = known.folder; folder.size() > 1; folder = ParentOf(folder)) {
    if (unreadable_.contains(folder)) return true;
  }
  if (silent_.Contain(known.folder.str())) return true;
  const Root& root = roots_.find(known.root)->second;
  if (root.deep || known.folder == root.path || RepoFolderOf(known.folder) == root.path)
    return false;
  return os::CanonicalPath(known.folder).ok();
}

void LibraryScan::WriteChanges() {
  if (report_.added == 0 && report_.changed.empty() && report_.removed.empty()) return;
  CatalogChanges changes;
  changes.removed = report_.removed;
  for (const ModelSummary& model : report_.changed) {
    known_.Put(model);
    changes.models.push_back(ToRow(model));
  }
  for (const ModelId& id : report_.removed) known_.Forget(id);
  NoteCatalog(catalog_.Apply(changes));
}

// A catalog that can't be written costs a restart its memory, not this scan.
void LibraryScan::NoteCatalog(const Status& status) {
  if (status.ok() || catalog_failed_) return;
  catalog_failed_ = true;
  report_.findings.push_back({"", CodeOf(status), std::string(Message(status))});
}

}  // namespace warmset
