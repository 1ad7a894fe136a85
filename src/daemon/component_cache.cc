#include "daemon/component_cache.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/units.h"
#include "cache/codec_speed.h"
#include "cache/entry_loader.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

// Of one entry: more do not make memory faster.
constexpr unsigned kDecodeThreads = 2;

}  // namespace

ComponentCache::ComponentCache(os::EventLoop& loop, Budget& budget, MemoryReserve& reserve,
                               Catalog& catalog, std::unique_ptr<EvictionPolicy> policy,
                               ComponentCosts costs, unsigned load_threads, Events events)
    : loop_(loop),
      catalog_(catalog),
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

void ComponentCache::StopLoads() {
  conversions_.Stop();
  threads_.reset();
  // What flights hold must end while the loop lives, and starts nothing any more.
  store_.SetReleased({});
  queue_.clear();
  flights_.clear();
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

bool ComponentCache::AnswerFromRam(const ComponentId& component, bool counts, const Done& done) {
  Held held = counts ? Use(component, EntryStore::HoldKind::kPin) : HoldForWork(component);
  if (held == nullptr) return false;
  loop_.Post([held = std::move(held), done] { done(Loaded{held, 0, false, {}}); });
  return true;
}

void ComponentCache::Ensure(ComponentSource source, const Wish& wish, Done done) {
  const ComponentId id = source.component.id;
  const bool counts = !wish.preload || IsAskedFor(*wish.preload);
  const Entry* const raw = Find(id);
  const bool serves = !wish.guarded || (raw != nullptr && raw->guarded());
  if (serves && AnswerFromRam(id, counts, done)) return;
  if (const auto joined = flights_.find(id);
      wish.guarded && joined != flights_.end() && !joined->second->guarded) {
    // What is under way is copied when it is there.
    joined->second->may_evict |= wish.may_evict;
    joined->second->demanded |= !wish.preload;
    joined->second->waiting.push_back(
        [this, source = std::move(source), wish, done](StatusOr<Loaded> loaded) mutable {
          if (!loaded.ok()) return done(loaded.status());
          Ensure(std::move(source), wish, std::move(done));
        });
    return;
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
  flight->waiting.push_back(std::move(done));
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
  for (const Done& done : std::exchange(flight->waiting, {})) {
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

void ComponentCache::Forget(const ComponentId& component) {
  if (HasOrExpects(component)) return;
  labels_.erase(component);
  last_used_.erase(component);
  users_.erase(component);
  costs_.Forget(component);
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

// Room is made when a load starts, not when it is asked for: what loads before
// it may be evicted by then.
void ComponentCache::StartLoads() {
  while (!parts_.empty() && StartPart(parts_.front())) parts_.pop_front();
  while (running_ < load_threads_ && !queue_.empty()) {
    const auto demanded = std::find_if(queue_.begin(), queue_.end(),
                                       [](const SharedFlight& each) { return each->demanded; });
    if (demanded != queue_.end()) std::rotate(queue_.begin(), demanded, std::next(demanded));
    const SharedFlight flight = queue_.front();
    const ByteCount needed = EntryMemory(flight->source.component);
    const BudgetUse use = store_.MemoryUse();
    const bool fits = needed <= use.free() + use.reserve;
    if (!fits && !flight->may_evict) {
      if (conversions_.running()) return;
      queue_.pop_front();
      Fail(flight,
           Error(ErrorCode::kRamLimitExceeded,
                 fmt::format("{} does not fit beside what is in RAM now", flight->source.label)));
      continue;
    }
    if (!fits) events_.yield_memory(nullptr);
    room_for_ = "room for " + flight->source.label;
    auto room = store_.MakeRoom(needed, /*touched=*/!flight->guarded);
    // What is being loaded or compressed can be evicted when nobody holds it any more.
    if (!room.ok() && (running_ > 0 || conversions_.Interrupt())) return;
    queue_.pop_front();
    if (!room.ok()) {
      // What is to be copied is in RAM, only not twice.
      if (flight->copied == nullptr || !GoOnUnguarded(flight, room.status())) {
        Fail(flight, room.status());
      }
      continue;
    }
    for (const ComponentId& evicted : room->evicted) flight->evicted.push_back(LabelOf(evicted));
    Start(flight, std::move(room->memory));
  }
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

void ComponentCache::CountReading(int change) {
  reading_ += static_cast<unsigned>(change);
  conversions_.SetLoading(reading_ > 0);
}

void ComponentCache::Start(const SharedFlight& flight, LoadMemory memory) {
  ++running_;
  const bool reads = flight->compressed == nullptr && flight->copied == nullptr;
  if (reads) CountReading(1);
  // std::function wants copyable captures.
  auto shared_memory = std::make_shared<LoadMemory>(std::move(memory));
  threads_->Submit([this, flight, shared_memory, reads](std::stop_token stop) mutable {
    auto entry = std::make_shared<StatusOr<std::unique_ptr<Entry>>>(
        Load(*flight, std::move(*shared_memory), stop));
    // The flight's callbacks hold entries, which only the loop may let go.
    loop_.Post([this, flight = std::move(flight), entry, reads] {
      --running_;
      if (reads) CountReading(-1);
      OnLoaded(flight, std::move(*entry));
      StartLoads();
    });
  });
}

StatusOr<std::unique_ptr<Entry>> ComponentCache::Load(Flight& flight, LoadMemory memory,
                                                      std::stop_token stop) {
  const ComponentSource& source = flight.source;
  if (flight.guarded) {
    ASSIGN_OR_RETURN(memory.file, events_.nameable_memory(source.component.id,
                                                          source.component.entry_bytes, stop));
    flight.adopted = memory.file.guarded();
    if (flight.adopted) {
      return AdoptEntry(source.component, std::move(memory), source.known_digests, stop);
    }
    if (flight.copied != nullptr) {
      return CopyEntry(flight.copied->entry(), source.component, std::move(memory));
    }
  }
  if (flight.compressed != nullptr) {
    const auto started = std::chrono::steady_clock::now();
    auto decoded =
        flight.compressed->Decode(source.component.id, std::move(memory), kDecodeThreads);
    flight.decode_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    return decoded.ok() ? std::move(decoded) : Annotate(decoded.status(), source.label);
  }
  LoadRequest request{
      .component = source.component,
      .files = source.files,
      .known_digests = source.known_digests,
      .memory = std::move(memory),
      .progress = [&flight](uint64_t bytes) { flight.done_bytes = bytes; },
      .stop = stop,
  };
  auto entry = LoadEntry(std::move(request));
  if (!entry.ok()) return Annotate(entry.status(), source.label);
  Status recorded;
  if (source.known_digests.empty()) {
    recorded = catalog_.PutDigests(source.component.id, {(*entry)->chunks(), (*entry)->content()});
  }
  if (recorded.ok()) {
    recorded = catalog_.RecordLoad(source.component.id,
                                   std::chrono::duration<double>((*entry)->load_time()).count());
  }
  if (!recorded.ok()) spdlog::warn("{}: not recorded: {}", source.label, Message(recorded));
  return entry;
}

void ComponentCache::OnLoaded(const SharedFlight& flight, StatusOr<std::unique_ptr<Entry>> entry) {
  if (!entry.ok() && GoOnUnguarded(flight, entry.status())) return;
  const auto compressed = std::exchange(flight->compressed, nullptr);
  const bool decoded = compressed != nullptr;
  if (decoded && CodeOf(entry.status()) == ErrorCode::kCorruptedModel) {
    DropDamaged(flight->source.component.id, compressed);
    if (!flight->with_files) return Fail(flight, entry.status());
    spdlog::warn("its memory was damaged, it is loaded again: {}", Message(entry.status()));
    flight->source = *std::exchange(flight->with_files, std::nullopt);
    return queue_.push_front(flight);
  }
  if (!entry.ok()) return Fail(flight, entry.status());
  flight->from_ram = std::exchange(flight->copied, nullptr) != nullptr;
  const bool read = !decoded && !flight->from_ram && !flight->adopted;
  flight->read_bytes = !read ? 0 : flight->source.component.entry_bytes;
  if (decoded) {
    costs_.AddDecoding(flight->source.component.id, (*entry)->bytes(), flight->decode_seconds);
    return Publish(flight, store_.Publish(*std::move(entry)));
  }
  if (read && !flight->guarded) reserve_.NoteLoad(ByteCount((*entry)->bytes()));
  publisher_.Publish(*threads_, *std::move(entry),
                     [this, flight](EntryHold hold) { Publish(flight, std::move(hold)); });
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
  if (!room.ok() && (running_ > 0 || conversions_.Interrupt())) return false;
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

const char* ComponentCache::HowItCame(const Flight& flight) {
  if (flight.adopted) return "taken over";
  if (flight.from_ram) return "copied";
  if (flight.read_bytes == 0) return "decoded";
  return flight.demanded ? "read" : "preloaded";
}

void ComponentCache::Publish(const SharedFlight& flight, EntryHold hold) {
  const ComponentId id = flight->source.component.id;
  costs_.SetLoad(id, std::chrono::duration<double>(hold.entry().load_time()).count());
  labels_[id] = flight->source.label;
  flights_.erase(id);
  const double took = flight->read_bytes == 0
                          ? flight->decode_seconds
                          : std::chrono::duration<double>(hold.entry().load_time()).count();
  spdlog::info("{}: {} {} in {:.1f} ms", flight->source.label,
               FormatSize(ByteCount(hold.entry().bytes())), HowItCame(*flight), took * 1e3);
  preloads_.Ended(id, true);
  events_.changed(id);
  conversions_.Consider(id);
  for (const Done& done : std::exchange(flight->waiting, {})) {
    auto held = std::make_shared<const EntryHold>(hold.Again(EntryStore::HoldKind::kPin));
    done(Loaded{std::move(held), flight->read_bytes, flight->read_bytes == 0, flight->evicted,
                flight->unguarded});
  }
}

void ComponentCache::Fail(const SharedFlight& flight, const Status& why) {
  const ComponentId id = flight->source.component.id;
  flights_.erase(id);
  const bool no_room = CodeOf(why) == ErrorCode::kRamLimitExceeded;
  if (no_room) {
    preloads_.Withdrawn(id);
  } else {
    preloads_.Ended(id, false);
  }
  const bool awaited = flight->demanded || !no_room;
  spdlog::log(awaited ? spdlog::level::warn : spdlog::level::debug, "{}", Message(why));
  for (const Done& done : std::exchange(flight->waiting, {})) done(why);
}

std::string ComponentCache::LabelOf(const ComponentId& component) const {
  const auto label = labels_.find(component);
  return label == labels_.end() ? component.Hex().substr(0, 12) : label->second;
}

}  // namespace warmset
