#include "discover/library.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "discover/hub_names.h"
#include "discover/inspection.h"
#include "discover/library_scan.h"
#include "discover/patient_walk.h"
#include "discover/probe_place.h"
#include "fmt/format.h"

namespace warmset {
namespace {

// How long a manifest outlives its last model: a drive may be away for a while.
constexpr auto kKeepInspections = std::chrono::hours(24 * 30);
constexpr auto kForgetInterval = std::chrono::hours(24);

// Whether a shallow scan of its root does not see it.
bool IsDeeper(const ModelSummary& model) {
  return model.folder != model.root && RepoFolderOf(model.folder) != model.root.str();
}

}  // namespace

Library::Library(Catalog& catalog, Inspector& inspector, unsigned inspect_threads,
                 ScanPatience patience)
    : catalog_(catalog),
      inspector_(inspector),
      inspect_threads_(std::max(1u, inspect_threads)),
      claims_(catalog),
      patience_(patience),
      reader_(catalog, inspector, texts_, known_, silent_, threads_) {}

Status Library::Restore(const std::vector<Root>& given_roots,
                        const std::function<void(ModelSummary)>& visit) {
  RETURN_IF_ERROR(claims_.Restore());
  const std::vector<Root> roots = Normalized(given_roots);
  RememberRoots(roots);
  std::map<std::string, bool> deep;
  for (const Root& root : roots) deep.emplace(root.path, root.deep);
  CatalogChanges changes;
  RETURN_IF_ERROR(catalog_.ForEachModel([&](const ModelRow& row) {
    auto summary = FromRow(row, texts_);
    const auto root = summary.ok() ? deep.find(summary->root) : deep.end();
    if (root == deep.end() || (!root->second && IsDeeper(*summary))) {
      changes.removed.push_back(row.id);
      return;
    }
    known_.Put(*summary);
    visit(*std::move(summary));
  }));
  if (!changes.removed.empty()) (void)catalog_.Apply(changes);  // else the next start does it
  return OkStatus();
}

StatusOr<ScanReport> Library::Scan(const std::vector<Root>& given_roots, const ScanEvents& events,
                                   std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Root> roots = Normalized(given_roots);
  RememberRoots(roots);
  absl::MutexLock scan_lock(&scan_mutex_);
  const auto on_folder = [&](uint64_t files, const std::string& folder) {
    if (events.progress) events.progress({.files = files, .done = 0, .total = 0, .item = folder});
  };
  PatientWalk patient(inspector_, silent_, threads_, patience_.walk);
  ASSIGN_OR_RETURN(ScanWalk walk, patient.Walk(roots, shard_lists_, on_folder, stop));
  for (Sighting& sighting : walk.sightings) claims_.AddFindings(sighting);
  LibraryScan scan(catalog_, reader_, known_, silent_, inspect_threads_, patience_.read, events,
                   stop);
  ASSIGN_OR_RETURN(ScanReport report, scan.Run(roots, std::move(walk)));
  // Whoever watches them asks their disks once more, and the scan may have taken long.
  std::erase_if(report.folders, [&](const auto& folders) {
    return !Answers(folders.first, silent_, threads_, patience_.walk, stop);
  });
  ForgetOldInspections(start);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

StatusOr<ModelSummary> Library::Reinspect(const ModelSummary& model) {
  const auto look = [&]() -> StatusOr<ModelSummary> {
    ASSIGN_OR_RETURN(const Sighting sighting, SightAgain(model));
    Inspection inspection = InspectSighting(inspector_, sighting);
    ASSIGN_OR_RETURN(const Manifest manifest, std::move(inspection.manifest));
    if (manifest.verdict() == Verdict::kUnrecognized) {
      const ScanFinding finding = WorstOf(sighting, manifest.findings);
      return Error(finding.code, finding.path + ": " + finding.message);
    }
    ModelSummary summary = SummaryOf(sighting, model.name, manifest, texts_);
    // A catalog that can't be written is told by the next scan.
    (void)catalog_.Apply(
        {.models = {ToRow(summary)}, .removed = {}, .inspections = inspection.TakeRows()});
    return summary;
  };
  auto summary = look();
  if (summary.ok()) {
    known_.Put(*summary);
  } else {
    known_.Forget(model.id);
    (void)catalog_.Apply({.models = {}, .removed = {model.id}, .inspections = {}});
  }
  return summary;
}

StatusOr<Manifest> Library::KnownManifestOf(const ModelSummary& model) {
  const auto row = RecallInspection(catalog_, model.revision);
  if (!row) return Error(ErrorCode::kFileNotFound, "the catalog does not have the manifest");
  return ManifestIn(*row);
}

StatusOr<Manifest> Library::ManifestOf(const ModelSummary& model) {
  if (auto known = KnownManifestOf(model); known.ok()) return known;
  ASSIGN_OR_RETURN(const Sighting sighting, SightAgain(model));
  if (sighting.revision != model.revision) {
    return Error(ErrorCode::kFileChanged, fmt::format("{} has changed", model.path()));
  }
  Inspection inspection = InspectSighting(inspector_, sighting);
  if (inspection.row.failure.ok()) {
    (void)catalog_.Apply({.models = {}, .removed = {}, .inspections = inspection.TakeRows()});
  }
  return std::move(inspection.manifest);
}

StatusOr<Sighting> Library::SightAgain(const ModelSummary& model) {
  Root root{.path = model.root};
  {
    absl::MutexLock lock(&mutex_);
    if (const auto known = roots_.find(model.root); known != roots_.end()) root = known->second;
  }
  ShardListCache none;
  ScanWalk walk = Scanner(none, inspector_).Revisit(root, model.folder);
  for (Sighting& sighting : walk.sightings) {
    if (sighting.id != model.id) continue;
    claims_.AddFindings(sighting);
    return std::move(sighting);
  }
  if (!walk.unreadable.empty()) {
    return Error(walk.findings.front().code, walk.findings.front().message);
  }
  return Error(ErrorCode::kFileNotFound, fmt::format("{} is not there any more", model.path()));
}

// Reads the whole table, so not at each scan. What it can't do now it does later.
void Library::ForgetOldInspections(std::chrono::steady_clock::time_point now) {
  if (now < next_forgetting_) return;
  next_forgetting_ = now + kForgetInterval;
  const auto time = std::chrono::system_clock::now().time_since_epoch();
  (void)catalog_.PruneInspections(
      std::chrono::duration_cast<std::chrono::milliseconds>(time - kKeepInspections).count());
}

void Library::RememberRoots(const std::vector<Root>& roots) {
  absl::MutexLock lock(&mutex_);
  for (const Root& root : roots) roots_.insert_or_assign(root.path, root);
}

}  // namespace warmset
