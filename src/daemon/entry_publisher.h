// Publishes what was loaded, once for all components of the same content.
#pragma once

#include <functional>
#include <memory>

#include "base/thread_pool.h"
#include "cache/entry_store.h"
#include "os/event_loop.h"

namespace warmset {

// Loop thread only; must outlive the pools that it is given.
class EntryPublisher {
 public:
  using Done = std::function<void(EntryHold)>;

  EntryPublisher(os::EventLoop& loop, EntryStore& store) : loop_(loop), store_(store) {}

  // Makes the entry visible, or, where one with equal digests is in RAM in any form and
  // all bytes turn out to be the same, that one under the entry's component as well; a
  // guarded entry then takes that one's place.
  // Calls done exactly once: at once where nothing is like it, else when it was compared
  // on a thread of the pool.
  void Publish(ThreadPool& threads, std::unique_ptr<Entry> entry, Done done);

 private:
  void CompareWithRaw(ThreadPool& threads, std::unique_ptr<Entry> entry, EntryHold twin,
                      Done done);
  void CompareWithCompressed(ThreadPool& threads, std::unique_ptr<Entry> entry,
                             EntryStore::CompressedTwin twin, Done done);

  os::EventLoop& loop_;
  EntryStore& store_;
};

}  // namespace warmset
