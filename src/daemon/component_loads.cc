// Loads in flight: begun, watched, ended.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/units.h"
#include "cache/entry_loader.h"
#include "daemon/component_cache.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

// Of one entry: more do not make memory faster.
constexpr unsigned kDecodeThreads = 2;
constexpr std::chrono::seconds kWatchInterval{1};
constexpr std::chrono::seconds kStalledAfter{3};

// Where it is read from; 0 for what has no file.
uint64_t DiskOf(const ComponentSource& source) {
  if (source.component.runs.empty() || source.component.runs[0].file >= source.files.size()) {
    return 0;
  }
  return source.files[source.component.runs[0].file].identity.device;
}

}  // namespace

void ComponentCache::Withdraw(const ComponentId& component, WaitId wait) {
  const auto found = flights_.find(component);
  if (found == flights_.end()) return;
  const SharedFlight flight = found->second;
  const size_t ended =
      std::erase_if(flight->waiting, [wait](const auto& each) { return each.first == wait; });
  // Decoding or copying is soon over, and may be what its strategy wants.
  const bool reads = flight->compressed == nullptr && flight->copied == nullptr;
  if (ended > 0 && flight->waiting.empty() && reads) Abandon(flight);
}

void ComponentCache::Abandon(const SharedFlight& flight) {
  const ComponentId id = flight->source.component.id;
  spdlog::info("{}: not loaded, as nobody waits for it any more", flight->source.label);
  flight->abandoned = true;
  flight->stop.request_stop();
  std::erase(queue_, flight);
  flights_.erase(id);
  preloads_.Withdrawn(id);
  events_.changed(id);
}

// Room is made when a load starts, not when it is asked for: what loads before
// it may be evicted by then.
void ComponentCache::StartLoads() {
  while (!parts_.empty() && StartPart(parts_.front())) parts_.pop_front();
  while (MovingLoads() < load_threads_ && !queue_.empty()) {
    events_.before_load();
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
    if (!room.ok() && (MovingLoads() > 0 || conversions_.Interrupt())) return;
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

void ComponentCache::CountReading(int change) {
  reading_ += static_cast<unsigned>(change);
  conversions_.SetLoading(reading_ > 0);
}

void ComponentCache::Start(const SharedFlight& flight, LoadMemory memory) {
  ++running_;
  ++moves_;
  const bool reads = flight->compressed == nullptr && flight->copied == nullptr;
  if (reads) {
    CountReading(1);
    flight->moved = std::chrono::steady_clock::now();
    reads_.insert(flight);
    if (watch_ == 0) watch_ = loop_.RunAfter(kWatchInterval, [this] { WatchReads(); });
  }
  // std::function wants copyable captures.
  auto shared_memory = std::make_shared<LoadMemory>(std::move(memory));
  auto work = [this, flight, shared_memory, reads](std::stop_token stop) mutable {
    auto entry = std::make_shared<StatusOr<std::unique_ptr<Entry>>>(
        Error(ErrorCode::kInternal, "not loaded"));
    {
      const std::stop_callback stopped(stop, [&flight] { flight->stop.request_stop(); });
      *entry = Load(*flight, std::move(*shared_memory), flight->stop.get_token());
    }
    // The flight's callbacks hold entries, which only the loop may let go.
    loop_.Post([this, flight = std::move(flight), entry, reads] {
      --running_;
      ++moves_;
      if (reads) {
        CountReading(-1);
        reads_.erase(flight);
        stalled_ -= flight->stalled ? 1U : 0U;
      }
      if (!flight->abandoned) OnLoaded(flight, std::move(*entry));
      StartLoads();
    });
  };
  if (reads) {
    disks_.Submit(DiskOf(flight->source), std::move(work));
  } else {
    threads_->Submit(std::move(work));
  }
}

void ComponentCache::WatchReads() {
  watch_ = 0;
  const auto now = std::chrono::steady_clock::now();
  for (const SharedFlight& flight : reads_) {
    const uint64_t bytes = flight->done_bytes.load(std::memory_order_relaxed);
    if (std::exchange(flight->seen_bytes, bytes) != bytes) {
      flight->moved = now;
      ++moves_;
    }
    stalled_ -= flight->stalled ? 1U : 0U;
    flight->stalled = now - flight->moved >= kStalledAfter;
    stalled_ += flight->stalled ? 1U : 0U;
  }
  StartLoads();
  if (!reads_.empty()) watch_ = loop_.RunAfter(kWatchInterval, [this] { WatchReads(); });
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
  // A catalog that can't be written is reported by UseRecorder.
  if (source.known_digests.empty()) {
    (void)catalog_.PutDigests(source.component.id, {(*entry)->chunks(), (*entry)->content()});
  }
  (void)catalog_.RecordLoad(source.component.id,
                            std::chrono::duration<double>((*entry)->load_time()).count());
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

const char* ComponentCache::HowItCame(const Flight& flight) {
  if (flight.adopted) return "taken over";
  if (flight.from_ram) return "copied";
  if (flight.read_bytes == 0) return "decoded";
  return flight.demanded ? "read" : "preloaded";
}

void ComponentCache::Publish(const SharedFlight& flight, EntryHold hold) {
  const ComponentId id = flight->source.component.id;
  if (flight->abandoned) {  // while it was compared with others
    {
      const EntryHold ended = std::move(hold);
    }
    DropUnused(id);
    return;
  }
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
  for (const auto& [wait, done] : std::exchange(flight->waiting, {})) {
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
  for (const auto& [wait, done] : std::exchange(flight->waiting, {})) done(why);
}

bool ComponentCache::StopBy(std::chrono::steady_clock::time_point deadline) {
  for (const SharedFlight& flight : reads_) flight->stop.request_stop();
  return threads_->StopBy(deadline);
}

}  // namespace warmset
