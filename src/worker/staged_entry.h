// The bytes of an entry, raw or compressed, as a copy onto a device reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "codec/segmented_streams.h"
#include "os/mapping.h"
#include "os/unique_fd.h"
#include "tensor/tensor_index.h"

namespace warmset {

// The sealed memfds of an entry, as the daemon sent them, and the size that it says
// the entry has.
struct EntryFiles {
  os::UniqueFd index;
  os::UniqueFd data;      // its bytes; with segments, their streams
  os::UniqueFd segments;  // the table of codec/segmented_streams.h; invalid: it is raw
  ByteCount bytes;
};

// An entry that may be read without fear. Of what is compressed a mebibyte is decoded
// at a time, into memory that stays in the processor's cache until it is copied on.
// Not thread-safe.
class StagedEntry {
 public:
  // kInvalidRequest unless all files are sealed, the entry has the size that was said,
  // and the index lies within it. kCorruptedModel for a table that does not fit.
  static StatusOr<StagedEntry> Open(const EntryFiles& files);

  const TensorIndex& index() const { return index_; }

  // The bytes from `offset` on, at least one and at most `at_most`; valid until the
  // next call. Reading forward decodes each block once. kCorruptedModel.
  // REQUIRES: offset < the entry's size, at_most > 0.
  StatusOr<std::span<const std::byte>> Read(uint64_t offset, uint64_t at_most);

 private:
  os::Mapping index_bytes_;
  TensorIndex index_;  // of index_bytes_
  os::Mapping data_;
  bool compressed_ = false;
  codec::SegmentedStreams streams_;  // in data_
  std::vector<std::byte> staging_;
  codec::SegmentedStreams::Range staged_;  // of the entry, in staging_
};

}  // namespace warmset
