// The published entries and who holds them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "cache/budget.h"
#include "cache/entry.h"
#include "cache/eviction/eviction_policy.h"
#include "cache/reserve.h"

namespace warmset {

class EntryHold;

// Loop thread only; must outlive its holds. The entries themselves are
// immutable: other threads may read one as long as a hold keeps it.
class EntryStore {
 public:
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
  // Takes touched memory from the reserve where there is some, and evicts what
  // nobody holds until the rest fits. kRamLimitExceeded names the entries that
  // fill the limit and their holders; then nothing was evicted.
  StatusOr<Room> MakeRoom(ByteCount bytes);

  // Evicts until the use is within the budget's limit again, as far as holds
  // allow: for a limit that was lowered. Returns what left.
  std::vector<ComponentId> ShrinkToLimit();

  // An entry that seems to have the content of this one: sizes and digests
  // agree. Hold it, ask SameContent() on another thread, then give both to
  // PublishAs or the new one to Publish.
  std::optional<EntryHold> FindTwin(const Entry& entry);

  // Tells the policy of a request for a component that is not there. What is there
  // is counted by Hold().
  void NoteMiss(const CachedObject& object) { policy_->Request(object); }

  // Makes the entry visible under its component's id, and returns a hold on it.
  // An entry that is there already under that id is dropped.
  EntryHold Publish(std::unique_ptr<Entry> entry);
  // Makes a published entry visible under one more id.
  EntryHold PublishAs(const ComponentId& component, const EntryHold& twin);

  // nullptr unless it is there. Does not count as a use.
  const Entry* Find(const ComponentId& component) const;
  // Every id under which the entry of that component is visible, its own
  // included; empty unless it is there.
  std::vector<ComponentId> SharedBy(const ComponentId& component) const;

  enum class HoldKind { kLease, kPin };
  // Keeps the entry until the hold ends, and counts as a use; nothing unless it
  // is there. A lease stands for a session's client, a pin for anything else.
  std::optional<EntryHold> Hold(const ComponentId& component, HoldKind kind);
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
  BudgetUse MemoryUse() const { return budget_.Use(); }

 private:
  friend class EntryHold;
  struct Record;

  Record* FindRecord(const ComponentId& component) const;
  void Show(Record& record, const ComponentId& id);
  void Unhold(Record& record, HoldKind kind);
  // False when nothing may be evicted.
  bool EvictOne(std::vector<ComponentId>& evicted);
  Status Claim(Reservation& reservation, ByteCount bytes);
  Status NoRoom(ByteCount wanted, ByteCount available) const;

  Budget& budget_;
  MemoryReserve& reserve_;
  const Describe describe_;
  const std::unique_ptr<EvictionPolicy> policy_;
  std::unordered_map<const Entry*, std::unique_ptr<Record>> records_;
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
