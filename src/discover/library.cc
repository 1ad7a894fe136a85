#include "discover/library.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <unordered_set>
#include <utility>

#include "discover/model_folder.h"
#include "discover/names.h"
#include "fmt/format.h"

namespace warmset {
namespace {

// Models that are inspected between two writes to the catalog.
constexpr size_t kBatch = 64;
// How long a manifest outlives its last model: a drive may be away for a while.
constexpr auto kKeepInspections = std::chrono::hours(24 * 30);

ModelSummary SummaryOf(const Sighting& sighting, std::string name, const Manifest& manifest) {
  ModelSummary summary;
  summary.id = sighting.id;
  summary.revision = sighting.revision;
  summary.name = std::move(name);
  summary.root = sighting.root;
  summary.path = sighting.path;
  summary.folder = sighting.folder;
  Describe(manifest, summary);
  return summary;
}

bool LiesBelow(const std::string& path, const std::string& folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::set<std::string> PathsOf(const std::vector<Root>& roots) {
  std::set<std::string> paths;
  for (const Root& root : roots) paths.insert(root.path);
  return paths;
}

// What is wrong with a model, by the worst of its findings. REQUIRES: its verdict is
// not kOk.
ScanFinding WorstOf(const Sighting& sighting, const std::vector<Finding>& findings) {
  const Finding& worst = *std::max_element(
      findings.begin(), findings.end(),
      [](const Finding& a, const Finding& b) { return a.verdict < b.verdict; });
  const bool in_folder = worst.path.empty() || sighting.model.layout == ModelLayout::kFile;
  return {in_folder ? sighting.path : sighting.folder + "/" + worst.path,
          CodeOfVerdict(worst.verdict), worst.message};
}

StatusOr<Manifest> ManifestIn(const InspectionRow& row) {
  if (!row.failure.ok()) return row.failure;
  return DecodeManifest(row.manifest);
}

// What an inspector said of a sighting.
struct Inspection {
  StatusOr<Manifest> manifest;
  InspectionRow row;
  bool lasting = true;  // it will be so again as long as the files do not change
};

Inspection Inspect(Inspector& inspector, const Sighting& sighting) {
  Inspected inspected;
  if (!sighting.model.files.empty()) {
    ModelFolder folder(sighting.folder);
    auto result = inspector.Inspect(sighting.model, folder);
    if (!result.ok()) {
      const Status& failure = result.status();
      const bool lasting = CodeOf(failure) == ErrorCode::kCorruptedModel ||
                           CodeOf(failure) == ErrorCode::kUnsupportedFormat;
      return {failure, {sighting.revision, {}, failure}, lasting};
    }
    inspected = *std::move(result);
  }
  AddFindings(sighting, inspected.manifest);
  if (!sighting.findings.empty()) inspected.encoded = EncodeManifest(inspected.manifest);
  return {std::move(inspected.manifest),
          {sighting.revision, std::move(inspected.encoded), OkStatus()},
          inspected.lasting};
}

// What is worth keeping of it in the catalog.
std::vector<InspectionRow> RowsToKeep(Inspection& inspection) {
  std::vector<InspectionRow> rows;
  if (inspection.lasting) rows.push_back(std::move(inspection.row));
  return rows;
}

// What the catalog has, if it is of use.
std::optional<InspectionRow> Recall(Catalog& catalog, const RevisionId& revision) {
  auto row = catalog.FindInspection(revision);
  if (!row.ok() || !row->has_value()) return std::nullopt;
  return std::move(**row);
}

}  // namespace

// One scan: what was walked, compared step by step with what is known.
class Library::ScanInProgress {
 public:
  ScanInProgress(Catalog& catalog, Inspector& inspector, unsigned threads,
                 const Progress& progress, std::stop_token stop)
      : catalog_(catalog),
        inspector_(inspector),
        threads_(threads),
        progress_(progress),
        stop_(std::move(stop)) {}

  StatusOr<ScanReport> Run(const std::vector<Root>& roots, ScanWalk walk,
                           const KnownModels& known) {
    walk_ = std::move(walk);
    report_.files = walk_.files;
    report_.findings = std::move(walk_.findings);
    report_.folders = std::move(walk_.folders);
    Sort(PathsOf(roots), known);
    RETURN_IF_ERROR(InspectUnknown());
    Conclude(PathsOf(roots), known);
    WriteModels();
    return std::move(report_);
  }

 private:
  // A sighting that differs from what is known, and what became of it. Of its
  // manifest only this is kept: thousands may be in hand at a time.
  struct Candidate {
    Sighting* sighting = nullptr;
    std::string name;
    const Known* known = nullptr;
    bool inspected = false;
    Status failure;
    std::optional<ScanFinding> finding;  // what is wrong with it, if it could be read
    ModelSummary summary;

    void Take(StatusOr<Manifest> manifest) {
      inspected = true;
      failure = manifest.status();
      if (!manifest.ok()) return;
      summary = SummaryOf(*sighting, name, *manifest);
      if (summary.verdict != Verdict::kOk) finding = WorstOf(*sighting, manifest->findings);
    }
    // Whether there is a model to be listed.
    bool is_model() const { return failure.ok() && summary.verdict != Verdict::kUnrecognized; }
  };

  // Names the sightings, drops the unchanged ones, and recalls what was
  // inspected before.
  void Sort(const std::set<std::string>& roots, const KnownModels& known) {
    // Models of roots that are not scanned now keep their names.
    std::set<std::string> taken;
    for (const auto& [id, model] : known) {
      if (!roots.contains(model.root)) taken.insert(model.name);
    }
    std::vector<Sighting*> mine;
    std::vector<NameRequest> requests;
    for (Sighting& sighting : walk_.sightings) {
      sighted_.insert(sighting.id);
      const auto found = known.find(sighting.id);
      if (found != known.end() && !roots.contains(found->second.root)) {
        Compare(sighting, found->second.name, &found->second);
        continue;
      }
      mine.push_back(&sighting);
      requests.push_back({sighting.base_name, sighting.parent, sighting.id});
    }
    std::vector<std::string> names = UniqueNames(requests, taken);
    for (size_t i = 0; i < mine.size(); ++i) {
      const auto found = known.find(mine[i]->id);
      Compare(*mine[i], std::move(names[i]), found == known.end() ? nullptr : &found->second);
    }
  }

  void Compare(Sighting& sighting, std::string name, const Known* known) {
    if (IsUnchanged(sighting, name, known) && known->verdict == Verdict::kOk) {
      ++report_.unchanged;
      return;
    }
    Candidate& candidate = candidates_.emplace_back();
    candidate.sighting = &sighting;
    candidate.name = std::move(name);
    candidate.known = known;
    // What was missing may have come without a change of what the scan sees.
    if (known != nullptr && known->verdict == Verdict::kIncomplete) return;
    if (const auto row = Recall(catalog_, sighting.revision)) {
      auto manifest = ManifestIn(*row);
      // A manifest of another version is as good as none.
      if (CodeOf(manifest.status()) != ErrorCode::kVersionMismatch) {
        candidate.Take(std::move(manifest));
      }
    }
  }

  static bool IsUnchanged(const Sighting& sighting, const std::string& name, const Known* known) {
    return known != nullptr && known->revision == sighting.revision && known->name == name &&
           known->path == sighting.path;
  }

  Status InspectUnknown() {
    std::vector<Candidate*> unknown;
    for (Candidate& candidate : candidates_) {
      if (!candidate.inspected) unknown.push_back(&candidate);
    }
    for (size_t begin = 0; begin < unknown.size(); begin += kBatch) {
      if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "the scan was stopped");
      if (progress_) {
        progress_({.files = report_.files,
                   .done = begin,
                   .total = unknown.size(),
                   .item = unknown[begin]->name});
      }
      const size_t size = std::min(kBatch, unknown.size() - begin);
      InspectBatch(std::span(unknown).subspan(begin, size));
    }
    return OkStatus();
  }

  void InspectBatch(std::span<Candidate* const> batch) {
    absl::Mutex mutex;
    std::vector<InspectionRow> rows;  // guarded by the mutex
    std::atomic<size_t> next = 0;
    const auto work = [&] {
      for (size_t i = next++; i < batch.size(); i = next++) {
        Inspection inspection = Inspect(inspector_, *batch[i]->sighting);
        batch[i]->Take(std::move(inspection.manifest));
        if (!inspection.lasting) continue;
        absl::MutexLock lock(&mutex);
        rows.push_back(std::move(inspection.row));
      }
    };
    {
      std::vector<std::jthread> helpers;
      for (unsigned i = 1; i < threads_ && i < batch.size(); ++i) helpers.emplace_back(work);
      work();
    }
    report_.headers_read += batch.size();
    NoteCatalog(catalog_.Apply({.models = {}, .removed = {}, .inspections = std::move(rows)}));
  }

  void Conclude(const std::set<std::string>& roots, const KnownModels& known) {
    std::unordered_set<ModelId> broken;
    for (Candidate& candidate : candidates_) {
      const Sighting& sighting = *candidate.sighting;
      if (candidate.finding) report_.findings.push_back(*std::move(candidate.finding));
      if (!candidate.failure.ok()) {
        report_.findings.push_back(
            {sighting.path, CodeOf(candidate.failure), std::string(Message(candidate.failure))});
      }
      if (!candidate.is_model()) {
        if (candidate.known != nullptr) broken.insert(sighting.id);
      } else if (candidate.known == nullptr) {
        report_.added.push_back(std::move(candidate.summary));
      } else if (IsUnchanged(sighting, candidate.name, candidate.known) &&
                 candidate.summary.verdict == candidate.known->verdict) {
        ++report_.unchanged;
      } else {
        report_.changed.push_back(std::move(candidate.summary));
      }
    }
    for (const auto& [id, model] : known) {
      const bool gone =
          roots.contains(model.root) && !sighted_.contains(id) && !IsUnreadable(model);
      if (gone || broken.contains(id)) report_.removed.push_back(id);
    }
    report_.models = known.size() + report_.added.size() - report_.removed.size();
  }

  bool IsUnreadable(const Known& model) const {
    return std::any_of(walk_.unreadable.begin(), walk_.unreadable.end(),
                       [&](const std::string& folder) { return LiesBelow(model.path, folder); });
  }

  void WriteModels() {
    CatalogChanges changes;
    changes.removed = report_.removed;
    for (const ModelSummary& model : report_.added) changes.models.push_back(ToRow(model));
    for (const ModelSummary& model : report_.changed) changes.models.push_back(ToRow(model));
    if (changes.models.empty() && changes.removed.empty()) return;
    NoteCatalog(catalog_.Apply(changes));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    NoteCatalog(catalog_.PruneInspections(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - kKeepInspections).count()));
  }

  // A catalog that can't be written costs a restart its memory, not this scan.
  void NoteCatalog(const Status& status) {
    if (status.ok() || catalog_failed_) return;
    catalog_failed_ = true;
    report_.findings.push_back({"", CodeOf(status), std::string(Message(status))});
  }

  Catalog& catalog_;
  Inspector& inspector_;
  const unsigned threads_;
  const Progress& progress_;
  const std::stop_token stop_;
  ScanWalk walk_;
  std::vector<Candidate> candidates_;
  std::unordered_set<ModelId> sighted_;
  ScanReport report_;
  bool catalog_failed_ = false;
};

Library::Library(Catalog& catalog, Inspector& inspector, unsigned inspect_threads)
    : catalog_(catalog),
      inspector_(inspector),
      inspect_threads_(std::max(1u, inspect_threads)),
      claims_(catalog) {}

StatusOr<std::vector<ModelSummary>> Library::Restore(const std::vector<Root>& roots) {
  RETURN_IF_ERROR(claims_.Restore());
  ASSIGN_OR_RETURN(const std::vector<ModelRow> rows, catalog_.Models());
  const std::set<std::string> paths = PathsOf(Normalized(roots));
  RememberRoots(Normalized(roots));
  std::vector<ModelSummary> models;
  CatalogChanges changes;
  for (const ModelRow& row : rows) {
    auto summary = FromRow(row);
    if (!summary.ok() || !paths.contains(summary->root)) {
      changes.removed.push_back(row.id);
      continue;
    }
    Remember(*summary);
    models.push_back(*std::move(summary));
  }
  if (!changes.removed.empty()) (void)catalog_.Apply(changes);  // else the next start does it
  return models;
}

StatusOr<ScanReport> Library::Scan(const std::vector<Root>& given_roots, const Progress& progress,
                                   std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Root> roots = Normalized(given_roots);
  RememberRoots(roots);
  absl::MutexLock scan_lock(&scan_mutex_);
  const auto on_folder = [&](uint64_t files, const std::string& folder) {
    if (progress) progress({.files = files, .done = 0, .total = 0, .item = folder});
  };
  ASSIGN_OR_RETURN(ScanWalk walk, Scanner(shard_lists_, inspector_).Walk(roots, on_folder, stop));
  for (Sighting& sighting : walk.sightings) claims_.AddFindings(sighting);
  ScanInProgress scan(catalog_, inspector_, inspect_threads_, progress, stop);
  ASSIGN_OR_RETURN(ScanReport report, scan.Run(roots, std::move(walk), SnapshotKnown()));
  for (const ModelSummary& model : report.added) Remember(model);
  for (const ModelSummary& model : report.changed) Remember(model);
  for (const ModelId& id : report.removed) Forget(id);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

StatusOr<ModelSummary> Library::Reinspect(const ModelSummary& model) {
  const auto look = [&]() -> StatusOr<ModelSummary> {
    ASSIGN_OR_RETURN(const Sighting sighting, SightAgain(model));
    Inspection inspection = Inspect(inspector_, sighting);
    ASSIGN_OR_RETURN(const Manifest manifest, std::move(inspection.manifest));
    if (manifest.verdict() == Verdict::kUnrecognized) {
      const ScanFinding finding = WorstOf(sighting, manifest.findings);
      return Error(finding.code, finding.path + ": " + finding.message);
    }
    ModelSummary summary = SummaryOf(sighting, model.name, manifest);
    // A catalog that can't be written is told by the next scan.
    (void)catalog_.Apply({.models = {ToRow(summary)},
                          .removed = {},
                          .inspections = RowsToKeep(inspection)});
    return summary;
  };
  auto summary = look();
  if (summary.ok()) {
    Remember(*summary);
  } else {
    Forget(model.id);
    (void)catalog_.Apply({.models = {}, .removed = {model.id}, .inspections = {}});
  }
  return summary;
}

StatusOr<Manifest> Library::KnownManifestOf(const ModelSummary& model) {
  const auto row = Recall(catalog_, model.revision);
  if (!row) return Error(ErrorCode::kFileNotFound, "the catalog does not have the manifest");
  return ManifestIn(*row);
}

StatusOr<Manifest> Library::ManifestOf(const ModelSummary& model) {
  if (auto known = KnownManifestOf(model); known.ok()) return known;
  ASSIGN_OR_RETURN(const Sighting sighting, SightAgain(model));
  if (sighting.revision != model.revision) {
    return Error(ErrorCode::kFileChanged, fmt::format("{} has changed", model.path));
  }
  Inspection inspection = Inspect(inspector_, sighting);
  if (inspection.row.failure.ok()) {
    (void)catalog_.Apply({.models = {}, .removed = {}, .inspections = RowsToKeep(inspection)});
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
  return Error(ErrorCode::kFileNotFound, fmt::format("{} is not there any more", model.path));
}

void Library::RememberRoots(const std::vector<Root>& roots) {
  absl::MutexLock lock(&mutex_);
  for (const Root& root : roots) roots_.insert_or_assign(root.path, root);
}

Library::KnownModels Library::SnapshotKnown() {
  absl::MutexLock lock(&mutex_);
  return known_;
}

void Library::Remember(const ModelSummary& summary) {
  absl::MutexLock lock(&mutex_);
  known_[summary.id] = {summary.revision, summary.name, summary.root, summary.path,
                        summary.verdict};
}

void Library::Forget(const ModelId& id) {
  absl::MutexLock lock(&mutex_);
  known_.erase(id);
}

}  // namespace warmset
