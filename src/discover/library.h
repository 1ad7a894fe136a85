// The models on this machine's disks, kept up to date by scans.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/claim_results.h"
#include "discover/model_summary.h"
#include "discover/scanner.h"
#include "inspect/manifest.h"
#include "isolate/inspector.h"

namespace warmset {

struct ScanProgress {
  uint64_t files = 0;  // weights files seen so far
  uint64_t done = 0;   // new or changed models looked into ...
  uint64_t total = 0;  // ... of these; 0 while folders are still being listed
  std::string item;    // the folder or model at hand
};

// The difference to what was known before.
struct ScanReport {
  std::vector<ModelSummary> added;
  std::vector<ModelSummary> changed;  // another revision, place or name of a known id
  std::vector<ModelId> removed;
  uint64_t unchanged = 0;
  uint64_t models = 0;        // known now
  uint64_t files = 0;         // weights files seen
  uint64_t headers_read = 0;  // models whose files were opened
  double seconds = 0;
  std::vector<ScanFinding> findings;  // broken files and what is odd
  FoldersByRoot folders;          // for Watcher::SetFolders()
};

// Scan() runs on one thread at a time and holds up nobody else; all methods are
// thread-safe and block on the disk.
class Library {
 public:
  using Progress = std::function<void(const ScanProgress&)>;

  // Both must outlive the library.
  Library(Catalog& catalog, Inspector& inspector, unsigned inspect_threads = 2);

  // What the catalog knows below these roots, for a start without a scan; models
  // of other roots are forgotten. Call before the first Scan().
  StatusOr<std::vector<ModelSummary>> Restore(const std::vector<Root>& roots);

  // Walks the roots, inspects what is new or changed, and records the outcome.
  // Models of roots that are not given stay as they are; models in folders that
  // can't be read just now, too. A file that changes in ctime only (a link, a
  // chmod, or new bytes with the old mtime) is reported as changed, with equal
  // component ids: whoever holds its bytes should verify them. A model that can't
  // be used is known with its verdict, and a finding says why at every scan; what is
  // of no known format is a finding only, and removed if it was a model. When the
  // catalog can't be written, the scan goes on and a finding says so.
  // kCancelled when stopped: then nothing is reported, and what was inspected
  // is kept in the catalog.
  StatusOr<ScanReport> Scan(const std::vector<Root>& roots, const Progress& progress,
                            std::stop_token stop);

  // Looks at one known model again. The summary as it is now, or what is wrong
  // with it: kFileNotFound when it is gone, kUnrecognizedFormat when it is no model
  // any more. On error the model is forgotten here and in the catalog.
  StatusOr<ModelSummary> Reinspect(const ModelSummary& model);

  // Which files are what their names claim. A model with one that is not is corrupt.
  ClaimResults& claims() { return claims_; }

  // The manifest of exactly that revision, whatever its verdict: from the catalog, else read from the
  // files once more (kFileChanged when they have another revision by now).
  StatusOr<Manifest> ManifestOf(const ModelSummary& model);
  // The same without a look at the files: kFileNotFound when the catalog does not have it.
  StatusOr<Manifest> KnownManifestOf(const ModelSummary& model);

 private:
  // What a scan has to remember of a model to see a difference.
  struct Known {
    RevisionId revision;
    std::string name;
    std::string root;
    std::string path;
    Verdict verdict = Verdict::kOk;
  };
  using KnownModels = std::unordered_map<ModelId, Known>;
  class ScanInProgress;

  StatusOr<Sighting> SightAgain(const ModelSummary& model);
  void RememberRoots(const std::vector<Root>& roots);
  KnownModels SnapshotKnown();
  void Remember(const ModelSummary& summary);
  void Forget(const ModelId& id);

  Catalog& catalog_;
  Inspector& inspector_;
  const unsigned inspect_threads_;
  ClaimResults claims_;

  absl::Mutex scan_mutex_;
  ShardListCache shard_lists_ ABSL_GUARDED_BY(scan_mutex_);

  absl::Mutex mutex_;  // after scan_mutex_
  KnownModels known_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Root> roots_ ABSL_GUARDED_BY(mutex_);  // by path
};

}  // namespace warmset
