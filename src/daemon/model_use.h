// The way from a name that a user typed to entries that may be handed out:
// steps 2 to 4 of docs/design/daemon.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/disk_threads.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "catalog/catalog.h"
#include "daemon/admission.h"
#include "daemon/component_cache.h"
#include "daemon/disk_patience.h"
#include "daemon/file_check.h"
#include "daemon/library_service.h"
#include "daemon/model_registry.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"

namespace warmset {

// Stretches of an entry, as [begin, end).
using ByteRanges = std::vector<std::pair<uint64_t, uint64_t>>;
uint64_t BytesIn(const ByteRanges& ranges);

// A component all of whose bytes lie in one of the model's files, among others.
struct FileView {
  ComponentId component;
  uint32_t file = 0;  // index into the model's files
  ByteRanges ranges;  // of the file
};

// Loop thread only.
class ModelUse {
 public:
  struct Request {
    ModelId model;
    std::vector<std::string> components{};  // empty: all
    Admission admission = Admission::kRefused;
    // Of the one component: all that is wanted of it. What is there only compressed is
    // decoded no further; else the whole entry comes.
    std::vector<std::string> tensors{};
    // What is in RAM only compressed need not be decoded.
    bool compressed_serves = false;
    // A component that lies in a file that is open by path may come as a view of that.
    bool views_serve = false;
    // Instead of components: an entry for each file, byte for byte, in memory that can
    // have a name where that can be had.
    bool whole_files = false;
    // Whether other entries may be evicted to make room.
    bool may_evict = true;
    // Nobody waits: what is in RAM in any form is left as it is.
    std::optional<PreloadReason> preload{};
    std::string user{};  // who asks; empty: the daemon itself
    // A file of the model that a client passed, read instead of the path: it
    // may be one that this process can't open.
    std::shared_ptr<const os::UniqueFd> passed_file{};
    uint32_t passed_index = 0;  // which of the model's files it is

    // Whether it is a use of the model. What the daemon does by itself is none: it brings
    // back what was there before a restart, or what a device's worker has lost.
    bool counts() const { return preload ? IsAskedFor(*preload) : !user.empty(); }
  };
  struct Component {
    uint32_t index = 0;  // among Result::model's components (or files)
    ComponentCache::Held held{};
    uint64_t read_bytes = 0;
    bool decoded = false;
    ComponentId file{};  // of what was asked of the cache: by which it knows it
    Status unguarded{};  // of a whole file: why it can't have a name
    // Of a view: held is the entry of a whole file, and the component's bytes lie here.
    ByteRanges ranges{};
    // Instead of held: the tensors that were wanted, or the compressed form.
    std::shared_ptr<const Entry> part{};
    std::shared_ptr<const CompressedEntry> compressed{};

    // REQUIRES: it is not compressed.
    const Entry& entry() const { return part != nullptr ? *part : held->entry(); }
    // Of the raw entry, or of its part.
    uint64_t bytes() const {
      if (!ranges.empty()) return BytesIn(ranges);
      return compressed ? compressed->raw_bytes() : entry().bytes();
    }
    const ComponentId& id() const {
      return compressed ? compressed->component().id : entry().component();
    }
  };
  struct Result {
    // The model in the revision that was used: what the indices below mean. The registry
    // may have another by now.
    std::shared_ptr<const ModelSummary> model;
    std::vector<Component> components;
    std::vector<std::string> evicted;
    std::vector<std::string> warnings;  // for the user, although it worked
    SkippedParts skipped;               // of a forced use
    std::vector<FileView> views;        // of whole files
    std::chrono::nanoseconds took{0};
  };
  using Done = std::function<void(StatusOr<Result>)>;

  // Names a use until it is answered; never the same twice.
  using UseId = uint64_t;

  // Files are looked at by `disks`; `pool` is for what asks the catalog alone.
  ModelUse(os::EventLoop& loop, ThreadPool& pool, DiskThreads& disks, ModelRegistry& registry,
           LibraryService& library, ComponentCache& cache, Catalog& catalog, DiskPatience patience);

  // Calls done later and exactly once. The registry may have a new revision of the model
  // by then. Errors: kModelNotFound (gone meanwhile), kComponentNotFound,
  // kFileNotFound, kCorruptedModel and kIncompatibleModel (both with models that
  // may serve instead), kFileChanged, kRamLimitExceeded, kIoError; what they say of
  // the model is kept as its last error. kRamLimitExceeded for what can't fit as a whole
  // comes before anything is evicted. kTimeout when a disk does not answer.
  UseId Use(Request request, Done done);
  // Whoever asked has left: the use ends with kCancelled, its loads stop unless others wait
  // for them, and what it alone has brought into RAM leaves again. Nothing for a use that
  // is answered.
  void Cancel(UseId use);
  // The model's name; empty for a use that is answered.
  std::string NameOf(UseId use) const;
  // Bytes read of all that had to be read when the use began; `done` never falls. Nothing
  // before that is known, and when it is answered.
  std::optional<LoadProgress> ProgressOf(UseId use);
  // The same of the largest use of a model that is on its way.
  std::optional<LoadProgress> ProgressOf(const ModelId& model);
  // Asked for components that are not in RAM themselves.
  struct View {
    ComponentCache::Held file;
    ByteRanges ranges;
  };
  void SetViews(std::function<std::optional<View>(const ComponentId&)> view_of) {
    view_of_ = std::move(view_of);
  }
  // No use is on its way.
  bool idle() const { return open_.empty(); }
  // A use of this model is.
  bool IsBusy(const ModelId& model) const { return busy_.contains(model); }
  // Told of each request that a user waits for, when its components were asked for.
  void SetDemanded(std::function<void(const Request&)> demanded) {
    demanded_ = std::move(demanded);
  }

  // Called with each model whose components were found or loaded.
  void SetUsed(std::function<void(const ModelSummary&)> used) { used_ = std::move(used); }

  // How models were used since the last call, to be recorded.
  std::unordered_map<ModelId, NewUses> TakeUses() { return std::exchange(uses_, {}); }
  // Told when TakeUses() has more of a model.
  void SetCounted(std::function<void(const ModelId&)> counted) { counted_ = std::move(counted); }

 private:
  struct Attempt;
  struct Operation;
  using Shared = std::shared_ptr<Operation>;
  using SharedAttempt = std::shared_ptr<const Attempt>;
  // What a thread found out before the entries can be asked for.
  struct Prepared {
    FileCheck check;
    std::vector<ComponentSource> sources;  // of the components that are not in RAM
    SkippedParts skipped;
    std::vector<FileView> views;
  };

  void Start(const Shared& operation);
  // What serves in place of the component's own entry, where the request allows that.
  std::optional<View> ViewOf(const Request& request, const ComponentId& component) const;
  // Chooses the components to use; false when the model may not be used.
  StatusOr<bool> Select(Operation& operation, Attempt& attempt, const Model& model);
  // In model_use_files.cc; the const ones run on any thread.
  void LookAtFiles(const Shared& operation);
  StatusOr<Prepared> Prepare(const Request& request, const Attempt& attempt,
                             std::stop_token stop) const;
  StatusOr<std::vector<ComponentSource>> SourcesOf(const Request& request, const Attempt& attempt,
                                                   const Manifest& manifest,
                                                   const std::vector<uint32_t>& components) const;
  // The look at its files takes long: serves it without, if all is in RAM.
  void OnLate(const Shared& operation);
  void ServeUnchecked(const Shared& operation, std::vector<ComponentSource> sources);
  // Its thread has returned, whether or not that is still waited for.
  void EndLook(Operation& operation, const SharedAttempt& attempt);

  void OnPrepared(const Shared& operation, const SharedAttempt& attempt,
                  StatusOr<Prepared> prepared);
  void InspectAgain(const Shared& operation, const std::string& path);
  Status CheckRoom(const Operation& operation, const std::vector<ComponentSource>& sources) const;
  void Ensure(const Shared& operation, std::vector<ComponentSource> sources);
  void EnsureEntry(const Shared& operation, size_t part, ComponentSource source);
  void TakeCompressed(const Shared& operation, size_t part, const ComponentId& component);
  void EnsureTensors(const Shared& operation, size_t part, ComponentSource source);
  void Arrived(const Shared& operation, size_t part, StatusOr<Component> component);
  void Finish(const Shared& operation, Status status);
  // What a check of its files found while the use was on its way: then nothing of it is
  // handed out.
  Status RefutedMeanwhile(const Operation& operation);
  // Gives back what the use holds and waits for, and what it alone has loaded.
  void GiveBack(Operation& operation);
  LoadProgress ProgressOf(Operation& operation) const;
  // Ends uses that have stood still for too long.
  void WatchStandstill();
  // Whether a use of the component counts in the log of preloads, and it is told.
  void NotePreloadUse(const Operation& operation, const ComponentId& component, bool in_ram);
  void CountUse(Model& model);
  void LogAccess(const Result& result);

  os::EventLoop& loop_;
  ThreadPool& pool_;
  DiskThreads& disks_;
  const DiskPatience patience_;
  ModelRegistry& registry_;
  LibraryService& library_;
  ComponentCache& cache_;
  Catalog& catalog_;
  std::function<void(const Request&)> demanded_;
  std::function<std::optional<View>(const ComponentId&)> view_of_;
  std::function<void(const ModelSummary&)> used_;
  std::function<void(const ModelId&)> counted_;
  std::unordered_map<ModelId, NewUses> uses_;
  std::map<UseId, Shared> open_;  // uses that are not answered
  UseId last_use_ = 0;
  std::multiset<ModelId> busy_;      // the models of open_
  std::map<uint64_t, size_t> late_;  // looks at files that take long, by disk
  os::EventLoop::TimerId watch_ = 0;
};

std::vector<std::string> AllComponents(const ModelSummary& model);

// The components with these names, for none all but variants; kComponentNotFound names those
// that the model has.
StatusOr<std::vector<uint32_t>> SelectComponents(const Model& model,
                                                 const std::vector<std::string>& names);

}  // namespace warmset
