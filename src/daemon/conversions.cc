#include "daemon/conversions.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/units.h"
#include "fmt/format.h"
#include "os/process.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

// What bf16 weights come to; more is taken where they need it and where it is free.
constexpr double kExpectedSize = 0.7;
// With loads, in all for each component: what is never compressed is evicted instead.
constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds(2);
constexpr std::chrono::seconds kRetryInterval{1};
// Not worth decoding for.
constexpr double kLeastGain = 0.05;

ByteCount Part(ByteCount bytes, double part) {
  return ByteCount(static_cast<uint64_t>(static_cast<double>(bytes.value()) * part));
}

}  // namespace

Conversions::Conversions(os::EventLoop& loop, EntryStore& store, Events events)
    : loop_(loop),
      store_(store),
      events_(std::move(events)),
      thread_(std::make_unique<ThreadPool>(1)) {
  thread_->Submit([](std::stop_token) { os::RunBehindOthers(); });
}

void Conversions::Consider(const ComponentId& component) {
  const EntryStore::Forms forms = store_.FormsOf(component);
  if (forms.raw && forms.compressed) return ConsiderBoth(component);
  if (!IsWanted(component) || !known_.insert(component).second) return;
  queue_.push_back(component);
  ++progress_.waiting;
  StartNext();
}

void Conversions::Forget(const ComponentId& component) {
  incompressible_.erase(component);
  sizes_.erase(component);
}

bool Conversions::IsWanted(const ComponentId& component) const {
  const EntryStore::Forms forms = store_.FormsOf(component);
  if (!forms.raw || forms.compressed || incompressible_.contains(component)) return false;
  const CacheStrategy strategy = events_.strategy_of(component);
  return strategy == CacheStrategy::kMemory ||
         (strategy == CacheStrategy::kBalanced && !forms.held);
}

void Conversions::ConsiderBoth(const ComponentId& component) {
  switch (events_.strategy_of(component)) {
    case CacheStrategy::kMemory:
      // While it is held, this is asked again when it is let go.
      if (store_.GiveUpRaw(component)) events_.changed(component);
      return;
    case CacheStrategy::kSpeed:
      if (store_.GiveUpCompressed(component)) return events_.changed(component);
      // A device's worker decodes it, whose end is not reported here.
      if (!retries_.insert(component).second) return;
      loop_.RunAfter(kRetryInterval, [this, component] {
        retries_.erase(component);
        Consider(component);
      });
      return;
    case CacheStrategy::kBalanced:
    case CacheStrategy::kAdaptive:
      return;
  }
}

void Conversions::StartNext() {
  while (!running_ && !queue_.empty()) {
    const ComponentId component = queue_.front();
    queue_.pop_front();
    // It may have left RAM, or be wanted raw by now.
    auto hold = IsWanted(component) ? store_.HoldForWork(component) : std::nullopt;
    auto room = hold ? RoomFor(component, Part(hold->entry().memory(), kExpectedSize))
                     : StatusOr<Reservation>(Error(ErrorCode::kCancelled, "that is not wanted"));
    if (!room.ok()) {
      spdlog::debug("{} is not compressed: {}", events_.label(component), Message(room.status()));
      known_.erase(component);
      --progress_.waiting;
      continue;
    }
    running_ = true;
    interrupt_ = std::stop_source();
    auto reservation = std::make_shared<Reservation>(*std::move(room));
    auto held = std::make_shared<EntryHold>(*std::move(hold));
    const Entry* const entry = &held->entry();
    thread_->Submit([this, component, entry, held = std::move(held), reservation,
                     stop = interrupt_.get_token()](std::stop_token) mutable {
      const auto started = std::chrono::steady_clock::now();
      std::chrono::nanoseconds patience = kPatience;
      auto made =
          std::make_shared<StatusOr<std::unique_ptr<CompressedEntry>>>(CompressedEntry::Make(
              *entry, std::move(*reservation), stop, [&] { courtesy_.Wait(patience, stop); }));
      const std::chrono::duration<double> took =
          std::chrono::steady_clock::now() - started - (kPatience - patience);
      // The hold may end only on the loop, before what it held up goes on.
      loop_.Post([this, component, held = std::move(held), made, took]() mutable {
        held.reset();
        progress_.seconds += took.count();
        OnCompressed(component, std::move(*made));
      });
    });
  }
}

StatusOr<Reservation> Conversions::RoomFor(const ComponentId& component, ByteCount bytes) {
  const BudgetUse use = store_.MemoryUse();
  if (!events_.may_evict_for(component) && bytes > use.free() + use.reserve) {
    return Error(ErrorCode::kRamLimitExceeded, "it is not in use, so nothing leaves RAM for it");
  }
  return store_.MakeRoomToCompress(bytes);
}

bool Conversions::Interrupt() {
  if (!running_) return false;
  interrupt_.request_stop();
  return true;
}

void Conversions::OnCompressed(const ComponentId& component,
                               StatusOr<std::unique_ptr<CompressedEntry>> made) {
  running_ = false;
  known_.erase(component);
  --progress_.waiting;
  if (made.ok()) {
    Add(component, *std::move(made));
  } else {
    if (CodeOf(made.status()) == ErrorCode::kInternal) incompressible_.insert(component);
    spdlog::info("{} stays raw: {}", events_.label(component), Message(made.status()));
  }
  made = Error(ErrorCode::kCancelled, "");  // its memory, if it was not wanted
  if (interrupt_.stop_requested()) {
    // Others wait for room; what is left is compressed when it is next let go.
    for (const ComponentId& waiting : queue_) known_.erase(waiting);
    progress_.waiting -= queue_.size();
    queue_.clear();
  }
  StartNext();
  events_.ended();
}

void Conversions::Add(const ComponentId& component, std::unique_ptr<CompressedEntry> made) {
  const ByteCount raw(made->raw_bytes());
  const ByteCount compressed(made->bytes());
  progress_.raw_bytes += raw.value();
  progress_.compressed_bytes += compressed.value();
  sizes_[component] = compressed.value();
  if (compressed > Part(raw, 1 - kLeastGain)) {
    incompressible_.insert(component);
    spdlog::info("{} stays raw: compressing it saves nothing", events_.label(component));
  } else if (store_.AddCompressed(component, std::move(made))) {
    spdlog::info("{}: {} compressed to {}", events_.label(component), FormatSize(raw),
                 FormatSize(compressed));
    events_.changed(component);
    Consider(component);  // whether the raw form stays
  }
}

double Conversions::EncodeSeconds(uint64_t raw_bytes) const {
  static const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
  const double rate = progress_.raw_bytes > 0
                          ? static_cast<double>(progress_.raw_bytes) / progress_.seconds
                          : assumed_encode_speed_;
  return static_cast<double>(raw_bytes) / rate / processors;
}

uint64_t Conversions::CompressedSize(const ComponentId& component, uint64_t raw_bytes) const {
  if (const auto known = sizes_.find(component); known != sizes_.end()) return known->second;
  const double size = progress_.raw_bytes > 0 ? static_cast<double>(progress_.compressed_bytes) /
                                                    static_cast<double>(progress_.raw_bytes)
                                              : kExpectedSize;
  return Part(ByteCount(raw_bytes), size).value();
}

}  // namespace warmset
