// Moves components between their raw and compressed forms, as their strategies ask.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/courtesy.h"
#include "base/digest.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "cache/entry_store.h"
#include "model/cache_strategy.h"
#include "os/event_loop.h"

namespace warmset {

// Loop thread only; compresses on a thread of its own, one component at a time,
// behind all other work of the machine.
class Conversions {
 public:
  struct Events {
    std::function<CacheStrategy(const ComponentId&)> strategy_of;  // never kAdaptive
    std::function<void(const ComponentId&)> changed;               // its forms did
    // Whether others may leave RAM so that it can be compressed.
    std::function<bool(const ComponentId&)> may_evict_for;
    std::function<void()> ended;  // compressing one did, well or not
    std::function<std::string(const ComponentId&)> label;
  };

  Conversions(os::EventLoop& loop, EntryStore& store, Events events);

  // Does, now or later, what the component's strategy asks in its present state.
  // Call when it was published, released by its last holder, or given a strategy.
  void Consider(const ComponentId& component);

  // The component is gone: what was learnt of it is of no use.
  void Forget(const ComponentId& component);

  struct Progress {
    size_t waiting = 0;      // components to be compressed, the one at work included
    double seconds = 0;      // spent on compressing since the start
    uint64_t raw_bytes = 0;  // compressed since the start
    uint64_t compressed_bytes = 0;
  };
  const Progress& progress() const { return progress_; }
  // What a component of so many bytes takes compressed: known, or as others did.
  uint64_t CompressedSize(const ComponentId& component, uint64_t raw_bytes) const;
  // What compressing is taken to be until some was measured.
  void SetEncodeSpeed(double bytes_per_second) { assumed_encode_speed_ = bytes_per_second; }
  // The share of the machine's processors, in seconds, that compressing so much takes.
  double EncodeSeconds(uint64_t raw_bytes) const;

  // While models are read from disk, which somebody waits for, compressing pauses: for a
  // few seconds in all for each component.
  void SetLoading(bool loading) { courtesy_.SetBusy(loading); }
  // Whether one is being compressed: its memory may come back.
  bool running() const { return running_; }
  // Stops the compressing at work, as its memory is wanted; false when there is none.
  bool Interrupt();
  // Ends the thread: before the loop goes.
  void Stop() {
    interrupt_.request_stop();
    thread_.reset();
  }

 private:
  void StartNext();
  // Of one that is there in both forms.
  void ConsiderBoth(const ComponentId& component);
  // Whether it should be compressed now.
  bool IsWanted(const ComponentId& component) const;
  StatusOr<Reservation> RoomFor(const ComponentId& component, ByteCount bytes);
  void OnCompressed(const ComponentId& component, StatusOr<std::unique_ptr<CompressedEntry>> made);
  void Add(const ComponentId& component, std::unique_ptr<CompressedEntry> made);

  os::EventLoop& loop_;
  EntryStore& store_;
  const Events events_;
  std::deque<ComponentId> queue_;
  std::set<ComponentId> known_;           // queued or at work
  std::set<ComponentId> retries_;         // both forms are there: a timer considers it again
  std::set<ComponentId> incompressible_;  // tried in vain
  std::unordered_map<ComponentId, uint64_t> sizes_;  // of what was compressed
  bool running_ = false;
  std::stop_source interrupt_;  // of what is at work
  Progress progress_;
  double assumed_encode_speed_ = 2e9;   // bytes per second
  Courtesy courtesy_;                   // of the thread
  std::unique_ptr<ThreadPool> thread_;  // last: joined first
};

}  // namespace warmset
