// A component in RAM, as it lies in its files.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "cache/budget.h"
#include "cache/reserve.h"
#include "inspect/manifest.h"
#include "os/memory_file.h"

namespace warmset {

// What an entry of the component takes from the budget: data and index, each
// rounded up to whole pages.
ByteCount EntryMemory(const ComponentManifest& component);

// Brings memory that is reserved for EntryMemory(component) to the component's size.
// Returns how many bytes of it, from its start, are touched.
StatusOr<uint64_t> FitMemory(LoadMemory& memory, const ComponentManifest& component);

// Immutable, whole and verified: both descriptors may be handed to anyone. The
// memory is free when the entry and every mapping of it are gone. Thread-safe,
// but for SetMemoryKind.
class Entry {
 public:
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  // The component that it was loaded as; others may share it (EntryStore).
  const ComponentId& component() const { return component_; }
  // The tensors' bytes, sealed or guarded, and the index that says where each lies
  // (docs/formats/tensor-index.md), sealed.
  const os::MemoryFile& data() const { return data_; }
  int data_fd() const { return data_.fd(); }
  int index_fd() const { return index_.fd(); }
  // Its bytes can have a name, and are not sealed (os::MemoryFile).
  bool guarded() const { return data_.guarded(); }
  uint64_t bytes() const { return data_.size(); }
  uint64_t index_bytes() const { return index_.size(); }
  // What it takes from the budget.
  ByteCount memory() const { return reservation_.bytes(); }
  // How much of bytes() lies in huge pages, as measured when it was loaded.
  uint64_t huge_page_bytes() const { return huge_page_bytes_; }
  // One per kDigestChunkBytes of the data.
  const std::vector<ChunkDigest>& chunks() const { return chunks_; }
  const ContentDigest& content() const { return content_; }
  std::chrono::nanoseconds load_time() const { return load_time_; }

 private:
  friend struct FilledEntry;
  friend class EntryStore;
  Entry() = default;
  void SetMemoryKind(MemoryKind kind) { reservation_.SetKind(kind); }

  ComponentId component_;
  Reservation reservation_;  // before the memory: released after it
  os::MemoryFile data_;
  os::MemoryFile index_;
  uint64_t huge_page_bytes_ = 0;
  std::vector<ChunkDigest> chunks_;
  ContentDigest content_;
  std::chrono::nanoseconds load_time_{0};
};

// True when both hold the same bytes and the same index. Maps and compares
// them, so it takes time: for a thread that may block.
StatusOr<bool> SameContent(const Entry& a, const Entry& b);

// The same bytes in other memory, which is reserved for EntryMemory(component). The
// component is the entry's own, or has the same content. Blocks.
StatusOr<std::unique_ptr<Entry>> CopyEntry(const Entry& entry, const ComponentManifest& component,
                                           LoadMemory memory);

// An entry of a guarded file that an earlier daemon filled: its bytes are trusted when
// they have the digests of the first load. kCorruptedModel when they do not, or when none
// are known; kCancelled. Blocks as long as hashing takes.
StatusOr<std::unique_ptr<Entry>> AdoptEntry(const ComponentManifest& component, LoadMemory memory,
                                            std::span<const ChunkDigest> known,
                                            const std::stop_token& stop);

// What an entry becomes, filled but not trusted yet.
struct FilledEntry {
  const ComponentManifest& component;
  LoadMemory memory;                // file.size() == component.entry_bytes
  std::vector<ChunkDigest> chunks;  // one per kDigestChunkBytes
  std::chrono::nanoseconds load_time{0};
  // Of memory that is guarded already; of any other it is measured.
  uint64_t huge_page_bytes = 0;

  // The only way to an Entry: compares with the digests of the first load, if
  // known, and seals, or guards, what it lies in. kCorruptedModel names the first chunk that
  // differs and the tensors in it.
  StatusOr<std::unique_ptr<Entry>> VerifyAndSeal(std::span<const ChunkDigest> known) &&;
};

// OK when the digests are equal or none are known, else what is said above.
Status CompareDigests(const ComponentManifest& component, std::span<const ChunkDigest> chunks,
                      std::span<const ChunkDigest> known);

}  // namespace warmset
