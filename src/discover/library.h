// The models on this machine's disks, kept up to date by scans.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/loose_threads.h"
#include "base/shared_text.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/candidate_reader.h"
#include "discover/claim_results.h"
#include "discover/known_models.h"
#include "discover/model_summary.h"
#include "discover/scanner.h"
#include "discover/silent_places.h"
#include "inspect/manifest.h"
#include "isolate/inspector.h"

namespace warmset {

struct ScanProgress {
  uint64_t files = 0;  // weights files seen so far
  uint64_t done = 0;   // new or changed models looked into ...
  uint64_t total = 0;  // ... of these; 0 while folders are still being listed
  std::string item;    // the folder or model at hand

  friend bool operator==(const ScanProgress&, const ScanProgress&) = default;
};

// The difference to what was known before, but for the new models themselves.
struct ScanReport {
  uint64_t added = 0;
  std::vector<ModelSummary> changed;  // another revision, place or name of a known id
  std::vector<ModelId> removed;
  uint64_t unchanged = 0;
  uint64_t models = 0;        // known now
  uint64_t files = 0;         // weights files seen
  uint64_t headers_read = 0;  // models whose files were opened
  double seconds = 0;
  std::vector<ScanFinding> findings;       // broken files and what is odd
  // For Watcher::SetFolders(); of roots that answered at the scan's end.
  FoldersByRoot folders;
  std::map<std::string, RootState> roots;  // as the scan began; without those that are silent
};

// What a scan reports while it runs, on its thread. Each may be empty.
struct ScanEvents {
  std::function<void(const ScanProgress&)> progress;
  // New models, in batches, as soon as they are recorded.
  std::function<void(std::vector<ModelSummary>)> found;
};

// How long a scan waits for a disk or server that gives no sign at all.
struct ScanPatience {
  std::chrono::milliseconds walk{5'000};  // while folders are listed
  // While models are read: above what the inspection allows one.
  std::chrono::milliseconds read{30'000};
};

// Scan() runs on one thread at a time and holds up nobody else; all methods are
// thread-safe and block on the disk, but Scan() goes on without what does not answer.
class Library {
 public:
  // Both must outlive the library.
  Library(Catalog& catalog, Inspector& inspector, unsigned inspect_threads = 2,
          ScanPatience patience = {});

  // What the catalog knows below these roots, for a start without a scan: visit() gets
  // each. Models of other roots are forgotten, and those in folders of a shallow one.
  // Call before the first Scan().
  Status Restore(const std::vector<Root>& roots, const std::function<void(ModelSummary)>& visit);

  // Walks the roots, inspects what is new or changed, and records the outcome.
  // Folders that do not answer become silent and are left out as unreadable ones are, until
  // they answer. Models of roots that are not given stay as they are; models in folders that
  // can't be read just now or that a shallow scan does not reach, too. A file that changes in ctime
  // only (a link, a chmod, or new bytes with the old mtime) is reported as changed, with equal
  // component ids: whoever holds its bytes should verify them. A model that can't
  // be used is known with its verdict, and a finding says why at every scan; what is
  // of no known format is a finding only, and removed if it was a model. When the
  // catalog can't be written, the scan goes on and a finding says so.
  // kCancelled when stopped: then there is no report, and what was found is known.
  StatusOr<ScanReport> Scan(const std::vector<Root>& roots, const ScanEvents& events,
                            std::stop_token stop);

  // Looks at one known model again. The summary as it is now, or what is wrong
  // with it: kFileNotFound when it is gone, kUnrecognizedFormat when it is no model
  // any more. On error the model is forgotten here and in the catalog.
  StatusOr<ModelSummary> Reinspect(const ModelSummary& model);

  // The folders that a scan waits for, and those that the caller adds: scans do not touch them.
  SilentPlaces& silent() { return silent_; }

  // Asks the threads that wait for disks to stop, and waits for them until the deadline;
  // false when some still run. REQUIRES: no scan runs, or it is asked to stop.
  bool StopBy(std::chrono::steady_clock::time_point deadline) { return threads_.StopBy(deadline); }

  // Which files are what their names claim. A model with one that is not is corrupt.
  ClaimResults& claims() { return claims_; }

  // The manifest of exactly that revision, whatever its verdict: from the catalog, else read from
  // the files once more (kFileChanged when they have another revision by now).
  StatusOr<Manifest> ManifestOf(const ModelSummary& model);
  // The same without a look at the files: kFileNotFound when the catalog does not have it.
  StatusOr<Manifest> KnownManifestOf(const ModelSummary& model);

 private:
  StatusOr<Sighting> SightAgain(const ModelSummary& model);
  void RememberRoots(const std::vector<Root>& roots);
  void ForgetOldInspections(std::chrono::steady_clock::time_point now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(scan_mutex_);

  Catalog& catalog_;
  Inspector& inspector_;
  const unsigned inspect_threads_;
  ClaimResults claims_;

  absl::Mutex scan_mutex_;
  ShardListCache shard_lists_ ABSL_GUARDED_BY(scan_mutex_);
  std::chrono::steady_clock::time_point next_forgetting_ ABSL_GUARDED_BY(scan_mutex_);

  TextPool texts_;
  KnownModels known_;
  absl::Mutex mutex_;                                          // after scan_mutex_
  std::map<std::string, Root> roots_ ABSL_GUARDED_BY(mutex_);  // by path

  const ScanPatience patience_;
  SilentPlaces silent_;
  CandidateReader reader_;
  LooseThreads threads_;  // last: joined first
};

}  // namespace warmset
