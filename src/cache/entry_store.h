// The published entries, raw and compressed, and who holds them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "cache/budget.h"
#include "cache/compressed_entry.h"
#include "cache/entry.h"
#include "cache/eviction/eviction_policy.h"
#include "cache/reserve.h"

namespace warmset {

class EntryHold;

// A component is there raw, compressed, or both; only a raw entry can be held.
//
// Loop thread only; must outlive its holds. The entries themselves are
// immutable: other threads may read one as long as a hold keeps it.
class EntryStore {
 public:
  // What leaves RAM first is what matters least, before anything else what no file has
  // any more; what is kept is not evicted at all.
  enum class Retention : uint8_t { kGone, kLow, kMedium, kHigh, kKept };
  using RetentionOf = std::function<Retention(const ComponentId&)>;

  // Which forms of a component are there, and whether somebody holds it.
  struct Forms {
    bool raw = false;
    bool compressed = false;
    bool held = false;
  };

  // Names what a component belongs to and who holds it, for error messages:
  // "sdxl/unet, held by python3 (pid 4242)".
  using Describe = std::function<std::string(const ComponentId&)>;

  EntryStore(Budget& budget, MemoryReserve& reserve, Describe describe,
             std::unique_ptr<EvictionPolicy> policy);
  ~EntryStore();
  EntryStore(const EntryStore&) = delete;
  EntryStore& operator=(const EntryStore&) = delete;

  // Memory for a load, and which components left RAM to make room for it.
  struct Room {
    LoadMemory memory;
    std::vector<ComponentId> evicted;
  };
  // Takes touched memory from the reserve where there is some, and makes the rest
  // fit: first by giving up raw entries that are there compressed too, then by
  // evicting what nobody holds, at last by giving up compressed copies of what is
  // held. kRamLimitExceeded names the entries that fill the limit and their
  // holders; then nothing was evicted, unless a compressing took the budget meanwhile.
  // Without `touched` the room is for memory that is made elsewhere, and the reserve of
  // touched memory keeps its own as far as the budget allows.
  StatusOr<Room> MakeRoom(ByteCount bytes, bool touched = true);

  // The same for a compressed form, which is written into memory of its own: the reserve
  // of touched memory stays with the loads, as far as the budget allows.
  StatusOr<Reservation> MakeRoomToCompress(ByteCount bytes);

  // The error that MakeRoom() would give now; changes nothing.
  Status CheckRoom(ByteCount bytes) const;

  // What MakeRoom() does for room.
  struct Step {
    enum class What : uint8_t { kRawForm, kComponent, kCompressedForm };
    What what = What::kComponent;
    std::vector<ComponentId> components;  // all that share what is given up
    ByteCount frees;
    Retention retention = Retention::kMedium;
    bool expendable = false;  // see SetExpendable()
  };
  // The steps that MakeRoom() would take now, with `held` held besides; the same
  // errors. Changes nothing.
  StatusOr<std::vector<Step>> PlanRoom(ByteCount bytes, std::span<const ComponentId> held) const;

  // Evicts until the use is within the budget's limit again, as far as holds
  // allow: for a limit that was lowered. Returns what left.
  std::vector<ComponentId> ShrinkToLimit();

  // An entry that seems to have the content of this one: sizes and digests
  // agree. Hold it, ask SameContent() on another thread, then give both to
  // PublishAs or the new one to Publish.
  std::optional<EntryHold> FindTwin(const Entry& entry);

  // The same for a component that is there only compressed.
  struct CompressedTwin {
    ComponentId component;
    std::shared_ptr<const CompressedEntry> compressed;
  };
  std::optional<CompressedTwin> FindCompressedTwin(const Entry& entry) const;

  // Tells the policy of a request for a component that is not there. What is there
  // is counted by Hold().
  void NoteMiss(const CachedObject& object) { policy_->Request(object); }
  // What was known of a component in an earlier life, see EvictionPolicy::Recall().
  void Recall(const CachedObject& object, const UseHistory& history) {
    policy_->Recall(object, history);
  }

  Forms FormsOf(const ComponentId& component) const;
  // The component's compressed form; nullptr unless it is there. As long as a copy
  // of the pointer lives, it is not evicted.
  std::shared_ptr<const CompressedEntry> Compressed(const ComponentId& component) const;
  // Adds the compressed form of a component that is there raw; false, and nothing
  // happens, when it left meanwhile or is another entry now.
  bool AddCompressed(const ComponentId& component, std::unique_ptr<CompressedEntry> compressed);
  // Gives up one form of a component that is there in both; false unless it is so
  // and nobody uses that form.
  bool GiveUpRaw(const ComponentId& component);
  bool GiveUpCompressed(const ComponentId& component);
  // Gives up a compressed form that is damaged, whoever uses it, of a component that is
  // there raw, too; false unless it is.
  bool GiveUpDamaged(const ComponentId& component);

  // Makes the entry visible under its component's id, and returns a hold on it. Where
  // an entry of the same content is there under that id, that one stays, and only
  // gets its raw form where it lacks one; any other one is dropped. A guarded entry takes
  // the place of one that is not.
  EntryHold Publish(std::unique_ptr<Entry> entry);
  // Puts a guarded entry in the place of one with the same content that is not, under
  // all of its ids and its own. Holds keep the other's memory as dropped.
  EntryHold PublishInstead(const ComponentId& other, std::unique_ptr<Entry> entry);
  // Makes a published entry visible under one more id.
  EntryHold PublishAs(const ComponentId& component, const EntryHold& twin);
  // Publishes an entry together with a component of the same content that was there
  // only compressed.
  EntryHold PublishWith(const ComponentId& twin, std::unique_ptr<Entry> entry);

  // The raw entry; nullptr unless it is there. Does not count as a use.
  const Entry* Find(const ComponentId& component) const;
  // Every id under which the entry of that component is visible, its own
  // included; empty unless it is there.
  std::vector<ComponentId> SharedBy(const ComponentId& component) const;

  enum class HoldKind { kLease, kPin, kWork };
  // Keeps the entry until the hold ends, and counts as a use; nothing unless it
  // is there. A lease stands for a session's client, a pin for anything else but
  // Warmset's own work on the entry.
  std::optional<EntryHold> Hold(const ComponentId& component, HoldKind kind);
  // A pin that is no use.
  std::optional<EntryHold> HoldUncounted(const ComponentId& component);
  // A hold of kind kWork, which is no use, and whose end is not told.
  std::optional<EntryHold> HoldForWork(const ComponentId& component);
  // Counts a use of a component that is there in any form.
  void CountUse(const ComponentId& component);
  // Asked of every component that may be evicted; kMedium for all unless it is set.
  void SetRetention(RetentionOf retention_of) { retention_of_ = std::move(retention_of); }
  // Asked likewise: what somebody decided to let go leaves before what the policy names,
  // among those that matter as much.
  void SetExpendable(std::function<bool(const ComponentId&)> expendable) {
    expendable_ = std::move(expendable);
  }
  // Called when MakeRoom() or ShrinkToLimit() made a component leave RAM, or just its
  // raw form; with every id that shared it. Must not change the store.
  void SetLeft(std::function<void(const std::vector<ComponentId>&, bool whole)> left) {
    left_ = std::move(left);
  }
  // Called when the last hold on a component that is still visible ended; not from
  // within a call of the store's.
  void SetReleased(std::function<void(const ComponentId&)> released) {
    released_ = std::move(released);
  }
  struct Holds {
    uint32_t leases = 0;
    uint32_t pins = 0;
  };
  Holds HoldsOn(const ComponentId& component) const;

  enum class Dropped {
    kNotThere,
    kFreed,   // its memory is given back
    kShared,  // other components use the same entry, which stays
    kHeld,    // nobody finds it any more; its memory goes with the last hold
  };
  // Forgets a component's entry.
  Dropped Drop(const ComponentId& component);

  // All visible components, in no particular order.
  std::vector<ComponentId> Components() const;
  // The same, one for all that share an entry.
  std::vector<ComponentId> Owners() const;
  BudgetUse MemoryUse() const { return budget_.Use(); }

 private:
  friend class EntryHold;
  struct Record;

  Record* FindRecord(const ComponentId& component) const;
  void Show(Record& record, const ComponentId& id);
  // The record with this entry in the place of its own.
  EntryHold Exchange(Record& old, std::unique_ptr<Entry> entry);
  std::optional<EntryHold> HoldAs(const ComponentId& component, HoldKind kind);
  void Unhold(Record& record, HoldKind kind);
  // Of a record, as they are or as a plan leaves them.
  using FormsLeft = std::function<Forms(const Record&)>;
  struct Choice {
    Step::What what;
    Record* record;
    Retention retention;
    bool expendable = false;
  };

  // The highest of all that share the record.
  Retention RetentionOfRecord(const Record& record) const;
  // All components are that share the record.
  bool IsExpendable(const Record& record) const;
  // What could be had if all went that may.
  ByteCount Reachable(const FormsLeft& left) const;
  // Nothing when nothing may be given up.
  std::optional<Choice> NextStep(EvictionPolicy& policy, const FormsLeft& left) const;
  // False when nothing may be evicted.
  bool EvictOne(std::vector<ComponentId>& evicted);
  // Frees the record when nothing is left of it.
  void Settle(Record& record);
  Status Claim(Reservation& reservation, MemoryKind kind, ByteCount bytes);
  // Evicts until the claim succeeds.
  Status ClaimWithRoom(Reservation& reservation, MemoryKind kind, ByteCount bytes,
                       std::vector<ComponentId>& evicted);
  Status NoRoom(ByteCount wanted, ByteCount available) const;

  Budget& budget_;
  MemoryReserve& reserve_;
  const Describe describe_;
  const std::unique_ptr<EvictionPolicy> policy_;
  std::function<void(const ComponentId&)> released_;
  std::function<void(const std::vector<ComponentId>&, bool whole)> left_;
  RetentionOf retention_of_;
  std::function<bool(const ComponentId&)> expendable_;
  std::unordered_map<const Record*, std::unique_ptr<Record>> records_;
  std::unordered_map<ComponentId, Record*> visible_;
};

// Keeps one entry in RAM, visible or dropped. Move-only, loop thread only.
class EntryHold {
 public:
  EntryHold(EntryHold&& other) noexcept;
  EntryHold& operator=(EntryHold&& other) noexcept;
  ~EntryHold();

  const Entry& entry() const;
  // A second hold on the same entry.
  EntryHold Again(EntryStore::HoldKind kind) const;

 private:
  friend class EntryStore;
  EntryHold(EntryStore& store, EntryStore::Record& record, EntryStore::HoldKind kind);

  EntryStore* store_;
  EntryStore::Record* record_;
  EntryStore::HoldKind kind_;
};

}  // namespace warmset
