// Files that clients pass by descriptor: which model they belong to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/disk_threads.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "catalog/catalog.h"
#include "daemon/library_service.h"
#include "daemon/model_registry.h"
#include "isolate/inspector.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"

namespace warmset {

// A component that has bytes of the file.
struct FilePart {
  std::string component;
  // Where in the component's memory the file's bytes are, as [begin, end);
  // empty when the component has bytes of no other file.
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
};

struct PassedFile {
  ModelId model;
  RevisionId revision;  // of the model; the parts hold for this one
  uint32_t index = 0;   // among the model's files
  std::vector<FilePart> parts;
};

// Whose a passed file is goes by the file alone, and by paths that lead to it; what the
// client calls it is a claim (docs/design/claims.md):
// 1. a model that has the file in this very state;
// 2. a model of the library, looked at again, whose path leads to it now: a new revision;
// 3. else an ad hoc model, named by its base name. The same path again is a new revision
//    of the same ad hoc model.
// An ad hoc model is forgotten when its path leads elsewhere, or its entry left RAM, and
// nothing uses it. Loop thread only.
class PassedFiles {
 public:
  using Done = std::function<void(StatusOr<PassedFile>)>;
  struct Events {
    // As in LibraryService: an ad hoc model's file has other content, or is gone.
    LibraryService::OnDropped dropped;
    // No model has these components any more, and none ever will.
    std::function<void(const std::vector<ComponentId>&)> forgotten;
    // A session, a device or a request uses the model.
    std::function<bool(const Model&)> is_in_use;
    // The component is in RAM, or on its way.
    std::function<bool(const ComponentId&)> is_resident;
  };

  // Files are looked at by `disks`.
  PassedFiles(os::EventLoop& loop, ThreadPool& pool, DiskThreads& disks, ModelRegistry& registry,
              LibraryService& library, Catalog& catalog, Inspector& inspector, Events events);

  // Calls done later and exactly once. Errors: kInvalidRequest for a descriptor
  // that is no readable file, and those of InspectFile().
  // Also kCorruptedModel and kIncompatibleModel, for a file that may not be used.
  void Resolve(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path, Done done);

  // What is in the file; it does not become a model. Calls done later and once.
  void Look(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path,
            std::function<void(const StatusOr<Manifest>&)> done);

  // Looks where the ad hoc models' paths lead, and forgets those of no more use. Calls
  // done later with how many models went.
  void Sweep(std::function<void(size_t)> done);
  // An entry left RAM, or a lease ended: sweeps soon.
  void SweepSoon();

 private:
  // A file on its way through the three steps.
  struct Passed {
    std::shared_ptr<const os::UniqueFd> file;
    std::string client_path;
    Done done;
    os::FileIdentity identity;
    std::vector<std::string> paths;  // that lead to it, as this process sees them
    bool is_deleted = false;
    std::set<ModelId> looked_at;  // again, in step 2
  };
  using SharedPassed = std::shared_ptr<Passed>;
  struct Inspected {
    os::FileIdentity identity;
    ModelSummary summary;  // without id and name
    Manifest manifest;
  };
  // Where an ad hoc model's file should be.
  struct Place {
    ModelId model;
    std::string path;
    os::FileIdentity identity;
    bool leads_elsewhere = false;
  };

  static Status Identify(Passed& passed);
  void FindModel(const SharedPassed& passed);
  // A model of the library that should be looked at again; nullptr: none.
  const Model* CandidateFor(const Passed& passed);
  void InspectAdHoc(const SharedPassed& passed);
  void InspectAdHocNow(const SharedPassed& passed);
  StatusOr<Inspected> Inspect(int fd, const std::string& name) const;
  void PartsOf(const ModelId& model, uint32_t index, Done done);
  // Returns the components whose bytes are not those of an earlier file: its inode, and
  // so its id, may have been another's.
  std::vector<ComponentId> Register(Inspected inspected, const Passed& passed);
  void HandOn(const SharedPassed& passed);
  void Forget(const ModelId& id);
  std::string UniqueName(const std::string& client_path) const;
  size_t OnLooked(const std::vector<Place>& places);
  // Components of the model that no other model has.
  std::vector<ComponentId> OwnComponents(const Model& model) const;

  os::EventLoop& loop_;
  ThreadPool& pool_;
  DiskThreads& disks_;
  ModelRegistry& registry_;
  LibraryService& library_;
  Catalog& catalog_;
  Inspector& inspector_;
  const Events events_;
  mutable TextPool texts_;
  std::multiset<ModelId> arriving_;  // registered, and not handed on yet
  bool sweep_is_due_ = false;
  os::EventLoop::TimerId look_timer_ = 0;
};

}  // namespace warmset
