// Publishes what was loaded, once for all components of the same content.
#pragma once

#include <functional>
#include <memory>

#include "base/thread_pool.h"
#include "cache/entry_store.h"
#include "os/event_loop.h"

namespace warmset {

// Loop thread only; compares on a thread of the pool, which must outlive what it gave to
// do there.
class EntryPublisher {
 public:
  using Done = std::function<void(EntryHold)>;

  EntryPublisher(os::EventLoop& loop, ThreadPool& threads, EntryStore& store)
      : loop_(loop), threads_(threads), store_(store) {}

  // Makes the entry visible, or, where one with equal digests is in RAM in any form and
  // all bytes turn out to be the same, that one under the entry's component as well.
  // Calls done exactly once: at once where nothing is like it, else later.
  void Publish(std::unique_ptr<Entry> entry, Done done);

 private:
  void CompareWithRaw(std::unique_ptr<Entry> entry, EntryHold twin, Done done);
  void CompareWithCompressed(std::unique_ptr<Entry> entry, EntryStore::CompressedTwin twin,
                             Done done);

  os::EventLoop& loop_;
  ThreadPool& threads_;
  EntryStore& store_;
};

}  // namespace warmset
