// Keeps the registry equal to the disks: scans, inotify, single inspections.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk_threads.h"
#include "base/loose_threads.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "catalog/catalog.h"
#include "daemon/model_registry.h"
#include "daemon/options.h"
#include "discover/library.h"
#include "discover/root_state.h"
#include "discover/watcher.h"
#include "os/event_loop.h"

namespace warmset {

// Scans run one after another on a thread of their own. Loop thread only.
class LibraryService {
 public:
  struct ScanRequest {
    std::vector<std::string> paths;                     // absolute; empty: every root
    std::optional<bool> deep;                           // nothing: as the root is configured
    std::function<void(const ScanProgress&)> progress;  // may be empty
  };
  using ScanDone = std::function<void(StatusOr<ScanReport>)>;

  // What a change of the registry means for others; called after it.
  using OnDropped =
      std::function<void(const std::vector<ModelId>&, const std::vector<ComponentId>&)>;
  struct Events {
    // The components that no model has any more, and the models that lost or replaced
    // any.
    OnDropped dropped;
    // A scan has found models.
    std::function<void()> found;
    // What is wrong with a root or a folder below one, and what to do; an empty text when
    // that is over. May be empty.
    std::function<void(const std::string& subject, const std::string& text)> notice = {};
  };

  LibraryService(os::EventLoop& loop, Catalog& catalog, Inspector& inspector,
                 ModelRegistry& registry, const Options& options, Events events);

  // Fills the registry from the catalog; blocks. Call once, before the rest.
  // kInvalidConfig when a file of ComfyUI's folders can't be read.
  Status Restore();

  // Kept in the catalog, which may block for a moment; nothing has changed if
  // that fails.
  Status SetOverride(const ModelId& id, const ModelOverride& override_by_user);
  // Likewise how the user wants it kept in RAM.
  Status SetCacheSettings(const ModelId& id, const CacheSettings& settings);

  // Calls done later and exactly once. A path becomes a root until restart.
  void Scan(ScanRequest request, ScanDone done);
  bool scanning() const { return running_; }
  // How far the scan is that runs; nothing when none does.
  const std::optional<ScanProgress>& progress() const { return progress_; }
  // Until then a model that is not known may yet be found.
  bool first_scan_done() const { return first_scan_done_; }
  // Whether Restore() brought models.
  bool restored() const { return restored_; }
  std::vector<std::string> roots() const;
  // Looks at one model again, also while a scan runs. done gets what is wrong
  // with it; then the registry has it no more.
  void Reinspect(const ModelId& id, std::function<void(Status)> done);

  // Called with each model that was found, or found changed.
  void SetSighted(std::function<void(const ModelSummary&)> sighted) {
    sighted_ = std::move(sighted);
  }

  // Which files are what their names claim; thread-safe.
  ClaimResults& claims() { return library_.claims(); }

  // Blocks on the disk; thread-safe.
  StatusOr<Manifest> ManifestOf(const ModelSummary& model) { return library_.ManifestOf(model); }
  // From the catalog alone; thread-safe.
  StatusOr<Manifest> KnownManifestOf(const ModelSummary& model) {
    return library_.KnownManifestOf(model);
  }

  // Asks scans and inspections to stop, and waits for them until the deadline; false when
  // some still run.
  bool StopBy(std::chrono::steady_clock::time_point deadline) {
    const bool scans = thread_.StopBy(deadline);
    const bool walks = library_.StopBy(deadline);
    const bool looks = root_checks_.StopBy(deadline);
    return inspections_.StopBy(deadline) && scans && walks && looks;
  }

 private:
  struct Queued {
    ScanRequest request;
    ScanDone done;
  };

  std::vector<Root> RootsFor(const ScanRequest& request);
  void StartNext();
  // On the scan's thread.
  ScanEvents EventsFor(const std::shared_ptr<Queued>& queued);
  void Finish(const Queued& queued, StatusOr<ScanReport> report);
  void Apply(const ScanReport& report);
  void Replace(std::vector<ModelSummary> now, const std::vector<ModelId>& removed);
  void StartWatching();
  void OnWatcherReadable();
  void ScheduleChanged();
  // Looks now and then for roots that became others without an event.
  void ScheduleRootCheck();
  void CheckRoots();
  void CheckRoot(const std::string& root);
  void RescanRoots(std::vector<std::string> paths);
  // What is below the place was left out by scans until now.
  void OnSilence(const std::string& place, bool silent);
  void NoteRoot(const std::string& root, const RootState& state);
  void Note(const std::string& subject, const std::string& text);

  os::EventLoop& loop_;
  Catalog& catalog_;
  ModelRegistry& registry_;
  const Events events_;
  std::function<void(const ModelSummary&)> sighted_;
  Library library_;
  const std::vector<std::string> comfyui_paths_;
  const std::vector<std::string> configured_roots_;
  std::vector<Root> roots_;
  const bool watch_;
  std::unique_ptr<Watcher> watcher_;
  os::EventLoop::TimerId watch_timer_ = 0;
  std::deque<Queued> queue_;
  bool running_ = false;
  std::optional<ScanProgress> progress_;
  bool first_scan_done_ = false;
  bool restored_ = false;
  std::string told_limitation_;
  std::map<std::string, RootState> root_states_;  // as the last scans began
  // Roots whose look has not come back, and since when.
  struct Look {
    std::chrono::steady_clock::time_point since;
    bool silent = false;
  };
  std::map<std::string, Look> looks_;
  std::map<std::string, std::string> notices_;  // by subject
  LooseThreads root_checks_;
  ThreadPool thread_{1};  // last: joined first
  DiskThreads inspections_{1};
};

}  // namespace warmset
