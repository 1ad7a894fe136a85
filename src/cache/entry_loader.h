// From files on a disk to an entry in RAM.
//
// 1. The files are opened and their identity is compared with the manifest's.
// 2. The memory, reserved before by EntryStore::MakeRoom, is brought to size;
//    what is not touched yet is touched ahead of the reads, by another thread.
// 3. The runs are read into it by a few threads, past the page cache unless it
//    has the file already; each MiB is hashed by the thread that completed it.
//    What no run covers stays zero.
// 4. The files' identity is compared again, and the digests with known ones.
// 5. The memory is sealed. Only now there is an Entry.
// After a failure in any of these steps nothing is left: neither memory nor
// budget, nor a thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>

#include "base/digest.h"
#include "base/status.h"
#include "cache/entry.h"
#include "cache/reserve.h"
#include "cache/source_file.h"
#include "inspect/manifest.h"

namespace warmset {

struct LoadRequest {
  // Must outlive the call, as what the spans refer to.
  const ComponentManifest& component;
  std::span<const SourceFile> files;           // by FileRun::file
  std::span<const ChunkDigest> known_digests;  // of its first load; empty: it is the first
  LoadMemory memory;                           // for EntryMemory(component)
  // Called with the bytes read so far, now and then, on any thread; may be empty.
  std::function<void(uint64_t bytes)> progress;
  std::stop_token stop;
};

// Blocks; for a thread of a pool. kFileNotFound, kPermissionDenied: a file can't
// be opened. kFileChanged: a file is not, or not any more, what the manifest was
// made from (if only its ctime differs, known digests that match will do).
// kCorruptedModel: the bytes differ from those of the first load; names the
// first such chunk and its tensors. kCancelled, kIoError.
StatusOr<std::unique_ptr<Entry>> LoadEntry(LoadRequest request);

}  // namespace warmset
