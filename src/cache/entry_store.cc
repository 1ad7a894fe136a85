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
  std::unique_ptr<Entry> entry;  // one of both is there
  std::shared_ptr<const CompressedEntry> compressed;
  std::vector<ComponentId> ids;  // under which it is visible; none: dropped
  ComponentId key;               // of ids, by which the policy knows it
  Holds holds;
  uint32_t work = 0;  // holds of kWork

  bool held() const { return holds.leases + holds.pins + work > 0; }
  Forms forms() const { return {entry != nullptr, compressed != nullptr, held()}; }
  // Somebody decodes it.
  bool compressed_in_use() const { return compressed.use_count() > 1; }
  bool may_leave(const Forms& left) const {
    return (left.raw || left.compressed) && !left.held && !compressed_in_use();
  }
  bool may_leave() const { return may_leave(forms()); }
  static bool MayGiveUpRaw(const Forms& left) { return left.raw && left.compressed && !left.held; }
  bool may_give_up_compressed(const Forms& left) const {
    return left.raw && left.compressed && !compressed_in_use();
  }
  ByteCount raw_memory() const { return entry ? entry->memory() : ByteCount(); }
  ByteCount compressed_memory() const { return compressed ? compressed->memory() : ByteCount(); }
  ByteCount memory() const { return raw_memory() + compressed_memory(); }
  const ContentDigest& content() const { return entry ? entry->content() : compressed->content(); }
  // To the policy it has one size in all forms.
  CachedObject object() const {
    const auto load_time = entry ? entry->load_time() : compressed->load_time();
    return {.id = key,
            .bytes = (entry ? entry->memory() : EntryMemory(compressed->component())).value(),
            .load_seconds = std::chrono::duration<double>(load_time).count()};
  }
  uint32_t& count(HoldKind kind) {
    return kind == HoldKind::kLease ? holds.leases : kind == HoldKind::kPin ? holds.pins : work;
  }
};

EntryStore::EntryStore(Budget& budget, MemoryReserve& reserve, Describe describe,
                       std::unique_ptr<EvictionPolicy> policy)
    : budget_(budget),
      reserve_(reserve),
      describe_(std::move(describe)),
      policy_(std::move(policy)) {}

EntryStore::~EntryStore() = default;

ByteCount EntryStore::Reachable(const FormsLeft& left) const {
  const BudgetUse use = budget_.Use();
  ByteCount stays = use.total() - use.reserve;
  for (const auto& [key, record] : records_) {
    const Forms forms = left(*record);
    if (record->may_leave(forms) && RetentionOfRecord(*record) != Retention::kKept) {
      stays -= record->memory();
    } else if (Record::MayGiveUpRaw(forms)) {
      stays -= record->raw_memory();
    } else if (record->may_give_up_compressed(forms)) {
      stays -= record->compressed_memory();
    }
  }
  return use.limit - std::min(use.limit, stays);
}

Status EntryStore::CheckRoom(ByteCount bytes) const {
  const ByteCount reachable = Reachable([](const Record& record) { return record.forms(); });
  return bytes > reachable ? NoRoom(bytes, reachable) : OkStatus();
}

StatusOr<EntryStore::Room> EntryStore::MakeRoom(ByteCount bytes, bool touched) {
  RETURN_IF_ERROR(CheckRoom(bytes));

  Room room;
  if (auto piece = touched ? reserve_.Take(bytes) : std::nullopt) room.memory = *std::move(piece);
  RETURN_IF_ERROR(
      ClaimWithRoom(room.memory.reservation, MemoryKind::kLoading, bytes, room.evicted));
  return room;
}

StatusOr<Reservation> EntryStore::MakeRoomToCompress(ByteCount bytes) {
  RETURN_IF_ERROR(CheckRoom(bytes));
  Reservation reservation;
  std::vector<ComponentId> evicted;
  RETURN_IF_ERROR(ClaimWithRoom(reservation, MemoryKind::kCompressed, bytes, evicted));
  return reservation;
}

Status EntryStore::ClaimWithRoom(Reservation& reservation, MemoryKind kind, ByteCount bytes,
                                 std::vector<ComponentId>& evicted) {
  while (true) {
    const Status claimed = Claim(reservation, kind, bytes);
    if (claimed.ok() || !EvictOne(evicted)) return claimed;
  }
}

StatusOr<std::vector<EntryStore::Step>> EntryStore::PlanRoom(
    ByteCount bytes, std::span<const ComponentId> held) const {
  std::unordered_map<const Record*, Forms> left;
  for (const auto& [key, record] : records_) left[key] = record->forms();
  for (const ComponentId& component : held) {
    if (const Record* record = FindRecord(component)) left[record].held = true;
  }
  const FormsLeft forms_left = [&left](const Record& record) { return left.at(&record); };
  const ByteCount reachable = Reachable(forms_left);
  if (bytes > reachable) return NoRoom(bytes, reachable);

  std::vector<Step> steps;
  const std::unique_ptr<EvictionPolicy> policy = policy_->Foresight();
  const BudgetUse use = budget_.Use();
  ByteCount used = use.total() - use.reserve;
  while (used + bytes > use.limit) {
    const auto choice = NextStep(*policy, forms_left);
    if (!choice) return NoRoom(bytes, use.limit - std::min(use.limit, used));
    Forms& forms = left.at(choice->record);
    Step step{choice->what, choice->record->ids, {}, choice->retention, choice->expendable};
    if (choice->what != Step::What::kCompressedForm) {
      if (forms.raw) step.frees += choice->record->raw_memory();
      forms.raw = false;
    }
    if (choice->what != Step::What::kRawForm) {
      if (forms.compressed) step.frees += choice->record->compressed_memory();
      forms.compressed = false;
    }
    used -= step.frees;
    if (choice->what == Step::What::kComponent) policy->Remove(choice->record->key);
    steps.push_back(std::move(step));
  }
  return steps;
}

Status EntryStore::Claim(Reservation& reservation, MemoryKind kind, ByteCount bytes) {
  if (reservation.bytes().value() > 0) return reservation.GrowTo(bytes);
  ASSIGN_OR_RETURN(reservation, budget_.Reserve(kind, bytes));
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
  for (const auto& [key, record] : records_) {
    if (!record->may_leave() || RetentionOfRecord(*record) == Retention::kKept) {
      held.push_back(record.get());
    }
  }
  std::sort(held.begin(), held.end(), [](const Record* a, const Record* b) {
    return a->memory() > b->memory();
  });
  std::vector<std::string> holders;
  for (size_t i = 0; i < std::min(held.size(), kNamedHolders); ++i) {
    holders.push_back(
        fmt::format("{} ({})", describe_(held[i]->key), FormatSize(held[i]->memory())));
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
  const auto sizes = FormatSizes({wanted, available, use.limit});
  return Error(ErrorCode::kRamLimitExceeded,
               fmt::format("{} of RAM are needed, {} of the limit of {} can be had{}{}; raise the "
                           "RAM limit or end what holds memory",
                           sizes[0], sizes[1], sizes[2], holders.empty() ? "" : "; held by ",
                           fmt::join(holders, ", ")));
}

std::optional<EntryHold> EntryStore::FindTwin(const Entry& entry) {
  for (const auto& [key, record] : records_) {
    const Entry* const other = record->entry.get();
    if (other != nullptr && !record->ids.empty() && other->content() == entry.content() &&
        other->bytes() == entry.bytes() && other->index_bytes() == entry.index_bytes()) {
      return EntryHold(*this, *record, HoldKind::kPin);
    }
  }
  return std::nullopt;
}

std::optional<EntryStore::CompressedTwin> EntryStore::FindCompressedTwin(
    const Entry& entry) const {
  for (const auto& [key, record] : records_) {
    if (!record->entry && record->content() == entry.content() &&
        record->compressed->raw_bytes() == entry.bytes() &&
        record->compressed->component().tensor_index.size() == entry.index_bytes()) {
      return CompressedTwin{record->key, record->compressed};
    }
  }
  return std::nullopt;
}

EntryHold EntryStore::Publish(std::unique_ptr<Entry> entry) {
  const ComponentId id = entry->component();
  if (Record* known = FindRecord(id);
      known != nullptr && known->content() == entry->content()) {
    if (known->entry && entry->guarded() && !known->entry->guarded()) {
      return Exchange(*known, std::move(entry));
    }
    if (!known->entry) known->entry = std::move(entry);
    return EntryHold(*this, *known, HoldKind::kPin);
  }
  Drop(id);
  auto record = std::make_unique<Record>();
  record->entry = std::move(entry);
  Record& published = *record;
  records_.emplace(&published, std::move(record));
  Show(published, id);
  return EntryHold(*this, published, HoldKind::kPin);
}

EntryStore::Forms EntryStore::FormsOf(const ComponentId& component) const {
  const Record* record = FindRecord(component);
  return record == nullptr ? Forms() : record->forms();
}

std::shared_ptr<const CompressedEntry> EntryStore::Compressed(const ComponentId& component) const {
  const Record* record = FindRecord(component);
  return record == nullptr ? nullptr : record->compressed;
}

bool EntryStore::AddCompressed(const ComponentId& component,
                               std::unique_ptr<CompressedEntry> compressed) {
  Record* record = FindRecord(component);
  if (record == nullptr || !record->entry || record->compressed ||
      record->content() != compressed->content()) {
    return false;
  }
  record->compressed = std::move(compressed);
  return true;
}

bool EntryStore::GiveUpRaw(const ComponentId& component) {
  Record* record = FindRecord(component);
  if (record == nullptr || !Record::MayGiveUpRaw(record->forms())) return false;
  record->entry.reset();
  return true;
}

bool EntryStore::GiveUpCompressed(const ComponentId& component) {
  Record* record = FindRecord(component);
  if (record == nullptr || !record->may_give_up_compressed(record->forms())) return false;
  record->compressed.reset();
  return true;
}

bool EntryStore::GiveUpDamaged(const ComponentId& component) {
  Record* record = FindRecord(component);
  if (record == nullptr || !record->entry) return false;
  record->compressed.reset();
  return true;
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

EntryHold EntryStore::PublishWith(const ComponentId& twin, std::unique_ptr<Entry> entry) {
  Record* record = FindRecord(twin);
  if (record == nullptr || record->entry || record->content() != entry->content()) {
    return Publish(std::move(entry));
  }
  const ComponentId id = entry->component();
  if (FindRecord(id) != record) {
    Drop(id);
    Show(*record, id);
  }
  record->entry = std::move(entry);
  return EntryHold(*this, *record, HoldKind::kPin);
}

EntryHold EntryStore::PublishInstead(const ComponentId& other, std::unique_ptr<Entry> entry) {
  Record* record = FindRecord(other);
  if (record == nullptr || !record->entry || record->entry->guarded() ||
      record->content() != entry->content()) {
    return Publish(std::move(entry));
  }
  const ComponentId id = entry->component();
  if (FindRecord(id) != record) {
    Drop(id);
    Show(*record, id);
  }
  return Exchange(*record, std::move(entry));
}

EntryHold EntryStore::Exchange(Record& old, std::unique_ptr<Entry> entry) {
  auto made = std::make_unique<Record>();
  Record& record = *made;
  record.entry = std::move(entry);
  record.compressed = std::move(old.compressed);
  record.ids = std::exchange(old.ids, {});
  record.key = old.key;  // the policy goes on with what it knows
  for (const ComponentId& id : record.ids) visible_[id] = &record;
  records_.emplace(&record, std::move(made));
  if (old.held()) old.entry->SetMemoryKind(MemoryKind::kDropped);
  Settle(old);
  return EntryHold(*this, record, HoldKind::kPin);
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
  if (record == nullptr || !record->entry) return std::nullopt;
  policy_->Request(record->object());
  return EntryHold(*this, *record, kind);
}

std::optional<EntryHold> EntryStore::HoldUncounted(const ComponentId& component) {
  return HoldAs(component, HoldKind::kPin);
}

std::optional<EntryHold> EntryStore::HoldForWork(const ComponentId& component) {
  return HoldAs(component, HoldKind::kWork);
}

std::optional<EntryHold> EntryStore::HoldAs(const ComponentId& component, HoldKind kind) {
  Record* record = FindRecord(component);
  if (record == nullptr || !record->entry) return std::nullopt;
  return EntryHold(*this, *record, kind);
}

void EntryStore::CountUse(const ComponentId& component) {
  if (const Record* record = FindRecord(component)) policy_->Request(record->object());
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
  record->compressed.reset();
  if (record->held()) {
    record->entry->SetMemoryKind(MemoryKind::kDropped);
    return Dropped::kHeld;
  }
  Settle(*record);
  return Dropped::kFreed;
}

EntryStore::Retention EntryStore::RetentionOfRecord(const Record& record) const {
  if (!retention_of_) return Retention::kMedium;
  Retention highest = Retention::kGone;
  for (const ComponentId& id : record.ids) highest = std::max(highest, retention_of_(id));
  return highest;
}

bool EntryStore::IsExpendable(const Record& record) const {
  return expendable_ && std::all_of(record.ids.begin(), record.ids.end(), expendable_);
}

std::optional<EntryStore::Choice> EntryStore::NextStep(EvictionPolicy& policy,
                                                       const FormsLeft& left) const {
  using What = Step::What;
  const auto choose = [&](What what, auto may_go) -> std::optional<Choice> {
    // Some policies learn from being asked: not in vain.
    const bool any = std::any_of(records_.begin(), records_.end(), [&](const auto& each) {
      const Record& record = *each.second;
      return !record.ids.empty() && may_go(record, left(record));
    });
    if (!any) return std::nullopt;
    const auto id = policy.Victim([&](const ComponentId& each) {
      const Record& record = *FindRecord(each);
      return may_go(record, left(record));
    });
    if (!id) return std::nullopt;
    Record* const record = FindRecord(*id);
    return Choice{what, record, RetentionOfRecord(*record)};
  };
  const auto is_gone = [&](const Record& record, const Forms& forms) {
    return record.may_leave(forms) && RetentionOfRecord(record) == Retention::kGone;
  };
  if (auto choice = choose(What::kComponent, is_gone)) return choice;
  if (auto choice = choose(What::kRawForm, [](const Record&, const Forms& forms) {
        return Record::MayGiveUpRaw(forms);
      })) {
    return choice;
  }
  for (const Retention retention : {Retention::kLow, Retention::kMedium, Retention::kHigh}) {
    const auto may_go = [&](const Record& record, const Forms& forms) {
      return record.may_leave(forms) && RetentionOfRecord(record) == retention;
    };
    if (auto choice = choose(What::kComponent, [&](const Record& record, const Forms& forms) {
          return may_go(record, forms) && IsExpendable(record);
        })) {
      choice->expendable = true;
      return choice;
    }
    if (auto choice = choose(What::kComponent, may_go)) return choice;
  }
  return choose(What::kCompressedForm, [](const Record& record, const Forms& forms) {
    return record.may_give_up_compressed(forms);
  });
}

bool EntryStore::EvictOne(std::vector<ComponentId>& evicted) {
  const auto choice = NextStep(*policy_, [](const Record& record) { return record.forms(); });
  if (!choice) return false;
  const std::vector<ComponentId> ids = choice->record->ids;
  switch (choice->what) {
    case Step::What::kRawForm:
      choice->record->entry.reset();
      break;
    case Step::What::kCompressedForm:
      choice->record->compressed.reset();
      break;
    case Step::What::kComponent:
      for (const ComponentId& id : ids) Drop(id);
      evicted.insert(evicted.end(), ids.begin(), ids.end());
      break;
  }
  if (left_) left_(ids, choice->what == Step::What::kComponent);
  return true;
}

std::vector<ComponentId> EntryStore::Components() const {
  std::vector<ComponentId> components;
  components.reserve(visible_.size());
  for (const auto& [id, record] : visible_) components.push_back(id);
  return components;
}

std::vector<ComponentId> EntryStore::Owners() const {
  std::vector<ComponentId> owners;
  for (const auto& [key, record] : records_) {
    if (!record->ids.empty()) owners.push_back(record->key);
  }
  return owners;
}

void EntryStore::Unhold(Record& record, HoldKind kind) {
  --record.count(kind);
  if (record.held()) return;
  if (record.ids.empty()) return Settle(record);
  if (released_ && kind != HoldKind::kWork) released_(record.key);
}

void EntryStore::Settle(Record& record) {
  if (record.ids.empty() && !record.held()) records_.erase(&record);
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
