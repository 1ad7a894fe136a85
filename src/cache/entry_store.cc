#include "cache/entry_store.h"

#include <algorithm>

#include "base/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

constexpr size_t kNamedHolders = 5;

}  // namespace

struct EntryStore::Record {
  std::unique_ptr<Entry> entry;
  std::vector<ComponentId> ids;  // under which it is visible; none: dropped
  ComponentId key;               // of ids, by which the policy knows it
  Holds holds;

  bool held() const { return holds.leases + holds.pins > 0; }
  CachedObject object() const {
    return {.id = key,
            .bytes = entry->memory().value(),
            .load_seconds = std::chrono::duration<double>(entry->load_time()).count()};
  }
  uint32_t& count(HoldKind kind) { return kind == HoldKind::kLease ? holds.leases : holds.pins; }
};

EntryStore::EntryStore(Budget& budget, MemoryReserve& reserve, Describe describe,
                       std::unique_ptr<EvictionPolicy> policy)
    : budget_(budget),
      reserve_(reserve),
      describe_(std::move(describe)),
      policy_(std::move(policy)) {}

EntryStore::~EntryStore() = default;

StatusOr<EntryStore::Room> EntryStore::MakeRoom(ByteCount bytes) {
  const BudgetUse use = budget_.Use();
  ByteCount stays = use.total() - use.reserve;
  for (const auto& [entry, record] : records_) {
    if (!record->held()) stays -= entry->memory();
  }
  if (stays + bytes > use.limit) return NoRoom(bytes, use.limit - std::min(use.limit, stays));

  Room room;
  if (auto piece = reserve_.Take(bytes)) room.memory = *std::move(piece);
  while (true) {
    const Status claimed = Claim(room.memory.reservation, bytes);
    if (claimed.ok()) return room;
    if (!EvictOne(room.evicted)) return claimed;
  }
}

Status EntryStore::Claim(Reservation& reservation, ByteCount bytes) {
  if (reservation.bytes().value() > 0) return reservation.GrowTo(bytes);
  ASSIGN_OR_RETURN(reservation, budget_.Reserve(MemoryKind::kLoading, bytes));
  return OkStatus();
}

std::vector<ComponentId> EntryStore::ShrinkToLimit() {
  std::vector<ComponentId> evicted;
  while (true) {
    const BudgetUse use = budget_.Use();
    if (use.total() <= use.limit) return evicted;
    if (!EvictOne(evicted)) return evicted;
  }
}

Status EntryStore::NoRoom(ByteCount wanted, ByteCount available) const {
  std::vector<const Record*> held;
  for (const auto& [entry, record] : records_) {
    if (record->held()) held.push_back(record.get());
  }
  std::sort(held.begin(), held.end(), [](const Record* a, const Record* b) {
    return a->entry->memory() > b->entry->memory();
  });
  std::vector<std::string> holders;
  for (size_t i = 0; i < std::min(held.size(), kNamedHolders); ++i) {
    const Entry& entry = *held[i]->entry;
    holders.push_back(
        fmt::format("{} ({})", describe_(entry.component()), FormatSize(entry.memory())));
  }
  if (held.size() > kNamedHolders) {
    holders.push_back(fmt::format("{} more", held.size() - kNamedHolders));
  }
  const BudgetUse use = budget_.Use();
  if (use.loading.value() > 0) {
    holders.push_back(fmt::format("loads under way ({})", FormatSize(use.loading)));
  }
  if (use.orphaned.value() > 0) {
    holders.push_back(fmt::format("clients of an earlier daemon ({})", FormatSize(use.orphaned)));
  }
  return Error(ErrorCode::kRamLimitExceeded,
               fmt::format("{} of RAM are needed, {} of the limit of {} can be had{}{}; raise the "
                           "RAM limit or end what holds memory",
                           FormatSize(wanted), FormatSize(available), FormatSize(use.limit),
                           holders.empty() ? "" : "; held by ", fmt::join(holders, ", ")));
}

std::optional<EntryHold> EntryStore::FindTwin(const Entry& entry) {
  for (const auto& [other, record] : records_) {
    if (!record->ids.empty() && other->content() == entry.content() &&
        other->bytes() == entry.bytes() && other->index_bytes() == entry.index_bytes()) {
      return EntryHold(*this, *record, HoldKind::kPin);
    }
  }
  return std::nullopt;
}

EntryHold EntryStore::Publish(std::unique_ptr<Entry> entry) {
  const ComponentId id = entry->component();
  Drop(id);
  const Entry* key = entry.get();
  auto record = std::make_unique<Record>();
  record->entry = std::move(entry);
  Record& published = *record;
  records_.emplace(key, std::move(record));
  Show(published, id);
  return EntryHold(*this, published, HoldKind::kPin);
}

EntryHold EntryStore::PublishAs(const ComponentId& component, const EntryHold& twin) {
  Record& record = *twin.record_;
  if (FindRecord(component) == &record) return twin.Again(HoldKind::kPin);
  Drop(component);
  // It may have been dropped while it was compared.
  if (record.ids.empty()) record.entry->SetMemoryKind(MemoryKind::kEntries);
  Show(record, component);
  return twin.Again(HoldKind::kPin);
}

void EntryStore::Show(Record& record, const ComponentId& id) {
  visible_[id] = &record;
  record.ids.push_back(id);
  if (record.ids.size() > 1) return;
  record.key = id;
  policy_->Insert(record.object());
}

EntryStore::Record* EntryStore::FindRecord(const ComponentId& component) const {
  const auto found = visible_.find(component);
  return found == visible_.end() ? nullptr : found->second;
}

const Entry* EntryStore::Find(const ComponentId& component) const {
  const Record* record = FindRecord(component);
  return record == nullptr ? nullptr : record->entry.get();
}

std::vector<ComponentId> EntryStore::SharedBy(const ComponentId& component) const {
  const Record* record = FindRecord(component);
  return record == nullptr ? std::vector<ComponentId>() : record->ids;
}

std::optional<EntryHold> EntryStore::Hold(const ComponentId& component, HoldKind kind) {
  Record* record = FindRecord(component);
  if (record == nullptr) return std::nullopt;
  policy_->Request(record->object());
  return EntryHold(*this, *record, kind);
}

EntryStore::Holds EntryStore::HoldsOn(const ComponentId& component) const {
  const Record* record = FindRecord(component);
  return record == nullptr ? Holds{} : record->holds;
}

EntryStore::Dropped EntryStore::Drop(const ComponentId& component) {
  Record* record = FindRecord(component);
  if (record == nullptr) return Dropped::kNotThere;
  visible_.erase(component);
  std::erase(record->ids, component);
  if (record->key == component) policy_->Remove(component);
  if (!record->ids.empty()) {
    if (record->key == component) {
      record->key = record->ids.front();
      policy_->Insert(record->object());
    }
    return Dropped::kShared;
  }
  if (record->held()) {
    record->entry->SetMemoryKind(MemoryKind::kDropped);
    return Dropped::kHeld;
  }
  records_.erase(record->entry.get());
  return Dropped::kFreed;
}

bool EntryStore::EvictOne(std::vector<ComponentId>& evicted) {
  const auto victim = policy_->Victim(
      [this](const ComponentId& id) { return !FindRecord(id)->held(); });
  if (!victim) return false;
  const std::vector<ComponentId> ids = FindRecord(*victim)->ids;
  for (const ComponentId& id : ids) Drop(id);
  evicted.insert(evicted.end(), ids.begin(), ids.end());
  return true;
}

std::vector<ComponentId> EntryStore::Components() const {
  std::vector<ComponentId> components;
  components.reserve(visible_.size());
  for (const auto& [id, record] : visible_) components.push_back(id);
  return components;
}

void EntryStore::Unhold(Record& record, HoldKind kind) {
  --record.count(kind);
  if (record.ids.empty() && !record.held()) records_.erase(record.entry.get());
}

EntryHold::EntryHold(EntryStore& store, EntryStore::Record& record, EntryStore::HoldKind kind)
    : store_(&store), record_(&record), kind_(kind) {
  ++record.count(kind);
}

EntryHold::EntryHold(EntryHold&& other) noexcept
    : store_(other.store_), record_(std::exchange(other.record_, nullptr)), kind_(other.kind_) {}

EntryHold& EntryHold::operator=(EntryHold&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(record_, other.record_);
  std::swap(kind_, other.kind_);
  return *this;
}

EntryHold::~EntryHold() {
  if (record_ != nullptr) store_->Unhold(*record_, kind_);
}

const Entry& EntryHold::entry() const { return *record_->entry; }

EntryHold EntryHold::Again(EntryStore::HoldKind kind) const {
  return EntryHold(*store_, *record_, kind);
}

}  // namespace warmset
