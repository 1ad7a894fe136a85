#include "daemon/entry_publisher.h"

#include <stop_token>
#include <utility>

#include "cache/compressed_entry.h"

namespace warmset {

void EntryPublisher::Publish(ThreadPool& threads, std::unique_ptr<Entry> entry, Done done) {
  const Entry* const same = store_.Find(entry->component());
  if (same != nullptr && same->content() == entry->content()) {
    return done(store_.Publish(std::move(entry)));
  }
  if (auto twin = store_.FindTwin(*entry)) {
    return CompareWithRaw(threads, std::move(entry), *std::move(twin), std::move(done));
  }
  if (auto twin = store_.FindCompressedTwin(*entry)) {
    return CompareWithCompressed(threads, std::move(entry), *std::move(twin), std::move(done));
  }
  done(store_.Publish(std::move(entry)));
}

void EntryPublisher::CompareWithRaw(ThreadPool& threads, std::unique_ptr<Entry> entry,
                                    EntryHold twin, Done done) {
  // std::function wants copyable captures; the hold may end only on the loop.
  auto held = std::make_shared<const EntryHold>(std::move(twin));
  auto fresh = std::make_shared<std::unique_ptr<Entry>>(std::move(entry));
  const Entry* const twin_entry = &held->entry();
  threads.Submit([this, held = std::move(held), twin_entry, fresh,
                  done = std::move(done)](std::stop_token) mutable {
    const auto same = SameContent(**fresh, *twin_entry);
    loop_.Post([this, held = std::move(held), fresh, done = std::move(done),
                same = same.ok() && *same] {
      if (!same) return done(store_.Publish(std::move(*fresh)));
      const ComponentId component = (*fresh)->component();
      if ((*fresh)->guarded() && !held->entry().guarded()) {
        return done(store_.PublishInstead(held->entry().component(), std::move(*fresh)));
      }
      fresh->reset();
      done(store_.PublishAs(component, *held));
    });
  });
}

void EntryPublisher::CompareWithCompressed(ThreadPool& threads, std::unique_ptr<Entry> entry,
                                           EntryStore::CompressedTwin twin, Done done) {
  auto fresh = std::make_shared<std::unique_ptr<Entry>>(std::move(entry));
  threads.Submit([this, fresh, twin = std::move(twin),
                  done = std::move(done)](std::stop_token) mutable {
    const auto same = SameContent(**fresh, *twin.compressed);
    twin.compressed.reset();
    loop_.Post([this, fresh, id = twin.component, done = std::move(done),
                same = same.ok() && *same] {
      done(same ? store_.PublishWith(id, std::move(*fresh)) : store_.Publish(std::move(*fresh)));
    });
  });
}

}  // namespace warmset
