// Entries: found, joined to a load in flight, or loaded.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/disk_threads.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "cache/budget.h"
#include "cache/entry.h"
#include "cache/entry_part.h"
#include "cache/entry_store.h"
#include "cache/preload/preload_log.h"
#include "cache/preload/use_predictor.h"
#include "cache/reserve.h"
#include "cache/source_file.h"
#include "cache/strategy_ghosts.h"
#include "cache/usage_log.h"
#include "cache/use_ledger.h"
#include "catalog/catalog.h"
#include "daemon/component_costs.h"
#include "daemon/conversions.h"
#include "daemon/entry_publisher.h"
#include "inspect/manifest.h"
#include "model/cache_strategy.h"
#include "os/event_loop.h"

namespace warmset {

// Where a component's bytes come from.
struct ComponentSource {
  std::string label;  // "sdxl/unet", for people
  ComponentManifest component;
  std::vector<SourceFile> files;           // of the manifest
  std::vector<ChunkDigest> known_digests;  // empty: it was never loaded
};

struct LoadProgress {
  uint64_t done = 0;  // bytes
  uint64_t total = 0;
};

// The RAM tier. Loop thread only, and so are the holds that it gives; files are
// read on threads of its own.
class ComponentCache {
 public:
  // Keeps an entry in RAM while a copy lives.
  using Held = std::shared_ptr<const EntryHold>;
  struct Loaded {
    Held held;
    uint64_t read_bytes = 0;           // 0: it was in RAM, in some form
    bool decoded = false;              // it was there only compressed
    std::vector<std::string> evicted;  // labels of what made room
    Status unguarded{};                // why the entry can't have a name, if one was wanted
  };
  using Done = std::function<void(StatusOr<Loaded>)>;

  // A component in one of its forms, which is kept as long as a copy lives.
  struct AnyForm {
    Held raw;
    std::shared_ptr<const CompressedEntry> compressed;  // where raw is null
    uint64_t bytes() const {
      return raw != nullptr ? raw->entry().bytes() : compressed->raw_bytes();
    }
  };

  struct Events {
    // The component was published, evicted or dropped.
    std::function<void(const ComponentId&)> changed;
    // Room will be made for a load: the limit may follow what the system has left.
    std::function<void()> before_load;
    // Whose the component is and who holds it, for error messages.
    EntryStore::Describe describe;
    // How the component is to be kept.
    std::function<CacheStrategy(const ComponentId&)> strategy_of;
    // How much it matters that it stays.
    EntryStore::RetentionOf retention_of;
    // Memory that can have a name, of so many bytes; or, guarded already, a file with the
    // component's bytes of an earlier daemon. Called on any thread.
    std::function<StatusOr<os::MemoryFile>(const ComponentId&, uint64_t bytes,
                                           const std::stop_token& stop)>
        nameable_memory{};
    // Memory is wanted, or this entry's (nothing: any): work that can do without the
    // entries that it reads lets them go.
    std::function<void(const Entry*)> yield_memory;
  };

  // Files are read by `disks`, everything else on threads of its own.
  ComponentCache(os::EventLoop& loop, Budget& budget, MemoryReserve& reserve, Catalog& catalog,
                 DiskThreads& disks, std::unique_ptr<EvictionPolicy> policy, ComponentCosts costs,
                 unsigned load_threads, Events events);

  struct Wish {
    bool may_evict = true;                   // other entries, to make room
    bool counts = true;                      // as a use
    std::optional<PreloadReason> preload{};  // nothing: somebody waits for it
    bool guarded = false;                    // in memory that can have a name, if that can be had
  };
  // Calls done, later and at most once, with the component's raw entry: as it is
  // there, decoded from its compressed form, or loaded. A call for one that is
  // being made joins the others; what somebody waits for starts before what is
  // preloaded. A guarded entry takes the place of one that is not; where none can be had,
  // the answer says why. Errors are those of LoadEntry(), and kRamLimitExceeded naming what
  // holds the memory (or, unless other entries may be evicted, when there is not
  // that much free); then nothing remains.
  using WaitId = uint64_t;
  WaitId Ensure(ComponentSource source, const Wish& wish, Done done);
  // Ends a call that is not answered: done is not called. When nobody else waits for the
  // component its load stops, and nothing of it is kept.
  void Withdraw(const ComponentId& component, WaitId wait);
  // kRamLimitExceeded when so much will not fit, whatever is evicted; nothing is.
  Status CheckRoom(ByteCount bytes) const;
  // Grows whenever a load or the decoding of an entry gets on.
  uint64_t moves() const { return moves_; }

  // Calls done, later and exactly once, with these tensors of what is there only
  // compressed, decoded into memory of their own that goes with its last owner.
  // kTensorNotFound, kRamLimitExceeded, kIoError, and kCorruptedModel, when its
  // compressed form is damaged and gone.
  // REQUIRES: Compressed(component) is there.
  using DonePart = std::function<void(StatusOr<std::shared_ptr<const Entry>>)>;
  void DecodeTensors(const ComponentId& component, std::span<const std::string> tensors,
                     DonePart done);

  // Holds the entry and counts as a use; nothing unless it is there.
  Held Use(const ComponentId& component, EntryStore::HoldKind kind);
  // Keeps the raw entry for Warmset's own work, which is no use; nothing unless it is
  // there.
  Held HoldForWork(const ComponentId& component);
  // A pin that is no use.
  Held HoldUncounted(const ComponentId& component);
  // Counts a use of what is there in any form, or nothing.
  void CountUse(const ComponentId& component);
  // A component of an earlier life.
  void Recall(const UseLedger::Line& line);
  // In RAM, in any form.
  bool Has(const ComponentId& component) const;
  // It is there in any form, or on its way.
  bool HasOrExpects(const ComponentId& component) const {
    return Has(component) || flights_.contains(component);
  }
  // It is being loaded or decoded, or waits to be.
  bool IsOnItsWay(const ComponentId& component) const { return flights_.contains(component); }
  // It waits for others before it is begun.
  bool IsQueued(const ComponentId& component) const;
  // Somebody holds it, or it is on its way.
  bool IsBusy(const ComponentId& component) const;
  // The raw entry; nullptr unless it is there.
  const Entry* Find(const ComponentId& component) const { return store_.Find(component); }
  std::shared_ptr<const CompressedEntry> Compressed(const ComponentId& component) const {
    return store_.Compressed(component);
  }
  // Its strategy changed: converts it in the background.
  void Reconsider(const ComponentId& component);
  // This compressed form of it does not decode: it leaves RAM if it is still there, and
  // with it all that share it unless they are there raw, too.
  void DropDamaged(const ComponentId& component,
                   const std::shared_ptr<const CompressedEntry>& damaged);
  // Nothing unless the component is being loaded or waits to be.
  std::optional<LoadProgress> ProgressOf(const ComponentId& component) const;
  // Entries whose guarded file a program wants to write, or may write by now.
  std::vector<ComponentId> Breached() const;
  // See EntryStore::SharedBy().
  std::vector<ComponentId> SharedBy(const ComponentId& component) const {
    return store_.SharedBy(component);
  }
  // See EntryStore::Drop().
  EntryStore::Dropped Drop(const ComponentId& component);
  // The same unless a model has used it, or somebody holds or awaits it.
  void DropUnused(const ComponentId& component);

  // Forgets all that was noted of a component that no model has any more; nothing while
  // it is in RAM or on its way there.
  void Forget(const ComponentId& component);

  // The models that have used the entry since it is there: `uncache` of one must
  // not take it from the others.
  void AddUser(const ComponentId& component, const ModelId& model);
  // The users that are left.
  const std::set<ModelId>& RemoveUser(const ComponentId& component, const ModelId& model);

  // See EntryStore::ShrinkToLimit(); returns how many components left.
  size_t ShrinkToLimit();
  // What would make room for so much, with these held besides; see
  // EntryStore::PlanRoom().
  struct PlannedStep {
    EntryStore::Step step;
    std::string label;
    double bring_back_seconds = 0;
  };
  StatusOr<std::vector<PlannedStep>> PlanRoom(ByteCount bytes,
                                              std::span<const ComponentId> held) const;
  const ComponentCosts& costs() const { return costs_; }

  // Every component that is in RAM, shared ones once.
  std::vector<ComponentId> Components() const { return store_.Owners(); }
  UsageLog& usage() { return usage_; }
  const UsageLog& usage() const { return usage_; }
  PreloadLog& preloads() { return preloads_; }
  const PreloadLog& preloads() const { return preloads_; }
  UseLedger& ledger() { return ledger_; }
  UsePredictor& predictor() { return predictor_; }
  // Nothing is being loaded or decoded, and nothing waits for it.
  bool idle() const { return flights_.empty(); }
  BudgetUse MemoryUse() const { return store_.MemoryUse(); }

  // Asks all loads to stop, and waits for this object's own threads until the deadline;
  // false when some still run.
  bool StopBy(std::chrono::steady_clock::time_point deadline);
  // Ends all loads, unanswered: before the loop goes. REQUIRES: no thread of the disks
  // reads any more.
  void StopLoads();
  // Gives back all memory that nobody else holds.
  void DropAll();

 private:
  struct Flight {
    ComponentSource source;
    std::shared_ptr<const CompressedEntry> compressed;  // decoded instead, where there is one
    // Where to load it from if its compressed form is damaged; nothing while nobody
    // but its strategy asks for it.
    std::optional<ComponentSource> with_files;
    bool may_evict = false;
    bool demanded = false;  // not only preloaded
    bool guarded = false;   // as wanted
    Held copied;            // what a guarded entry is copied from
    bool from_ram = false;  // it was copied
    bool adopted = false;   // its memory is a file of an earlier daemon
    Status unguarded;       // why it is not guarded
    std::vector<std::pair<WaitId, Done>> waiting;
    std::vector<std::string> evicted;
    std::atomic<uint64_t> done_bytes = 0;
    std::stop_source stop;
    bool abandoned = false;  // nobody waits for it any more
    // Of one that reads from disk, as the loop last saw it.
    uint64_t seen_bytes = 0;
    std::chrono::steady_clock::time_point moved{};
    bool stalled = false;
    uint64_t read_bytes = 0;    // from disk
    double decode_seconds = 0;  // set by the thread that decodes
  };
  using SharedFlight = std::shared_ptr<Flight>;

  // Tensors that are to be decoded, when there is room for them.
  struct PartRequest {
    ComponentId component;
    std::shared_ptr<const CompressedEntry> compressed;
    EntryPart part;
    DonePart done;
  };
  using SharedPart = std::shared_ptr<PartRequest>;

  // Starts it or ends it; false when there is no room yet.
  bool StartPart(const SharedPart& request);
  CachedObject ObjectOf(const ComponentId& component, uint64_t bytes) const {
    return {.id = component, .bytes = bytes, .load_seconds = costs_.LoadSeconds(component, bytes)};
  }
  // as_raw: somebody gets the raw entry.
  void CountRequest(const CachedObject& object, bool as_raw);
  // On a thread; for estimates until something was decoded.
  void MeasureCodec();
  // An answer with the raw entry; false unless it is there.
  bool AnswerFromRam(const ComponentId& component, const Wish& wish, const Done& done);
  // A guarded entry can't be had: the flight goes on without, or ends with what was to be
  // copied. False when there is another reason for its failure.
  bool GoOnUnguarded(const SharedFlight& flight, const Status& why);
  static SharedFlight DecodingFlight(const ComponentId& component,
                                     std::shared_ptr<const CompressedEntry> compressed,
                                     std::string label);
  void StartLoads();
  // Loads that a disk does not answer take no other's turn, until they go on.
  void WatchReads();
  size_t MovingLoads() const { return running_ - stalled_; }
  // Takes it out of the books; its thread, if it has one, ends by itself.
  void Abandon(const SharedFlight& flight);
  void Start(const SharedFlight& flight, LoadMemory memory);
  void CountReading(int change);
  StatusOr<std::unique_ptr<Entry>> Load(Flight& flight, LoadMemory memory, std::stop_token stop);
  // Its raw form or, whole, all of it left RAM to make room.
  void OnLeft(const std::vector<ComponentId>& components, bool whole);
  // As the models of all components want it that share its entry; never kAdaptive.
  CacheStrategy StrategyOf(const ComponentId& component) const;
  void OnLoaded(const SharedFlight& flight, StatusOr<std::unique_ptr<Entry>> entry);
  static const char* HowItCame(const Flight& flight);
  void Publish(const SharedFlight& flight, EntryHold hold);
  void Fail(const SharedFlight& flight, const Status& why);
  std::string LabelOf(const ComponentId& component) const;
  os::EventLoop& loop_;
  Catalog& catalog_;
  DiskThreads& disks_;
  const unsigned load_threads_;
  const Events events_;
  MemoryReserve& reserve_;
  EntryStore store_;
  Conversions conversions_;
  StrategyGhosts ghosts_;
  UsageLog usage_;
  UseLedger ledger_;
  UsePredictor predictor_;
  PreloadLog preloads_;
  std::string room_for_;  // why components leave now, for the log
  std::unordered_map<ComponentId, std::chrono::steady_clock::time_point> last_used_;
  ComponentCosts costs_;
  bool codec_measured_ = false;
  std::unordered_map<ComponentId, std::string> labels_;  // of what is or was in RAM
  std::unordered_map<ComponentId, std::set<ModelId>> users_;
  std::map<ComponentId, SharedFlight> flights_;  // queued and running
  std::deque<SharedFlight> queue_;               // of flights_, not started
  std::deque<SharedPart> parts_;                 // that wait for room
  unsigned running_ = 0;
  unsigned reading_ = 0;          // of running_: from disk
  unsigned stalled_ = 0;          // of reading_: without a byte for a while
  std::set<SharedFlight> reads_;  // the reading_
  os::EventLoop::TimerId watch_ = 0;
  WaitId last_wait_ = 0;
  uint64_t moves_ = 0;
  EntryPublisher publisher_;
  // One more than loads: comparing and decoding of parts does not wait for files.
  std::unique_ptr<ThreadPool> threads_;  // last: joined first
};

}  // namespace warmset
