// Checks, behind all other work, whether files are what their names claim.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "cache/claim/file_hash.h"
#include "daemon/component_cache.h"
#include "daemon/library_service.h"
#include "inspect/manifest.h"
#include "os/event_loop.h"

namespace warmset {

// Hashes one file at a time on a thread of its own, from the memory of entries where
// they are in RAM. Loop thread only; must be stopped before the loop and the cache go.
class ClaimChecks {
 public:
  struct Events {
    // The file was checked, as library.claims() knows by now.
    std::function<void(const ManifestFile&, bool matches)> checked;
    // The check holds this component's entry no longer.
    std::function<void(const ComponentId&)> released;
  };

  ClaimChecks(os::EventLoop& loop, LibraryService& library, ComponentCache& cache, Events events);

  // Checks the model's files that claim a hash and were not checked in their present
  // state; nothing for those that are on their way.
  void Check(const ModelSummary& model);
  // Checks those again that were no match and were touched since.
  void CheckTouched(const ModelSummary& model);
  // Gives the memory back that the check at work reads, if this entry is of it (nullptr:
  // any): it goes on from the disk. Waits for microseconds.
  void YieldMemory(const Entry* entry);
  // Nothing is checked, and nothing waits for it.
  bool idle() const { return at_work_ == nullptr; }
  void Stop();

 private:
  using FileKey = std::pair<uint64_t, uint64_t>;  // device, inode
  // One model's files that are to be checked, one after another.
  struct Job {
    ModelSummary summary;
    std::vector<uint32_t> files;  // of summary, the next one last
    Manifest manifest;
    SourceFile source;  // of the file at work
    std::shared_ptr<ResidentRuns> resident;
  };
  using SharedJob = std::shared_ptr<Job>;

  void Enqueue(const ModelSummary& model, const std::function<bool(const ClaimResult&)>& wanted);
  void StartNext();
  void CheckNextFile(const SharedJob& job);
  // Holds the entries that have bytes of the file.
  std::vector<ResidentRun> HoldRuns(const Job& job, uint32_t file);
  StatusOr<std::string> Hash(const Job& job, std::stop_token stop);
  void OnHashed(const SharedJob& job, const StatusOr<std::string>& found);

  os::EventLoop& loop_;
  LibraryService& library_;
  ComponentCache& cache_;
  const Events events_;
  std::deque<SharedJob> queue_;
  SharedJob at_work_;
  std::vector<ComponentCache::Held> held_;  // of the file at work
  std::set<FileKey> pending_;
  std::unique_ptr<ThreadPool> thread_;  // last: joined first
};

}  // namespace warmset
