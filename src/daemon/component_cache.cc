#include "daemon/component_cache.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cache/codec_speed.h"
#include "spdlog/spdlog.h"

namespace warmset {

ComponentCache::ComponentCache(os::EventLoop& loop, Budget& budget, MemoryReserve& reserve,
                               Catalog& catalog, DiskThreads& disks,
                               std::unique_ptr<EvictionPolicy> policy, ComponentCosts costs,
                               unsigned load_threads, Events events)
    : loop_(loop),
      catalog_(catalog),
      disks_(disks),
      load_threads_(load_threads),
      events_(std::move(events)),
      reserve_(reserve),
      store_(budget, reserve, events_.describe, std::move(policy)),
      conversions_(loop, store_,
                   {.strategy_of = [this](const ComponentId& id) { return StrategyOf(id); },
                    .changed = events_.changed,
                    .may_evict_for =
                        [this](const ComponentId& id) {
                          room_for_ = "room for compressing another";
                          return !preloads_.IsUnused(id);
                        },
                    .ended = [this] { StartLoads(); },
                    .label = [this](const ComponentId& id) { return LabelOf(id); }}),
      ghosts_(budget.Use().limit.value()),
      costs_(std::move(costs)),
      publisher_(loop, store_),
      threads_(std::make_unique<ThreadPool>(load_threads + 1)) {
  store_.SetRetention(events_.retention_of);
  store_.SetExpendable([this](const ComponentId& id) {
    return events_.strategy_of(id) == CacheStrategy::kAdaptive && ghosts_.IsExpendable(id);
  });
  store_.SetLeft([this](const auto& components, bool whole) { OnLeft(components, whole); });
  store_.SetReleased(
      [this](const ComponentId& id) { loop_.Post([this, id] { conversions_.Consider(id); }); });
}

void ComponentCache::DropAll() {
  for (const ComponentId& component : store_.Components()) store_.Drop(component);
}

void ComponentCache::StopLoads() {
  loop_.Cancel(watch_);
  conversions_.Stop();
  threads_.reset();
  // What flights hold must end while the loop lives, and starts nothing any more.
  store_.SetReleased({});
  queue_.clear();
  flights_.clear();
  reads_.clear();
  parts_.clear();
}

CacheStrategy ComponentCache::StrategyOf(const ComponentId& component) const {
  std::optional<CacheStrategy> strategy;
  const auto add = [&](const ComponentId& id) {
    CacheStrategy chosen = events_.strategy_of(id);
    if (chosen == CacheStrategy::kAdaptive) {
      if (ghosts_.IsExpendable(id)) return;  // it has no wish
      chosen = ghosts_.StrategyFor(id);
    }
    strategy = strategy ? MoreRaw(*strategy, chosen) : chosen;
  };
  add(component);
  for (const ComponentId& sharer : store_.SharedBy(component)) add(sharer);
  return strategy.value_or(CacheStrategy::kSpeed);
}

bool ComponentCache::IsBusy(const ComponentId& component) const {
  return store_.FormsOf(component).held || flights_.contains(component);
}

bool ComponentCache::Has(const ComponentId& component) const {
  const EntryStore::Forms forms = store_.FormsOf(component);
  return forms.raw || forms.compressed;
}

bool ComponentCache::AnswerFromRam(const ComponentId& component, const Wish& wish,
                                   const Done& done) {
  const Held held = wish.counts     ? Use(component, EntryStore::HoldKind::kPin)
                    : !wish.preload ? HoldUncounted(component)
                                    : HoldForWork(component);
  if (held == nullptr) return false;
  loop_.Post([held, done] { done(Loaded{held, 0, false, {}}); });
  return true;
}

Status ComponentCache::CheckRoom(ByteCount bytes) const {
  // What is being made now can be evicted later: then only the limit is sure.
  const bool busy = !idle() || running_ > 0 || conversions_.running();
  if (busy && bytes <= store_.MemoryUse().limit) return OkStatus();
  return store_.CheckRoom(bytes);
}

ComponentCache::WaitId ComponentCache::Ensure(ComponentSource source, const Wish& wish, Done done) {
  const ComponentId id = source.component.id;
  const bool counts = wish.counts;
  const Entry* const raw = Find(id);
  const bool serves = !wish.guarded || (raw != nullptr && raw->guarded());
  if (serves && AnswerFromRam(id, wish, done)) return 0;
  if (const auto joined = flights_.find(id);
      wish.guarded && joined != flights_.end() && !joined->second->guarded) {
    // What is under way is copied when it is there.
    joined->second->may_evict |= wish.may_evict;
    joined->second->demanded |= !wish.preload;
    joined->second->waiting.emplace_back(++last_wait_, [this, source = std::move(source), wish,
                                                        done](StatusOr<Loaded> loaded) mutable {
      if (!loaded.ok()) return done(loaded.status());
      Ensure(std::move(source), wish, std::move(done));
    });
    return last_wait_;
  }
  auto compressed = store_.Compressed(id);
  if (counts) {
    const CachedObject object = ObjectOf(id, EntryMemory(source.component).value());
    CountRequest(object, /*as_raw=*/true);
    if (compressed != nullptr || raw != nullptr) {
      store_.CountUse(id);
    } else {
      store_.NoteMiss(object);
    }
  }
  SharedFlight& flight = flights_[id];
  if (flight == nullptr && wish.preload) preloads_.Issued(id, *wish.preload);
  if (flight == nullptr) {
    const bool decodes = compressed != nullptr && raw == nullptr;
    flight = decodes ? DecodingFlight(id, std::move(compressed), source.label)
                     : std::make_shared<Flight>();
    flight->guarded = wish.guarded;
    // A raw entry that does not serve is one that is not guarded.
    if (auto hold = store_.HoldForWork(id)) {
      flight->copied = std::make_shared<const EntryHold>(*std::move(hold));
    }
    if (flight->compressed == nullptr) flight->source = std::move(source);
    queue_.push_back(flight);
    loop_.Post([this] { StartLoads(); });
  }
  if (flight->compressed != nullptr && !flight->with_files) flight->with_files = std::move(source);
  flight->may_evict |= wish.may_evict;
  flight->demanded |= !wish.preload;
  flight->waiting.emplace_back(++last_wait_, std::move(done));
  return last_wait_;
}

bool ComponentCache::GoOnUnguarded(const SharedFlight& flight, const Status& why) {
  if (!flight->guarded || CodeOf(why) == ErrorCode::kCancelled) return false;
  if (std::exchange(flight->adopted, false)) {
    spdlog::info("{}: an earlier daemon's file does not serve: {}", flight->source.label,
                 Message(why));
    queue_.push_front(flight);
    return true;
  }
  constexpr std::array kOfTheModel = {ErrorCode::kFileChanged, ErrorCode::kFileNotFound,
                                      ErrorCode::kCorruptedModel};
  const bool of_the_model = std::count(kOfTheModel.begin(), kOfTheModel.end(), CodeOf(why)) > 0;
  if (of_the_model && flight->copied == nullptr) return false;
  spdlog::info("{}: it gets no file of its own: {}", flight->source.label, Message(why));
  flight->unguarded = why;
  if (flight->copied == nullptr) {
    flight->guarded = false;
    queue_.push_front(flight);
    return true;
  }
  const auto copied = std::exchange(flight->copied, nullptr);
  flights_.erase(flight->source.component.id);
  for (const auto& [wait, done] : std::exchange(flight->waiting, {})) {
    auto held = std::make_shared<const EntryHold>(copied->Again(EntryStore::HoldKind::kPin));
    done(Loaded{std::move(held), 0, false, {}, why});
  }
  return true;
}

std::vector<ComponentId> ComponentCache::Breached() const {
  std::vector<ComponentId> breached;
  for (const ComponentId& component : store_.Owners()) {
    const Entry* const entry = store_.Find(component);
    if (entry != nullptr && entry->data().lease().broken()) breached.push_back(component);
  }
  return breached;
}

ComponentCache::SharedFlight ComponentCache::DecodingFlight(
    const ComponentId& component, std::shared_ptr<const CompressedEntry> compressed,
    std::string label) {
  auto flight = std::make_shared<Flight>();
  flight->source.label = std::move(label);
  flight->source.component = compressed->component();
  flight->source.component.id = component;  // it may be another's with the same content
  flight->compressed = std::move(compressed);
  return flight;
}

void ComponentCache::Reconsider(const ComponentId& component) {
  conversions_.Consider(component);
  const EntryStore::Forms forms = store_.FormsOf(component);
  if (forms.raw || !forms.compressed || flights_.contains(component) ||
      StrategyOf(component) != CacheStrategy::kSpeed) {
    return;
  }
  SharedFlight flight = DecodingFlight(component, store_.Compressed(component), LabelOf(component));
  flights_[component] = flight;
  queue_.push_back(flight);
  loop_.Post([this] { StartLoads(); });
}

ComponentCache::Held ComponentCache::Use(const ComponentId& component, EntryStore::HoldKind kind) {
  auto hold = store_.Hold(component, kind);
  if (!hold) return nullptr;
  CountRequest(ObjectOf(component, hold->entry().memory().value()), /*as_raw=*/true);
  return std::make_shared<const EntryHold>(*std::move(hold));
}

ComponentCache::Held ComponentCache::HoldForWork(const ComponentId& component) {
  auto hold = store_.HoldForWork(component);
  return hold ? std::make_shared<const EntryHold>(*std::move(hold)) : nullptr;
}

ComponentCache::Held ComponentCache::HoldUncounted(const ComponentId& component) {
  auto hold = store_.HoldUncounted(component);
  return hold ? std::make_shared<const EntryHold>(*std::move(hold)) : nullptr;
}

void ComponentCache::CountUse(const ComponentId& component) {
  if (!Has(component)) return;
  const Entry* const raw = Find(component);
  const uint64_t bytes = raw != nullptr ? raw->memory().value()
                                        : EntryMemory(Compressed(component)->component()).value();
  CountRequest(ObjectOf(component, bytes), /*as_raw=*/raw != nullptr);
  store_.CountUse(component);
}

void ComponentCache::Recall(const UseLedger::Line& line) {
  ledger_.Recall(line);
  store_.Recall(line.object, line.history);
  ghosts_.Recall(line.object, line.history);
}

void ComponentCache::CountRequest(const CachedObject& object, bool as_raw) {
  ledger_.Count(object);
  predictor_.Observe(ledger_);
  last_used_[object.id] = std::chrono::steady_clock::now();
  if (!codec_measured_ && events_.strategy_of(object.id) == CacheStrategy::kAdaptive) {
    MeasureCodec();
  }
  const std::vector<ComponentId> concerned =
      ghosts_.Request(object.id,
                      {.raw_bytes = object.bytes,
                       .compressed_bytes = conversions_.CompressedSize(object.id, object.bytes),
                       .load_seconds = object.load_seconds,
                       .decode_seconds = costs_.DecodeSeconds(object.id, object.bytes),
                       .encode_seconds = conversions_.EncodeSeconds(object.bytes)},
                      as_raw);
  for (const ComponentId& id : concerned) {
    loop_.Post([this, id] { conversions_.Consider(id); });
  }
}

void ComponentCache::MeasureCodec() {
  codec_measured_ = true;
  threads_->Submit([this](std::stop_token) {
    const auto speed = MeasureCodecSpeed();
    if (!speed.ok()) return spdlog::warn("the codec: {}", Message(speed.status()));
    loop_.Post([this, speed = *speed] {
      spdlog::debug("the codec encodes {:.1f} and decodes {:.1f} GB/s here",
                    speed.encode_bytes_per_second / 1e9, speed.decode_bytes_per_second / 1e9);
      conversions_.SetEncodeSpeed(speed.encode_bytes_per_second);
      costs_.SetDecodeSpeed(speed.decode_bytes_per_second);
    });
  });
}

StatusOr<std::vector<ComponentCache::PlannedStep>> ComponentCache::PlanRoom(
    ByteCount bytes, std::span<const ComponentId> held) const {
  ASSIGN_OR_RETURN(const std::vector<EntryStore::Step> steps, store_.PlanRoom(bytes, held));
  std::vector<PlannedStep> planned;
  for (const EntryStore::Step& step : steps) {
    const ComponentId& component = step.components.front();
    double seconds = 0;  // a compressed form is made again by the way
    if (step.what == EntryStore::Step::What::kRawForm) {
      seconds = costs_.DecodeSeconds(component, step.frees.value());
    } else if (step.what == EntryStore::Step::What::kComponent) {
      seconds = costs_.LoadSeconds(component, step.frees.value());
    }
    planned.push_back({step, LabelOf(component), seconds});
  }
  return planned;
}

std::optional<LoadProgress> ComponentCache::ProgressOf(const ComponentId& component) const {
  const auto flight = flights_.find(component);
  if (flight == flights_.end()) return std::nullopt;
  return LoadProgress{flight->second->done_bytes.load(std::memory_order_relaxed),
                      flight->second->source.component.entry_bytes};
}

EntryStore::Dropped ComponentCache::Drop(const ComponentId& component) {
  if (const Entry* const raw = Find(component)) events_.yield_memory(raw);
  const EntryStore::Dropped dropped = store_.Drop(component);
  if (dropped != EntryStore::Dropped::kNotThere) {
    users_.erase(component);
    preloads_.Left(component);
    events_.changed(component);
  }
  return dropped;
}

void ComponentCache::DropUnused(const ComponentId& component) {
  const auto users = users_.find(component);
  const bool used = users != users_.end() && !users->second.empty();
  if (!used && !IsBusy(component)) Drop(component);
}

bool ComponentCache::IsQueued(const ComponentId& component) const {
  const auto flight = flights_.find(component);
  return flight != flights_.end() &&
         std::find(queue_.begin(), queue_.end(), flight->second) != queue_.end();
}

void ComponentCache::Forget(const ComponentId& component) {
  if (HasOrExpects(component)) return;
  labels_.erase(component);
  last_used_.erase(component);
  users_.erase(component);
  costs_.Forget(component);
  conversions_.Forget(component);
}

void ComponentCache::AddUser(const ComponentId& component, const ModelId& model) {
  if (Has(component)) users_[component].insert(model);
}

const std::set<ModelId>& ComponentCache::RemoveUser(const ComponentId& component,
                                                    const ModelId& model) {
  static const std::set<ModelId> kNone;
  const auto found = users_.find(component);
  if (found == users_.end()) return kNone;
  found->second.erase(model);
  return found->second;
}

void ComponentCache::OnLeft(const std::vector<ComponentId>& components, bool whole) {
  const auto now = std::chrono::steady_clock::now();
  for (const ComponentId& component : components) {
    if (!whole) {
      events_.changed(component);
      continue;
    }
    const auto used = last_used_.find(component);
    const auto age = used == last_used_.end()
                         ? std::chrono::seconds(0)
                         : std::chrono::floor<std::chrono::seconds>(now - used->second);
    usage_.AddEviction({LabelOf(component), age, room_for_});
    preloads_.Left(component);
    users_.erase(component);
    events_.changed(component);
  }
}

size_t ComponentCache::ShrinkToLimit() {
  room_for_ = "memory is short";
  events_.yield_memory(nullptr);
  return store_.ShrinkToLimit().size();
}

void ComponentCache::DropDamaged(const ComponentId& component,
                                 const std::shared_ptr<const CompressedEntry>& damaged) {
  if (damaged == nullptr || store_.Compressed(component) != damaged) return;
  if (store_.GiveUpDamaged(component)) return events_.changed(component);
  const std::vector<ComponentId> sharers = store_.SharedBy(component);
  for (const ComponentId& sharer : sharers) store_.Drop(sharer);
  room_for_ = "its memory was damaged";
  OnLeft(sharers, true);
}

void ComponentCache::DecodeTensors(const ComponentId& component,
                                   std::span<const std::string> tensors, DonePart done) {
  auto compressed = store_.Compressed(component);
  auto part = SelectTensors(compressed->component(), tensors);
  if (!part.ok()) {
    return loop_.Post([done = std::move(done), why = part.status()] { done(why); });
  }
  CountUse(component);
  parts_.push_back(std::make_shared<PartRequest>(
      PartRequest{component, std::move(compressed), *std::move(part), std::move(done)}));
  loop_.Post([this] { StartLoads(); });
}

bool ComponentCache::StartPart(const SharedPart& request) {
  events_.yield_memory(nullptr);
  room_for_ = "room for tensors of " + LabelOf(request->component);
  auto room = store_.MakeRoom(EntryMemory(request->part.component));
  if (!room.ok() && (MovingLoads() > 0 || conversions_.Interrupt())) return false;
  if (!room.ok()) {
    request->done(room.status());
    return true;
  }
  ++running_;
  auto memory = std::make_shared<LoadMemory>(std::move(room->memory));
  threads_->Submit([this, request, memory](std::stop_token) mutable {
    auto entry = std::make_shared<StatusOr<std::unique_ptr<Entry>>>(
        DecodePart(*request->compressed, request->part, std::move(*memory)));
    loop_.Post([this, request = std::move(request), entry] {
      --running_;
      const auto compressed = std::exchange(request->compressed, nullptr);
      if (entry->ok()) {
        request->done(std::shared_ptr<const Entry>(std::move(**entry)));
      } else {
        if (CodeOf(entry->status()) == ErrorCode::kCorruptedModel) {
          DropDamaged(request->component, compressed);
        }
        request->done(entry->status());
      }
      StartLoads();
    });
  });
  return true;
}

std::string ComponentCache::LabelOf(const ComponentId& component) const {
  const auto label = labels_.find(component);
  return label == labels_.end() ? component.Hex().substr(0, 12) : label->second;
}

}  // namespace warmset
